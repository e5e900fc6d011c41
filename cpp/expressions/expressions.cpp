// The calls behind chainrule/blas.h, except products, element-wise chains and folds: threads,
// memory, errors.
#include <algorithm>
#include <new>
#include <string>

#include "chainrule/blas/engine.h"
#include "chainrule/error.h"
#include "expressions/threads.h"
#include "isa/caches.h"
#include "isa/functions.h"
#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::blas {
namespace {

thread_local int chosen_threads = 0;  // 0: the default number

std::string shape_text(Index rows, Index cols) {
  return "(" + std::to_string(rows) + ", " + std::to_string(cols) + ")";
}

}  // namespace

Threads::Threads(int threads) : before_(chosen_threads) {
  if (threads < 1 || threads > kMaxThreads) {
    invalid("blas::Threads",
            "the number of threads must be from 1 to " + std::to_string(kMaxThreads),
            {{"threads", std::to_string(threads)}});
  }
  chosen_threads = threads;
}

Threads::~Threads() { chosen_threads = before_; }

namespace detail {

int threads() { return chosen_threads != 0 ? chosen_threads : default_threads(); }

int vector_bytes() { return isa::table().vector_bytes; }

void for_ranges(Index n, Index work, const void* object, void (*call)(const void*, Index, Index)) {
  // Elements, of four bytes at least. Threads do not write to the same cache line.
  constexpr Index kLine = isa::kCacheLineBytes;
  Index grain = std::max<Index>(1, isa::kParallelAdditions * n / std::max<Index>(work, 1));
  if (grain > kLine) grain = grain / kLine * kLine;
  parallel_for(Exec{.threads = work < 2 * isa::kParallelAdditions ? 1 : threads()},
               n,
               grain,
               [&](Index begin, Index end) { call(object, begin, end); });
}

bool overlap_in_range(Region a, Region b) {
  if (a.lines <= 0 || a.length <= 0 || b.lines <= 0 || b.length <= 0) return false;
  if (a.stride != b.stride || a.size != b.size) return true;
  // With equal strides, each line of b begins `apart` bytes after a line of a, and `stride - apart`
  // bytes before the next.
  const auto stride = static_cast<std::uintptr_t>(a.stride * a.size);
  const auto from_a = reinterpret_cast<std::uintptr_t>(a.data);
  const auto from_b = reinterpret_cast<std::uintptr_t>(b.data);
  const std::uintptr_t apart = from_b >= from_a ? (from_b - from_a) % stride
                                                : (stride - (from_a - from_b) % stride) % stride;
  return apart < static_cast<std::uintptr_t>(a.length * a.size) ||
         apart + static_cast<std::uintptr_t>(b.length * b.size) > stride;
}

void* allocate(Index rows, Index cols, Index size) {
  Index bytes = 0;
  if (!__builtin_mul_overflow(rows, cols, &bytes) && !__builtin_mul_overflow(bytes, size, &bytes)) {
    if (void* memory =
            ::operator new(static_cast<std::size_t>(bytes), std::align_val_t(64), std::nothrow)) {
      return memory;
    }
  }
  fail("blas", "there is not enough memory for a matrix", {{"shape", shape_text(rows, cols)}});
}

void release(void* memory) noexcept { ::operator delete(memory, std::align_val_t(64)); }

void bad_product(Index rows_a, Index cols_a, Index rows_b, Index cols_b) {
  invalid("blas",
          "the left operand of a product must have as many columns as the right one has rows",
          {{"left", shape_text(rows_a, cols_a)}, {"right", shape_text(rows_b, cols_b)}});
}

void bad_sum(Index rows_a, Index cols_a, Index rows_b, Index cols_b) {
  invalid("blas",
          "operands of an element-wise function must have the same shape",
          {{"left", shape_text(rows_a, cols_a)}, {"right", shape_text(rows_b, cols_b)}});
}

void bad_rows(Index length, Index first_length) {
  invalid("blas",
          "the rows of a matrix must have the same length",
          {{"first", std::to_string(first_length)}, {"another", std::to_string(length)}});
}

void bad_assignment(Index rows, Index cols, Index rows_e, Index cols_e) {
  invalid("blas",
          "what is assigned must have the shape of the destination",
          {{"destination", shape_text(rows, cols)}, {"assigned", shape_text(rows_e, cols_e)}});
}

void bad_broadcast(const char* which, Index rows, Index cols, Index rows_v, Index cols_v) {
  invalid(std::string("blas ") + which,
          "the vector must have the length of a " +
              std::string(which[0] == 'r' ? "row" : "column") + " and lie the same way",
          {{"matrix", shape_text(rows, cols)}, {"vector", shape_text(rows_v, cols_v)}});
}

void bad_view(const void* data, Index rows, Index cols, Index stride) {
  invalid(
      "blas",
      "a view needs lengths that are not negative, a stride not below the length of a line, and "
      "memory for its elements",
      {{"data", data == nullptr ? "null" : "given"},
       {"shape", shape_text(rows, cols)},
       {"stride", std::to_string(stride)}});
}

void bad_block(Index rows, Index cols, Index i, Index j, Index block_rows, Index block_cols) {
  invalid("blas",
          "a part must lie inside of its matrix",
          {{"matrix", shape_text(rows, cols)},
           {"first element", shape_text(i, j)},
           {"part", shape_text(block_rows, block_cols)}});
}

void bad_vector(bool is_row, Index rows, Index cols) {
  invalid(is_row ? "blas RowVector" : "blas Vector",
          is_row ? "a row vector must have one row" : "a vector must have one column",
          {{"shape", shape_text(rows, cols)}});
}

void bad_value(Index rows, Index cols) {
  invalid("blas value",
          "only a product with one row and one column is a number",
          {{"shape", shape_text(rows, cols)}});
}

void bad_noalias(Index rows, Index cols) {
  invalid("blas noalias",
          "the destination must not overlap an operand; assign without noalias()",
          {{"destination", shape_text(rows, cols)}});
}

void bad_fold(const char* which, Index rows, Index cols) {
  invalid(std::string("blas ") + which,
          "a reduction needs at least one element",
          {{"shape", shape_text(rows, cols)}});
}

void bad_rank(const char* which, const Shape& shape) {
  invalid("blas",
          std::string("a tensor that is mapped as a ") + which + " must have rank " +
              (which[0] == 'm' ? "2" : "1"),
          {{"shape", shape.str()}});
}

}  // namespace detail
}  // namespace chainrule::inline v0_1::blas
