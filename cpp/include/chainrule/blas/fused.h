// An expression whose functions are made of operators becomes one loop, in which no intermediate
// result leaves the registers. The user's compiler makes it for each instruction set; which one
// runs is chosen when the program runs. Programs include chainrule/blas.h.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include "chainrule/blas/expression.h"

namespace chainrule::inline v0_1::blas::detail {

/// The steps of an element-wise expression type, listed when the program is compiled.
template <class E>
constexpr StepList step_list = [] {
  StepList list;
  E::emit(list, 0);
  return list;
}();

/// Whether a function is made of operators: then the value in its line of elementwise.def can be
/// computed for vectors V of numbers T, too.
template <class T, class V>
constexpr bool is_of_operators(Fn fn) {
  constexpr bool kSame = true, kBool = false;
  switch (fn) {
#define UNARY(name, dtypes, result, cost, ulp, value, ...) \
  case Fn::name:                                           \
    return (result) && requires(V x) { value; };
#define BINARY(name, dtypes, result, cost, ulp, value, ...) \
  case Fn::name:                                            \
    return (result) && requires(V a, V b) { value; };
#define TERNARY(name, ...) \
  case Fn::name:           \
    return false;
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  }
  return false;
}
template <class T>
constexpr bool is_of_operators(const StepList& list) {
  using V [[gnu::vector_size(16)]] = T;
  if (list.operand_count > 12) return false;
  for (int i = 0; i < list.step_count; ++i) {
    if (!is_of_operators<T, V>(list.steps[i].fn)) return false;
  }
  return true;
}

/// The cost of one element, in additions. Reading and writing it counts as one.
constexpr Index cost_of(const StepList& list) {
  constexpr int kCosts[] = {
#define UNARY(name, dtypes, result, cost, ...) cost,
#define BINARY(name, dtypes, result, cost, ...) cost,
#define TERNARY(name, dtypes, result, cost, ...) cost,
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  };
  Index cost = 1;
  for (int i = 0; i < list.step_count; ++i) cost += kCosts[static_cast<int>(list.steps[i].fn)];
  return cost;
}

/// `rows` rows of `row_length` elements. Within a row an operand steps by one element, or is a
/// number.
template <class T, int kOperands>
struct FusedArgs {
  Index rows, row_length;
  Operand<T> operands[kOperands];
  T* out;
  Index out_step;  ///< from row to row; within one it is 1
};

namespace portable {
#define CHAINRULE_VECTOR_BYTES 16
#define CHAINRULE_TARGET
#include "chainrule/blas/fused_loops.inl"
#undef CHAINRULE_VECTOR_BYTES
#undef CHAINRULE_TARGET
}  // namespace portable

#if defined(__x86_64__)
namespace avx2 {
#define CHAINRULE_VECTOR_BYTES 32
#define CHAINRULE_TARGET [[gnu::target("avx2,fma")]]
#include "chainrule/blas/fused_loops.inl"
#undef CHAINRULE_VECTOR_BYTES
#undef CHAINRULE_TARGET
}  // namespace avx2

namespace avx512 {
#define CHAINRULE_VECTOR_BYTES 64
#define CHAINRULE_TARGET [[gnu::target("avx512f,avx512dq,avx512bw,avx512vl,fma")]]
#include "chainrule/blas/fused_loops.inl"
#undef CHAINRULE_VECTOR_BYTES
#undef CHAINRULE_TARGET
}  // namespace avx512
#endif

/// Calls f with the Fused of the instruction set in use.
template <const StepList& kList, class T, class F>
CHAINRULE_HOT void with_loops(const F& f) {
#if defined(__x86_64__)
  const int bytes = vector_bytes();
  if (bytes == 64) return f(avx512::Fused<kList, T>());
  if (bytes == 32) return f(avx2::Fused<kList, T>());
#endif
  f(portable::Fused<kList, T>());
}

// --- expressions that the loops can take ---
//
// Each of these functions returns false, and computes nothing, if the loops cannot take it.

/// Up to this many elements a loop runs on the calling thread, and a fold is not cut into parts.
constexpr Index kFewElements = 1 << 16;

/// Binds an expression for a loop over its rows or, by_columns, over its columns, which must be
/// contiguous. With may_join, rows that follow each other without gaps become one.
template <class E, class T, int kOperands>
CHAINRULE_HOT bool lay_out(const E& e,
                           Index rows,
                           Index cols,
                           bool by_columns,
                           bool may_join,
                           FusedArgs<T, kOperands>& args) {
  constexpr const StepList& kList = step_list<E>;
  args.rows = by_columns ? cols : rows;
  args.row_length = by_columns ? rows : cols;
  Operand<T>* next = args.operands;
  e.bind(next);
  bool joins = may_join && args.rows > 1;
#pragma GCC unroll 12
  for (int k = 0; k < kOperands; ++k) {
    Operand<T>& each = args.operands[k];
    if (kList.is_number[k]) continue;
    if (by_columns) std::swap(each.row_step, each.col_step);
    if (args.row_length > 1 && each.col_step != 1) return false;
    joins = joins && each.row_step == args.row_length;
  }
  if (joins) {
    args.row_length *= args.rows;
    args.rows = 1;
  }
  return true;
}

/// out = e; element (i, j) of out is out[i * row_step + j * col_step].
template <class E, class T>
CHAINRULE_HOT bool fused_assign(
    const E& e, Index rows, Index cols, T* out, Index row_step, Index col_step) {
  constexpr const StepList& kList = step_list<E>;
  using Args = FusedArgs<T, kList.operand_count>;
  const bool by_columns = cols == 1 || (col_step != 1 && rows != 1);
  const Index length = by_columns ? rows : cols;
  if (length > 1 && (by_columns ? row_step : col_step) != 1) return false;
  Args args;
  args.out = out;
  args.out_step = by_columns ? col_step : row_step;
  if (!lay_out(e, rows, cols, by_columns, args.out_step == length, args)) return false;
  const Index n = args.rows == 1 ? args.row_length : args.rows;
  const auto loop = [](const void* whole, Index begin, Index end) {
    const Args& all = *static_cast<const Args*>(whole);
    with_loops<kList, T>([&](auto loops) { loops.assign(all, begin, end); });
  };
  if (rows * cols <= kFewElements) {
    loop(&args, 0, n);
  } else {
    for_ranges(n, rows * cols * cost_of(kList), &args, loop);
  }
  return true;
}

/// Partial results of a fold. The row is cut into parts of kFewElements, and the parts into at most
/// kMaxPieces pieces. Neither depends on the number of threads.
template <class Args>
struct Pieces {
  const Args& args;
  double results[kMaxPieces];
  Index parts, count;
};

template <Fold kFold>
double join_doubles(double a, double b) {
  if (kFold == Fold::sum) return a + b;
  const bool keep = kFold == Fold::max ? a > b : a < b;
  return keep || a != a ? a : b;
}

/// Piece number i: its parts are folded one by one and joined in double.
template <Fold kFold, class E, class Args>
void fold_piece(Pieces<Args>& pieces, Index i) {
  using T = typename E::Scalar;
  const Index first = i * pieces.parts / pieces.count;
  const Index last = (i + 1) * pieces.parts / pieces.count;
  for (Index part = first; part < last; ++part) {
    const Index begin = part * kFewElements;
    const Index end = std::min(begin + kFewElements, pieces.args.row_length);
    double x = 0;
    with_loops<step_list<E>, T>([&](auto loops) {
      x = static_cast<double>(loops.template fold_all<kFold>(pieces.args, begin, end));
    });
    pieces.results[i] = part == first ? x : join_doubles<kFold>(pieces.results[i], x);
  }
}

/// Folds all elements of a long row.
template <Fold kFold, class E, class Args>
CHAINRULE_COLD typename E::Scalar fold_pieces(const Args& args) {
  const Index parts = (args.row_length + kFewElements - 1) / kFewElements;
  Pieces<Args> pieces{args, {}, parts, parts < kMaxPieces ? parts : kMaxPieces};
  for_ranges(pieces.count,
             args.row_length * cost_of(step_list<E>),
             &pieces,
             [](const void* object, Index begin, Index end) {
               auto& all = *static_cast<Pieces<Args>*>(const_cast<void*>(object));
               for (Index i = begin; i < end; ++i) fold_piece<kFold, E>(all, i);
             });
  double total = pieces.results[0];
  for (Index i = 1; i < pieces.count; ++i) total = join_doubles<kFold>(total, pieces.results[i]);
  return static_cast<typename E::Scalar>(total);
}

/// Folds all elements, at least one, to one number.
template <Fold kFold, class E, class T>
CHAINRULE_HOT bool fused_fold(const E& e, T& result) {
  constexpr const StepList& kList = step_list<E>;
  using Args = FusedArgs<T, kList.operand_count>;
  const Index rows = e.rows(), cols = e.cols();
  Args args;
  args.out = nullptr;
  args.out_step = 0;
  if (!lay_out(e, rows, cols, cols == 1, true, args) &&
      !lay_out(e, rows, cols, cols != 1, true, args)) {
    return false;
  }
  if (rows * cols <= kFewElements) {
    with_loops<kList, T>(
        [&](auto loops) { result = loops.template fold_all<kFold>(args, 0, args.row_length); });
    return true;
  }
  if (args.rows != 1) return false;
  result = fold_pieces<kFold, E>(args);
  return true;
}

/// Folds each row (column), of at least one element, to one number.
template <Fold kFold, class E, class T>
CHAINRULE_HOT bool fused_fold_lines(const E& e, bool by_rows, T* out, Index step) {
  constexpr const StepList& kList = step_list<E>;
  using Args = FusedArgs<T, kList.operand_count>;
  const Index rows = e.rows(), cols = e.cols();
  if (rows * cols > kFewElements) return false;
  Args args;
  args.out = out;
  args.out_step = step;
  if (lay_out(e, rows, cols, !by_rows, false, args)) {
    with_loops<kList, T>([&](auto loops) { loops.template fold_rows<kFold>(args); });
    return true;
  }
  constexpr Index kFewLines = 1024;  // for one running sum per element of out
  if (step != 1 || (by_rows ? cols : rows) > kFewLines) return false;
  if (!lay_out(e, rows, cols, by_rows, false, args)) return false;
  with_loops<kList, T>([&](auto loops) { loops.template fold_columns<kFold>(args); });
  return true;
}

}  // namespace chainrule::inline v0_1::blas::detail
