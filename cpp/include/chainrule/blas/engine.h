// What expressions end in: the compiled calls behind chainrule/blas.h. Programs use that header.
#pragma once

#include <cstdint>

#include "chainrule/shape.h"

namespace chainrule::inline v0_1::blas {

/// Sizes, positions and strides, counted in elements.
using Index = std::int64_t;

/// While it lives, the calling thread's expressions use at most `threads` threads instead of the
/// default number (CHAINRULE_NUM_THREADS, else what the system grants). Guards nest. Throws
/// InvalidArgument unless `threads` is from 1 to kMaxThreads (chainrule/threads.h). Results do not
/// depend on the number of threads.
///
///     const blas::Threads single(1);
///     C.noalias() = A * B;
class Threads {
 public:
  explicit Threads(int threads);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

namespace detail {

// HOT is what a small expression does before its loop. It is inlined, so that the operands' sizes
// and pointers stay in registers. COLD is the rest. It takes copies, as a reference would put the
// operands into memory.
#define CHAINRULE_HOT [[gnu::always_inline]] inline
#define CHAINRULE_COLD [[gnu::noinline]]

/// The element-wise functions, one per line of chainrule/elementwise.def.
enum class Fn : std::int16_t {
#define UNARY(name, ...) name,
#define BINARY(name, ...) name,
#define TERNARY(name, ...) name,
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
};

/// C (m x n) = alpha * op(A) op(B) + beta * C. All are row-major; the flags transpose as in BLAS.
/// With beta = 0, C is not read. C does not overlap A or B.
template <class T>
struct GemmCall {
  bool trans_a, trans_b;
  Index m, n, k;
  const T* a;
  Index lda;
  const T* b;
  Index ldb;
  T* c;
  Index ldc;
  T alpha, beta;
};

template <class T>
void gemm(const GemmCall<T>& call);

/// Element (i, j) is data[i * row_step + j * col_step]; a step of 0 repeats.
template <class T>
struct Operand {
  const T* data;
  Index row_step, col_step;
};

/// One function on operands and results of earlier steps: number n >= 0 is an operand, number
/// n < 0 the result in slot -1 - n. A unary function has b = a.
struct Step {
  Fn fn = {};
  std::int16_t a = 0, b = 0;
  std::int16_t slot = 0;  ///< that receives the result
};

/// A chain has at most this many.
constexpr int kMaxOperands = 32, kMaxSlots = 16;

/// An element-wise expression: the result of the last step, or, without steps, of operand 0.
template <class T>
struct Chain {
  Index rows, cols;
  const Operand<T>* operands;
  const Step* steps;
  int operand_count, step_count, slot_count;
};

/// out(i, j) = the chain's element. `out` overlaps no operand unless it is exactly the same
/// elements.
template <class T>
void run(const Chain<T>& chain, T* out, Index row_step, Index col_step);

/// Bytes of a vector of the instruction set in use; 0: none.
int vector_bytes();

/// Calls `call(object, begin, end)` on ranges that cover [0, n), in several threads if `work`
/// additions are worth it.
void for_ranges(Index n,
                Index work,
                const void* object,
                void (*call)(const void*, Index begin, Index end));

enum class Fold : std::uint8_t { sum, max, min };

/// The most pieces that a long fold is cut into, for threads to share.
constexpr Index kMaxPieces = 32;

/// How sums become means and norms.
template <class T>
struct Finish {
  T scale = 1;
  bool root = false;
};

/// Folds all elements to one. The largest and the smallest are NaN if an element is NaN; they need
/// at least one element.
template <class T>
T fold(const Chain<T>& chain, Fold op);

/// Folds each row (`by_rows`: out has `rows` elements) or column (`cols` elements). The elements of
/// out are `step` apart and overlap no operand.
template <class T>
void fold_lines(const Chain<T>& chain, Fold op, bool by_rows, Finish<T> finish, T* out, Index step);

/// lines x length elements in memory; the lines begin `stride` elements of `size` bytes apart.
struct Region {
  const void* data;
  Index lines, length, stride, size;
};

/// Whether two regions share an element; exact if their strides are equal, else it may take two
/// interleaved regions for overlapping ones.
bool overlap_in_range(Region a, Region b);

CHAINRULE_HOT bool overlap(const Region& a, const Region& b) {
  const auto begin = [](const Region& r) { return reinterpret_cast<std::uintptr_t>(r.data); };
  const auto end = [&](const Region& r) {
    return begin(r) + static_cast<std::uintptr_t>(((r.lines - 1) * r.stride + r.length) * r.size);
  };
  if (begin(a) >= end(b) || begin(b) >= end(a)) return false;
  return overlap_in_range(a, b);
}

/// Where elements lie: those of the destination of an assignment, or of an operand, which is
/// compared with it.
struct Extent {
  Region region;
  bool transposed;

  /// Whether `operand` shares elements with this. With kSameIsFine, exactly the same elements, each
  /// in the same place, are no conflict.
  template <bool kSameIsFine>
  [[nodiscard]] CHAINRULE_HOT bool conflicts(const Extent& operand) const {
    const Region &a = region, &b = operand.region;
    const bool same = a.data == b.data && a.lines == b.lines && a.length == b.length &&
                      (a.stride == b.stride || a.lines == 1) && transposed == operand.transposed;
    return !(kSameIsFine && same) && overlap(a, b);
  }
};

/// Marks constructors that trust their arguments.
struct Unchecked {};

/// Uninitialised, 64-byte aligned memory. Throws RuntimeError when there is none.
void* allocate(Index rows, Index cols, Index size);
void release(void* memory) noexcept;
/// For the smart pointers that own such memory.
struct Release {
  void operator()(void* memory) const noexcept { release(memory); }
};

// Errors: InvalidArgument with the rule and both shapes.
[[noreturn]] void bad_product(Index rows_a, Index cols_a, Index rows_b, Index cols_b);
[[noreturn]] void bad_sum(Index rows_a, Index cols_a, Index rows_b, Index cols_b);
[[noreturn]] void bad_rows(Index length, Index first_length);
[[noreturn]] void bad_assignment(Index rows, Index cols, Index rows_e, Index cols_e);
[[noreturn]] void bad_broadcast(
    const char* which, Index rows, Index cols, Index rows_v, Index cols_v);
[[noreturn]] void bad_view(const void* data, Index rows, Index cols, Index stride);
[[noreturn]] void bad_block(
    Index rows, Index cols, Index i, Index j, Index block_rows, Index block_cols);
[[noreturn]] void bad_vector(bool is_row, Index rows, Index cols);
[[noreturn]] void bad_value(Index rows, Index cols);
[[noreturn]] void bad_noalias(Index rows, Index cols);
[[noreturn]] void bad_fold(const char* which, Index rows, Index cols);
[[noreturn]] void bad_rank(const char* which, const Shape& shape);

}  // namespace detail
}  // namespace chainrule::inline v0_1::blas
