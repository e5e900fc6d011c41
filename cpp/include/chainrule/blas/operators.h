// The operators of matrix expressions. They build nodes, and compute only operands that a node
// cannot hold: folds, products inside of element-wise functions, and operands of products that do
// not lie in memory. Programs include chainrule/blas.h.
#pragma once

#include "chainrule/blas/expression.h"
#include "chainrule/blas/matrix.h"

namespace chainrule::inline v0_1::blas {

// --- operands ---

/// The same elements with the operators of arrays, or of matrices.
template <bool kToArray, class T, Kind K>
auto as_array(const View<T, K>& v) {
  return View<T, with_array(K, kToArray)>(
      detail::Unchecked(), v.data(), v.rows(), v.cols(), v.stride());
}
template <bool kToArray, class T, Kind K>
auto as_array(const Evaluated<T, K>& e) {
  return Evaluated<T, with_array(K, kToArray)>(e.owner(), as_array<kToArray>(e.view()));
}
template <bool kToArray, Expression E>
  requires(!InMemory<E>)
auto as_array(const E& e) {
  if constexpr (E::kArray == kToArray) {
    return e;
  } else {
    return Marked<E, kToArray>(e);
  }
}

template <Expression E>
auto evaluate(const E& e) {
  return Dense<typename E::Scalar, E::kForm>(e);
}

/// A node of the elements of `e`, computed now.
template <Expression E>
auto evaluated(const E& e) {
  using Result = Dense<typename E::Scalar, E::kForm>;
  const auto owner = std::make_shared<const Result>(e);
  const auto elements = as_array<E::kArray>(owner->view());
  return Evaluated<typename E::Scalar, decltype(elements)::kKind>(owner, elements);
}

template <class E>
struct IsFolded : std::false_type {};
template <class E, bool kByRows, detail::Fold kFold>
struct IsFolded<Folded<E, kByRows, kFold>> : std::true_type {};

/// `e` as a node may hold it: elements in memory as a view.
template <Expression E>
auto operand_of(const E& e) {
  if constexpr (requires { e.owner(); }) {
    return e;
  } else if constexpr (InMemory<E>) {
    return e.view();
  } else if constexpr (IsFolded<E>::value) {
    return evaluated(e);
  } else {
    return e;
  }
}

/// The same as an element-wise expression.
template <Expression E>
auto chainable(const E& e) {
  if constexpr (E::kElementwise) {
    return operand_of(e);
  } else {
    return evaluated(e);
  }
}

/// The same in memory.
template <Expression E>
auto in_memory(const E& e) {
  if constexpr (InMemory<E>) {
    return operand_of(e);
  } else {
    return evaluated(e);
  }
}

template <Expression E>
using OperandOf = decltype(operand_of(std::declval<const E&>()));

/// Part of a view; throws InvalidArgument unless it lies inside.
template <Form F, class T, Kind K>
auto part(const View<T, K>& v, Index i, Index j, Index rows, Index cols) {
  if (i < 0 || j < 0 || rows < 0 || cols < 0 || rows > v.rows() - i || cols > v.cols() - j) {
    detail::bad_block(v.rows(), v.cols(), i, j, rows, cols);
  }
  const Index offset = K.transposed ? j * v.stride() + i : i * v.stride() + j;
  return View<T, with_form(K, F)>(
      detail::Unchecked(), rows * cols == 0 ? v.data() : v.data() + offset, rows, cols, v.stride());
}

template <class T, Kind K>
auto vector_part(const View<T, K>& v, Index first, Index n) {
  if constexpr (K.form == Form::column) {
    return part<Form::column>(v, first, 0, n, 1);
  } else {
    return part<Form::row>(v, 0, first, 1, n);
  }
}

// --- transposes ---

template <class T, Kind K>
auto transposed(const View<T, K>& v) {
  return View<T, transposed_kind(K)>(detail::Unchecked(), v.data(), v.cols(), v.rows(), v.stride());
}
template <class T, Kind K>
auto transposed(const Evaluated<T, K>& e) {
  return Evaluated<T, transposed_kind(K)>(e.owner(), transposed(e.view()));
}
template <class V, bool kByRows>
auto transposed(const Repeated<V, kByRows>& e) {
  const auto vector = transposed(e.vector());
  return Repeated<std::remove_const_t<decltype(vector)>, !kByRows>(vector,
                                                                   kByRows ? e.rows() : e.cols());
}
template <detail::Fn F, class E>
auto transposed(const Unary<F, E>& e) {
  const auto inner = transposed(e.inner());
  return Unary<F, std::remove_const_t<decltype(inner)>>(inner);
}
template <class E, bool kToArray>
auto transposed(const Marked<E, kToArray>& e) {
  return as_array<kToArray>(transposed(e.inner()));
}
template <class T>
auto transposed(const Constant<T>& number) {
  return number;
}
template <detail::Fn F, class L, class R>
auto transposed(const Binary<F, L, R>& e) {
  return binary<F>(transposed(e.left()), transposed(e.right()));
}
template <class E>
auto transposed(const Scaled<E>& e) {
  return scaled(transposed(e.inner()), e.factor());
}
template <class A, class B>
auto transposed(const Product<A, B>& p) {
  return product(transposed(p.right()), transposed(p.left()), p.alpha());
}

// --- element by element ---

template <detail::Fn F, class L, class R>
auto binary(const L& l, const R& r) {
  return Binary<F, L, R>(l, r);
}

/// F of an array and an array or a number.
template <detail::Fn F, class L, class R>
auto elementwise(const L& l, const R& r) {
  if constexpr (Number<L>) {
    static_assert(R::kArray, "functions of elements need array()");
    return binary<F>(Constant<typename R::Scalar>{static_cast<typename R::Scalar>(l)},
                     operand_of(r));
  } else if constexpr (Number<R>) {
    static_assert(L::kArray, "functions of elements need array()");
    return binary<F>(operand_of(l),
                     Constant<typename L::Scalar>{static_cast<typename L::Scalar>(r)});
  } else {
    static_assert(L::kArray && R::kArray, "functions of elements need array()");
    return binary<F>(operand_of(l), operand_of(r));
  }
}

template <detail::Fn F, Expression E>
auto unary(const E& e) {
  static_assert(E::kArray, "functions of elements need array()");
  return Unary<F, OperandOf<E>>(operand_of(e));
}

template <Expression L, Expression R>
auto operator+(const L& l, const R& r) {
  return binary<detail::Fn::add>(operand_of(l), operand_of(r));
}
template <Expression L, Expression R>
auto operator-(const L& l, const R& r) {
  return binary<detail::Fn::subtract>(operand_of(l), operand_of(r));
}
template <Expression L, Number R>
auto operator+(const L& l, R r) {
  return elementwise<detail::Fn::add>(l, r);
}
template <Number L, Expression R>
auto operator+(L l, const R& r) {
  return elementwise<detail::Fn::add>(l, r);
}
template <Expression L, Number R>
auto operator-(const L& l, R r) {
  return elementwise<detail::Fn::subtract>(l, r);
}
template <Number L, Expression R>
auto operator-(L l, const R& r) {
  return elementwise<detail::Fn::subtract>(l, r);
}
template <Expression L, Expression R>
  requires(L::kArray && R::kArray)
auto operator/(const L& l, const R& r) {
  return elementwise<detail::Fn::divide>(l, r);
}
template <Number L, Expression R>
auto operator/(L l, const R& r) {
  return elementwise<detail::Fn::divide>(l, r);
}

// --- factors and products ---

template <class E, class S>
auto scaled(const E& e, S factor) {
  return Scaled<E>(e, static_cast<typename E::Scalar>(factor));
}
template <class E, class S>
auto scaled(const Scaled<E>& e, S factor) {
  return scaled(e.inner(), e.factor() * static_cast<typename E::Scalar>(factor));
}
template <class A, class B, class S>
auto scaled(const Product<A, B>& p, S factor) {
  return product(p.left(), p.right(), p.alpha() * static_cast<typename A::Scalar>(factor));
}

template <Expression E, Number S>
auto operator*(const E& e, S factor) {
  return scaled(operand_of(e), factor);
}
template <Number S, Expression E>
auto operator*(S factor, const E& e) {
  return scaled(operand_of(e), factor);
}
template <Expression E>
auto operator-(const E& e) {
  return scaled(operand_of(e), -1);
}
template <Expression E, Number S>
auto operator/(const E& e, S divisor) {
  using T = typename E::Scalar;
  if constexpr (E::kElementwise) {
    return binary<detail::Fn::divide>(operand_of(e), Constant<T>{static_cast<T>(divisor)});
  } else {
    return scaled(operand_of(e), 1 / static_cast<T>(divisor));
  }
}

template <class A, class B>
auto product(const A& a, const B& b, typename A::Scalar alpha) {
  return Product<A, B>(a, b, alpha);
}

/// What a product multiplies: elements in memory and a factor before them.
template <Expression E>
auto factor_of(const E& e) {
  return std::pair(in_memory(e), typename E::Scalar(1));
}
template <InMemory E>
auto factor_of(const Scaled<E>& e) {
  return std::pair(e.inner(), e.factor());
}

/// The matrix product; of arrays, the product element by element.
template <Expression L, Expression R>
auto operator*(const L& l, const R& r) {
  static_assert(L::kArray == R::kArray, "use array() or matrix() on one of the operands");
  if constexpr (L::kArray) {
    return elementwise<detail::Fn::multiply>(l, r);
  } else {
    const auto [a, alpha] = factor_of(l);
    const auto [b, beta] = factor_of(r);
    return product(a, b, alpha * beta);
  }
}

// --- row by row, column by column ---

/// What rowwise() (kByRows) and colwise() return.
template <class E, bool kByRows>
class Lines {
  using Scalar = typename E::Scalar;

 public:
  explicit Lines(const E& e) : e_(e) {}

  // One number for each row (a column vector) or column (a row vector).
  [[nodiscard]] auto sum() const { return folded<detail::Fold::sum>(operand_of(e_), {}); }
  /// These three throw InvalidArgument if the rows (columns) have no elements.
  [[nodiscard]] auto mean() const {
    require_elements("mean");
    return folded<detail::Fold::sum>(operand_of(e_), {Scalar(1) / static_cast<Scalar>(length())});
  }
  [[nodiscard]] auto maxCoeff() const {
    require_elements("maxCoeff");
    return folded<detail::Fold::max>(operand_of(e_), {});
  }
  [[nodiscard]] auto minCoeff() const {
    require_elements("minCoeff");
    return folded<detail::Fold::min>(operand_of(e_), {});
  }
  [[nodiscard]] auto squaredNorm() const { return folded<detail::Fold::sum>(squares(), {}); }
  [[nodiscard]] auto norm() const { return folded<detail::Fold::sum>(squares(), {1, true}); }

  // Arithmetic of each row with a row vector, of each column with a column vector.
  template <Expression V>
  [[nodiscard]] auto operator+(const V& v) const {
    return operand_of(e_) + repeated(v);
  }
  template <Expression V>
  [[nodiscard]] auto operator-(const V& v) const {
    return operand_of(e_) - repeated(v);
  }
  template <Expression V>
  [[nodiscard]] auto operator*(const V& v) const {
    return elementwise<detail::Fn::multiply>(e_, repeated(v));
  }
  template <Expression V>
  [[nodiscard]] auto operator/(const V& v) const {
    return elementwise<detail::Fn::divide>(e_, repeated(v));
  }
  template <Expression V>
  void operator=(const V& v) {  // NOLINT(misc-unconventional-assign-operator)
    e_ = repeated(v);
  }
  template <Expression V>
  void operator+=(const V& v) {
    e_ += repeated(v);
  }
  template <Expression V>
  void operator-=(const V& v) {
    e_ -= repeated(v);
  }
  template <Expression V>
  void operator*=(const V& v) {
    e_ *= repeated(v);
  }
  template <Expression V>
  void operator/=(const V& v) {
    e_ /= repeated(v);
  }

 private:
  template <detail::Fold kFold, class F>
  static auto folded(const F& e, detail::Finish<Scalar> finish) {
    return Folded<F, kByRows, kFold>(e, finish);
  }
  [[nodiscard]] auto squares() const {
    return Unary<detail::Fn::square, OperandOf<E>>(operand_of(e_));
  }
  [[nodiscard]] Index length() const { return kByRows ? e_.cols() : e_.rows(); }
  void require_elements(const char* which) const {
    if (length() == 0) detail::bad_fold(which, e_.rows(), e_.cols());
  }
  template <class V>
  [[nodiscard]] auto repeated(const V& v) const {
    constexpr Form kOther = kByRows ? Form::column : Form::row;
    static_assert(V::kForm != kOther,
                  "rowwise() takes a row vector and colwise() a column vector: transpose() it");
    if ((kByRows ? v.rows() : v.cols()) != 1 ||
        (kByRows ? v.cols() != e_.cols() : v.rows() != e_.rows())) {
      detail::bad_broadcast(
          kByRows ? "rowwise" : "colwise", e_.rows(), e_.cols(), v.rows(), v.cols());
    }
    const auto vector = as_array<E::kArray>(in_memory(v));
    return Repeated<std::remove_const_t<decltype(vector)>, kByRows>(
        vector, kByRows ? e_.rows() : e_.cols());
  }

  E e_;
};

template <bool kByRows, Expression E>
auto lines(const E& e) {
  return Lines<E, kByRows>(e);
}

}  // namespace chainrule::inline v0_1::blas
