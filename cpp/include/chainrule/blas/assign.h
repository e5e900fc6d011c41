// Turns expressions into calls: each product is one gemm(), everything around it one run() or
// fold(). Programs include chainrule/blas.h.
#pragma once

#include <cmath>

#include "chainrule/blas/fused.h"
#include "chainrule/blas/operators.h"

namespace chainrule::inline v0_1::blas {
namespace detail {

/// The chain of an expression, with its pointers. It refers to the expression.
template <class E>
class Bound {
  using T = typename E::Scalar;

 public:
  Bound(const E& e, Index rows, Index cols) {
    static_assert(kList.operand_count <= kMaxOperands && kList.slot_count <= kMaxSlots,
                  "this expression is too long: evaluate a part of it first");
    Operand<T>* next = operands_;
    e.bind(next);
    chain_ = {rows,
              cols,
              operands_,
              kSteps.data(),
              kList.operand_count,
              kList.step_count,
              kList.slot_count};
  }
  explicit Bound(const E& e) : Bound(e, e.rows(), e.cols()) {}
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;
  [[nodiscard]] const Chain<T>& chain() const { return chain_; }

 private:
  static constexpr const StepList& kList = step_list<E>;
  static constexpr auto kSteps = [] {  // without the unused places
    std::array<Step, static_cast<std::size_t>(kList.step_count)> steps{};
    for (std::size_t i = 0; i < steps.size(); ++i) steps[i] = kList.steps[i];
    return steps;
  }();

  Operand<T> operands_[static_cast<std::size_t>(kList.operand_count)];
  Chain<T> chain_;
};

/// d = e, block by block. Takes copies, as other rare paths do: operands whose address the caller
/// never passes on stay in its registers.
template <class T, Kind K, class E>
// NOLINTNEXTLINE(performance-unnecessary-value-param)
CHAINRULE_COLD void run_blocks(View<T, K> d, E e) {
  const Bound<E> bound(e, d.rows(), d.cols());
  run(bound.chain(), d.data(), K.transposed ? 1 : d.stride(), K.transposed ? d.stride() : 1);
}

/// d = e.
template <class T, Kind K, class E>
CHAINRULE_HOT void run(const View<T, K>& d, const E& e) {
  if constexpr (is_of_operators<typename E::Scalar>(step_list<E>)) {
    const Index row_step = K.transposed ? 1 : d.stride(), col_step = K.transposed ? d.stride() : 1;
    if (fused_assign(e, d.rows(), d.cols(), d.data(), row_step, col_step)) return;
  }
  run_blocks<T, K, E>(d, e);
}

template <class T, Kind K, class E>
CHAINRULE_HOT void run(const View<T, K>& d, const E& e, Assign mode) {
  const View<const T, with_array(K, E::kArray)> before = as_array<E::kArray>(d);
  if (mode == Assign::set) {
    run(d, e);
  } else if (mode == Assign::add) {
    run(d, binary<Fn::add>(before, e));
  } else {
    run(d, binary<Fn::subtract>(before, e));
  }
}

/// d = factor * p + beta * d.
template <class T, Kind K, class A, class B>
CHAINRULE_HOT void multiply(const View<T, K>& d, const Product<A, B>& p, T factor, T beta) {
  const auto a = p.left().view();
  const auto b = p.right().view();
  constexpr bool kTransA = decltype(a)::kKind.transposed, kTransB = decltype(b)::kKind.transposed;
  GemmCall<T> call{.trans_a = kTransA,
                   .trans_b = kTransB,
                   .m = a.rows(),
                   .n = b.cols(),
                   .k = a.cols(),
                   .a = a.data(),
                   .lda = a.stride(),
                   .b = b.data(),
                   .ldb = b.stride(),
                   .c = d.data(),
                   .ldc = d.stride(),
                   .alpha = factor * p.alpha(),
                   .beta = beta};
  if constexpr (K.transposed) {  // C^T = B^T A^T
    call.trans_a = !kTransB;
    call.trans_b = !kTransA;
    std::swap(call.m, call.n);
    std::swap(call.a, call.b);
    std::swap(call.lda, call.ldb);
  }
  gemm(call);
}

/// Folds each row or column of an expression into an element of `out`.
template <class E, bool kByRows, Fold kFold>
void fold_lines(const Folded<E, kByRows, kFold>& folded, typename E::Scalar* out, Index step) {
  const E& e = folded.inner();
  if constexpr (is_of_operators<typename E::Scalar>(step_list<E>)) {
    if (e.size() != 0 && fused_fold_lines<kFold>(e, kByRows, out, step)) {
      const auto finish = folded.finish();
      if (finish.scale == 1 && !finish.root) return;
      for (Index i = 0; i < folded.size(); ++i) {
        out[i * step] *= finish.scale;
        if (finish.root) out[i * step] = std::sqrt(out[i * step]);
      }
      return;
    }
  }
  fold_lines(Bound<E>(e).chain(), kFold, kByRows, folded.finish(), out, step);
}

// --- sums with products ---

/// rest_of() is a sum without its products: Nothing, if it has no other terms.
struct Nothing {};

template <Fn F, class L, class R>
  requires(!Binary<F, L, R>::kElementwise)
auto rest_of(const Binary<F, L, R>& e);
template <class E>
auto rest_of(const E& e) {
  return e;
}
template <class A, class B>
Nothing rest_of(const Product<A, B>&) {
  return {};
}
template <class E>
auto rest_of(const Scaled<E>& e) {
  const auto rest = rest_of(e.inner());
  if constexpr (std::is_same_v<decltype(rest), const Nothing>) {
    return rest;
  } else {
    return scaled(rest, e.factor());
  }
}
template <Fn F, class L, class R>
  requires(!Binary<F, L, R>::kElementwise)
auto rest_of(const Binary<F, L, R>& e) {
  static_assert(F == Fn::add || F == Fn::subtract);
  auto l = rest_of(e.left());
  auto r = rest_of(e.right());
  constexpr bool kNoLeft = std::is_same_v<decltype(l), Nothing>;
  constexpr bool kNoRight = std::is_same_v<decltype(r), Nothing>;
  if constexpr (kNoRight) {
    return l;
  } else if constexpr (kNoLeft && F == Fn::add) {
    return r;
  } else if constexpr (kNoLeft) {
    return scaled(r, -1);
  } else {
    return binary<F>(l, r);
  }
}

/// Calls f(product, factor) for each product of a sum.
template <Fn G, class L, class R, class T, class F>
  requires(!Binary<G, L, R>::kElementwise)
void each_product(const Binary<G, L, R>& e, T factor, const F& f);
template <class E, class T, class F>
void each_product(const E&, T, const F&) {}
template <class A, class B, class T, class F>
void each_product(const Product<A, B>& p, T factor, const F& f) {
  f(p, factor);
}
template <class E, class T, class F>
void each_product(const Scaled<E>& e, T factor, const F& f) {
  each_product(e.inner(), factor * e.factor(), f);
}
template <Fn G, class L, class R, class T, class F>
  requires(!Binary<G, L, R>::kElementwise)
void each_product(const Binary<G, L, R>& e, T factor, const F& f) {
  each_product(e.left(), factor, f);
  each_product(e.right(), G == Fn::add ? factor : -factor, f);
}

/// Whether `rest` is factor * d, so that the first product can add it as beta * C.
template <class D, class R, class T>
bool is_multiple(const D&, const R&, T&) {
  return false;
}
template <class D, InMemory R, class T>
bool is_multiple(const D& d, const R& rest, T& factor) {
  const auto elements = rest.view();
  factor = 1;
  return decltype(elements)::kKind.transposed == D::kKind.transposed &&
         d.data() == elements.data() && d.stride() == elements.stride();
}
template <class D, InMemory R, class T>
bool is_multiple(const D& d, const Scaled<R>& rest, T& factor) {
  const bool is = is_multiple(d, rest.inner(), factor);
  factor = rest.factor();
  return is;
}

/// d = e, d += e or d -= e of a sum with products.
template <class T, Kind K, class E>
CHAINRULE_HOT void accumulate(const View<T, K>& d, const E& e, Assign mode) {
  T beta = mode == Assign::set ? T(0) : T(1);
  const auto rest = rest_of(e);
  if constexpr (!std::is_same_v<decltype(rest), const Nothing>) {
    if (mode != Assign::set || !is_multiple(d, rest, beta)) {
      run(d, rest, mode);
      beta = 1;
    }
  }
  each_product(e, mode == Assign::subtract ? T(-1) : T(1), [&](const auto& p, T factor) {
    multiply(d, p, factor, beta);
    beta = 1;
  });
}

}  // namespace detail

// --- assignments ---

template <class T, Kind K, Expression E>
CHAINRULE_HOT void check_shape(const View<T, K>& d, const E& e) {
  static_assert(!std::is_const_v<T>, "the elements of this view are const");
  static_assert(std::is_same_v<T, typename E::Scalar>, "element types must be the same");
  if (d.rows() != e.rows() || d.cols() != e.cols()) {
    detail::bad_assignment(d.rows(), d.cols(), e.rows(), e.cols());
  }
}

template <class T, Kind K, class E, bool kByRows, detail::Fold kFold>
CHAINRULE_HOT void assign_folded(const View<T, K>& d,
                                 const Folded<E, kByRows, kFold>& e,
                                 Assign mode) {
  constexpr bool kStrided = kByRows == !K.transposed;  // each line of d has one element
  if (mode == Assign::set) {
    detail::fold_lines(e, d.data(), kStrided ? d.stride() : 1);
  } else {
    detail::run(d, evaluated(e), mode);
  }
}
template <class T, Kind K, class E>
CHAINRULE_HOT void assign_folded(const View<T, K>& d, const E& e, Assign mode) {
  detail::accumulate(d, e, mode);
}

/// d = e, d += e or d -= e. No operand of e may overlap d, except one of element-wise functions
/// whose elements are exactly d's.
template <class T, Kind K, Expression E>
CHAINRULE_HOT void assign_apart(const View<T, K>& d, const E& e, Assign mode) {
  check_shape(d, e);
  if constexpr (InMemory<E>) {
    detail::run(d, operand_of(e), mode);
  } else if constexpr (E::kElementwise) {
    detail::run(d, e, mode);
  } else {
    assign_folded(d, e, mode);
  }
}

/// The same, through a temporary.
template <class T, Kind K, Expression E>
// NOLINTNEXTLINE(performance-unnecessary-value-param)
CHAINRULE_COLD void assign_copy(View<T, K> d, E e, Assign mode) {
  const Dense<T, E::kForm> result(e);  // NOLINT(performance-unnecessary-value-param)
  detail::run(d, as_array<E::kArray>(result.view()), mode);
}

/// The same for operands that may overlap d in any way.
template <class T, Kind K, Expression E>
CHAINRULE_HOT void assign(const View<T, K>& d, const E& e, Assign mode) {
  check_shape(d, e);
  if (e.template conflicts<true>(d.extent())) {
    assign_copy<T, K, E>(d, e, mode);
  } else {
    assign_apart(d, e, mode);
  }
}

template <class T, Kind K, Expression E>
CHAINRULE_HOT void check_apart(const View<T, K>& d, const E& e) {
  if (e.template conflicts<true>(d.extent())) detail::bad_noalias(d.rows(), d.cols());
}

template <class T, Kind K>
void fill_with(const View<T, K>& d, T value) {
  detail::run(d, Constant<T>{value});
}

// --- one number ---

template <class T, detail::Fold kFold, class E>
// NOLINTNEXTLINE(performance-unnecessary-value-param)
CHAINRULE_COLD T fold_blocks(E e) {
  return detail::fold(detail::Bound<E>(e).chain(), kFold);
}

template <detail::Fold kFold, Expression E>
CHAINRULE_HOT typename E::Scalar fold_all(const E& e, const char* which) {
  using T = typename E::Scalar;
  if (e.size() == 0) {
    if (kFold != detail::Fold::sum) detail::bad_fold(which, e.rows(), e.cols());
    return 0;
  }
  const auto x = chainable(e);
  using X = std::remove_const_t<decltype(x)>;
  if constexpr (detail::is_of_operators<typename X::Scalar>(detail::step_list<X>)) {
    T result;
    if (detail::fused_fold<kFold>(x, result)) return result;
  }
  return fold_blocks<T, kFold, X>(x);
}

template <Expression E>
typename E::Scalar mean_of(const E& e) {
  if (e.size() == 0) detail::bad_fold("mean", e.rows(), e.cols());
  return e.sum() / static_cast<typename E::Scalar>(e.size());
}

template <Expression E>
typename E::Scalar squared_norm(const E& e) {
  const auto x = chainable(e);
  const Unary<detail::Fn::square, std::remove_const_t<decltype(x)>> squares(x);
  return fold_all<detail::Fold::sum>(squares, "squaredNorm");
}

template <Expression E>
typename E::Scalar norm_of(const E& e) {
  return std::sqrt(squared_norm(e));
}

template <class A, class B>
typename A::Scalar value_of(const Product<A, B>& p) {
  using T = typename A::Scalar;
  if (p.rows() != 1 || p.cols() != 1) detail::bad_value(p.rows(), p.cols());
  T result = 0;
  const View<T> one(detail::Unchecked(), &result, 1, 1, 1);
  detail::multiply(one, p, T(1), T(0));
  return result;
}

/// A vector as a column, in an expression of arrays.
template <Expression V>
auto as_column(const V& v) {
  static_assert(V::kForm != Form::matrix, "dot() takes two vectors");
  const auto x = as_array<true>(chainable(v));
  if constexpr (V::kForm == Form::row) {
    return transposed(x);
  } else {
    return x;
  }
}

template <Expression U, Expression V>
auto dot_product(const U& u, const V& v) {
  return (as_column(u) * as_column(v)).sum();
}

}  // namespace chainrule::inline v0_1::blas
