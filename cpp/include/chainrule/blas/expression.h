// The nodes of matrix expressions. Operators build them and compute nothing; their types say what
// an expression is, and assign.h turns them into calls. Programs include chainrule/blas.h.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include "chainrule/blas/engine.h"

namespace chainrule::inline v0_1::blas {

/// What is known of lengths when a program is compiled: a column has one column, a row one row.
enum class Form : std::uint8_t { matrix, column, row };

/// What a view is, beside its element type.
struct Kind {
  Form form = Form::matrix;
  bool transposed = false;  ///< stored by columns: each column is contiguous
  bool array = false;       ///< operators work element by element
};

constexpr Form transposed_form(Form form) {
  return form == Form::matrix ? form : form == Form::row ? Form::column : Form::row;
}
constexpr Kind transposed_kind(Kind k) { return {transposed_form(k.form), !k.transposed, k.array}; }
constexpr Kind with_form(Kind k, Form form) { return {form, k.transposed, k.array}; }
constexpr Kind with_array(Kind k, bool array) { return {k.form, k.transposed, array}; }

template <class T, Kind K = Kind{}>
class View;
template <class T, Form F = Form::matrix>
class Dense;
template <class D, class T, Kind K>
class DenseBase;

struct ExpressionTag {};

/// Whatever has rows, columns and elements that can be computed.
template <class E>
concept Expression = std::derived_from<std::remove_cvref_t<E>, ExpressionTag>;
/// An expression whose elements lie in memory.
template <class E>
concept InMemory = Expression<E> && requires(const E& e) { e.view(); };
/// A number of any arithmetic type: it is converted to the element type of the other operand.
template <class S>
concept Number = std::is_arithmetic_v<S>;

namespace detail {

/// Collects the steps of an expression type when a program is compiled.
struct StepList {
  Step steps[2 * kMaxOperands];
  bool is_number[kMaxOperands] = {};
  int step_count = 0, operand_count = 0, slot_count = 0;

  constexpr int operand() { return operand_count++; }
  constexpr int number() {
    is_number[operand_count] = true;
    return operand();
  }
  constexpr int apply(Fn fn, int a, int b, int slot) {
    steps[step_count++] = {fn,
                           static_cast<std::int16_t>(a),
                           static_cast<std::int16_t>(b),
                           static_cast<std::int16_t>(slot)};
    if (slot_count <= slot) slot_count = slot + 1;
    return -1 - slot;
  }
};

}  // namespace detail

template <class E, bool kByRows>
class Lines;

/// What all expressions can do. E derives from it.
template <class E>
class ExpressionBase : public ExpressionTag {
  ExpressionBase() = default;
  friend E;
  template <class, class, Kind>
  friend class DenseBase;
  template <class, class>
  friend class Around;

 public:
  [[nodiscard]] Index size() const { return self().rows() * self().cols(); }
  [[nodiscard]] auto transpose() const { return transposed(operand_of(self())); }
  /// Operators of the result work element by element, and it has the functions of elementwise.def.
  [[nodiscard]] auto array() const { return as_array<true>(chainable(self())); }
  /// The opposite of array().
  [[nodiscard]] auto matrix() const { return as_array<false>(chainable(self())); }
  /// Row by row (column by column): reductions, and arithmetic with a vector that is repeated.
  [[nodiscard]] auto rowwise() const { return lines<true>(chainable(self())); }
  [[nodiscard]] auto colwise() const { return lines<false>(chainable(self())); }
  /// A new matrix or vector with the elements.
  [[nodiscard]] auto eval() const { return evaluate(self()); }

  [[nodiscard]] auto sum() const { return fold_all<detail::Fold::sum>(self(), "sum"); }
  /// The mean, the largest and the smallest element; NaN if an element is. Throw InvalidArgument
  /// when there is none.
  [[nodiscard]] auto mean() const { return mean_of(self()); }
  [[nodiscard]] auto maxCoeff() const { return fold_all<detail::Fold::max>(self(), "maxCoeff"); }
  [[nodiscard]] auto minCoeff() const { return fold_all<detail::Fold::min>(self(), "minCoeff"); }
  /// The sum of the squares of all elements, and its square root.
  [[nodiscard]] auto squaredNorm() const { return squared_norm(self()); }
  [[nodiscard]] auto norm() const { return norm_of(self()); }
  /// The sum of products of the elements of two vectors.
  template <Expression O>
  [[nodiscard]] auto dot(const O& other) const {
    return dot_product(self(), other);
  }

  // The functions of arrays: exp(), log(), tanh(), sqrt(), square(), abs(), relu()...
#define CHAINRULE_kSame(name) \
  [[nodiscard]] auto name() const { return unary<detail::Fn::name>(self()); }
#define CHAINRULE_kBool(name)
#define UNARY(name, dtypes, result, ...) CHAINRULE_##result(name)
#define BINARY(...)
#define TERNARY(...)
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
#undef CHAINRULE_kSame
#undef CHAINRULE_kBool
  /// The larger (smaller) of each element and a number or the other's element; NaN if one is.
  template <class O>
  [[nodiscard]] auto max(const O& other) const {
    return elementwise<detail::Fn::maximum>(self(), other);
  }
  template <class O>
  [[nodiscard]] auto min(const O& other) const {
    return elementwise<detail::Fn::minimum>(self(), other);
  }
  template <class O>
  [[nodiscard]] auto pow(const O& exponent) const {
    return elementwise<detail::Fn::power>(self(), exponent);
  }

 private:
  [[nodiscard]] const E& self() const { return static_cast<const E&>(*this); }
};

// --- nodes ---
//
// kElementwise: steps on operands in memory, no product inside. emit() lists the steps, bind() the
// operands in the same order. conflicts() says whether writing to a destination would change
// elements that are still to be read; an element-wise expression may write where it reads
// (kSameIsFine).

/// A number in place of a matrix of any size.
template <class T>
struct Constant {
  using Scalar = T;
  static constexpr Form kForm = Form::matrix;
  static constexpr bool kElementwise = true;
  T value;

  static constexpr int emit(detail::StepList& list, int) { return list.number(); }
  void bind(detail::Operand<T>*& next) const { *next++ = {&value, 0, 0}; }
  template <bool>
  [[nodiscard]] bool conflicts(const detail::Extent&) const {
    return false;
  }
};

/// The result of an expression that had to be computed first.
template <class T, Kind K>
class Evaluated : public ExpressionBase<Evaluated<T, K>> {
 public:
  using Scalar = T;
  static constexpr Form kForm = K.form;
  static constexpr bool kArray = K.array, kElementwise = true;

  Evaluated(std::shared_ptr<const void> owner, const View<const T, K>& elements)
      : owner_(std::move(owner)), elements_(elements) {}
  [[nodiscard]] Index rows() const { return elements_.rows(); }
  [[nodiscard]] Index cols() const { return elements_.cols(); }
  [[nodiscard]] const View<const T, K>& view() const { return elements_; }
  [[nodiscard]] const std::shared_ptr<const void>& owner() const { return owner_; }

  static constexpr int emit(detail::StepList& list, int) { return list.operand(); }
  void bind(detail::Operand<T>*& next) const { elements_.bind(next); }
  template <bool>
  [[nodiscard]] bool conflicts(const detail::Extent&) const {
    return false;
  }

 private:
  std::shared_ptr<const void> owner_;
  View<const T, K> elements_;
};

/// A vector that stands for a matrix with the vector in each row (kByRows) or column.
template <class V, bool kByRows>
class Repeated : public ExpressionBase<Repeated<V, kByRows>> {
 public:
  using Scalar = typename V::Scalar;
  static constexpr Form kForm = Form::matrix;
  static constexpr bool kArray = V::kArray, kElementwise = true;

  Repeated(const V& vector, Index times) : vector_(vector), times_(times) {}
  [[nodiscard]] Index rows() const { return kByRows ? times_ : vector_.rows(); }
  [[nodiscard]] Index cols() const { return kByRows ? vector_.cols() : times_; }
  [[nodiscard]] const V& vector() const { return vector_; }

  static constexpr int emit(detail::StepList& list, int) { return list.operand(); }
  void bind(detail::Operand<Scalar>*& next) const {
    vector_.bind(next);
    (kByRows ? next[-1].row_step : next[-1].col_step) = 0;
  }
  template <bool>
  [[nodiscard]] bool conflicts(const detail::Extent& d) const {
    return vector_.template conflicts<false>(d);
  }

 private:
  V vector_;
  Index times_;
};

/// Base of the expressions that wrap another one of the same shape. D derives from it.
template <class D, class E>
class Around : public ExpressionBase<D> {
  explicit Around(const E& e) : e_(e) {}
  friend D;

 public:
  using Scalar = typename E::Scalar;
  static constexpr Form kForm = E::kForm;
  static constexpr bool kArray = E::kArray, kElementwise = true;

  [[nodiscard]] Index rows() const { return e_.rows(); }
  [[nodiscard]] Index cols() const { return e_.cols(); }
  [[nodiscard]] const E& inner() const { return e_; }

  void bind(detail::Operand<Scalar>*& next) const { e_.bind(next); }
  template <bool kSameIsFine>
  [[nodiscard]] bool conflicts(const detail::Extent& d) const {
    return e_.template conflicts<kSameIsFine>(d);
  }

 private:
  E e_;
};

template <detail::Fn F, class E>
class Unary : public Around<Unary<F, E>, E> {
 public:
  explicit Unary(const E& e) : Around<Unary, E>(e) {}

  static constexpr int emit(detail::StepList& list, int slot) {
    const int a = E::emit(list, slot);
    return list.apply(F, a, a, slot);
  }
};

/// The same elements with the operators of arrays (kToArray) or of matrices.
template <class E, bool kToArray>
class Marked : public Around<Marked<E, kToArray>, E> {
 public:
  static constexpr bool kArray = kToArray;

  explicit Marked(const E& e) : Around<Marked, E>(e) {}

  static constexpr int emit(detail::StepList& list, int slot) { return E::emit(list, slot); }
};

/// A function of two expressions of one shape; one of them may be a Constant.
template <detail::Fn F, class L, class R>
class Binary : public ExpressionBase<Binary<F, L, R>> {
  static constexpr bool kLeftNumber = !Expression<L>, kRightNumber = !Expression<R>;
  using Shaped = std::conditional_t<kLeftNumber, R, L>;

 public:
  using Scalar = typename L::Scalar;
  static_assert(std::is_same_v<Scalar, typename R::Scalar>,
                "operands must have the same element type");
  static constexpr Form kForm = L::kForm != Form::matrix ? L::kForm : R::kForm;
  static constexpr bool kArray = Shaped::kArray;
  static constexpr bool kElementwise = L::kElementwise && R::kElementwise;

  Binary(const L& l, const R& r) : l_(l), r_(r) {
    if constexpr (!kLeftNumber && !kRightNumber) {
      static_assert(L::kArray == R::kArray, "use array() or matrix() on one of the operands");
      if (l.rows() != r.rows() || l.cols() != r.cols()) {
        detail::bad_sum(l.rows(), l.cols(), r.rows(), r.cols());
      }
    }
  }
  [[nodiscard]] Index rows() const { return shaped().rows(); }
  [[nodiscard]] Index cols() const { return shaped().cols(); }
  [[nodiscard]] const L& left() const { return l_; }
  [[nodiscard]] const R& right() const { return r_; }

  static constexpr int emit(detail::StepList& list, int slot) {
    const int a = L::emit(list, slot);
    const int b = R::emit(list, a < 0 ? slot + 1 : slot);
    return list.apply(F, a, b, slot);
  }
  void bind(detail::Operand<Scalar>*& next) const {
    l_.bind(next);
    r_.bind(next);
  }
  template <bool kSameIsFine>
  [[nodiscard]] bool conflicts(const detail::Extent& d) const {
    return l_.template conflicts<kSameIsFine>(d) || r_.template conflicts<kSameIsFine>(d);
  }

 private:
  [[nodiscard]] const Shaped& shaped() const {
    if constexpr (kLeftNumber) {
      return r_;
    } else {
      return l_;
    }
  }

  L l_;
  R r_;
};

/// factor * e.
template <class E>
class Scaled : public Around<Scaled<E>, E> {
  using Base = Around<Scaled<E>, E>;

 public:
  using typename Base::Scalar;
  static constexpr bool kElementwise = E::kElementwise;

  Scaled(const E& e, Scalar factor) : Base(e), factor_{factor} {}
  [[nodiscard]] Scalar factor() const { return factor_.value; }

  static constexpr int emit(detail::StepList& list, int slot) {
    const int a = E::emit(list, slot);
    return list.apply(detail::Fn::multiply, a, list.number(), slot);
  }
  void bind(detail::Operand<Scalar>*& next) const {
    Base::bind(next);
    factor_.bind(next);
  }

 private:
  Constant<Scalar> factor_;
};

/// alpha * A * B, of two expressions in memory.
template <class A, class B>
class Product : public ExpressionBase<Product<A, B>> {
 public:
  using Scalar = typename A::Scalar;
  static_assert(std::is_same_v<Scalar, typename B::Scalar>,
                "operands must have the same element type");
  static constexpr bool kArray = false, kElementwise = false;
  static constexpr Form kForm = A::kForm == Form::row && B::kForm == Form::column ? Form::matrix
                                : A::kForm == Form::row                           ? Form::row
                                : B::kForm == Form::column                        ? Form::column
                                                                                  : Form::matrix;

  Product(const A& a, const B& b, Scalar alpha) : a_(a), b_(b), alpha_(alpha) {
    if (a.cols() != b.rows()) detail::bad_product(a.rows(), a.cols(), b.rows(), b.cols());
  }
  [[nodiscard]] Index rows() const { return a_.rows(); }
  [[nodiscard]] Index cols() const { return b_.cols(); }
  [[nodiscard]] const A& left() const { return a_; }
  [[nodiscard]] const B& right() const { return b_; }
  [[nodiscard]] Scalar alpha() const { return alpha_; }
  /// The element of a product that has one. Throws InvalidArgument for another shape.
  [[nodiscard]] Scalar value() const { return value_of(*this); }
  template <bool>
  [[nodiscard]] bool conflicts(const detail::Extent& d) const {
    return a_.template conflicts<false>(d) || b_.template conflicts<false>(d);
  }

 private:
  A a_;
  B b_;
  Scalar alpha_;
};

/// Each row (kByRows) or column of an element-wise expression folded to one number.
template <class E, bool kByRows, detail::Fold kFold>
class Folded : public ExpressionBase<Folded<E, kByRows, kFold>> {
 public:
  using Scalar = typename E::Scalar;
  static constexpr Form kForm = kByRows ? Form::column : Form::row;
  static constexpr bool kArray = E::kArray, kElementwise = false;

  Folded(const E& e, detail::Finish<Scalar> finish) : e_(e), finish_(finish) {}
  [[nodiscard]] Index rows() const { return kByRows ? e_.rows() : 1; }
  [[nodiscard]] Index cols() const { return kByRows ? 1 : e_.cols(); }
  [[nodiscard]] const E& inner() const { return e_; }
  [[nodiscard]] detail::Finish<Scalar> finish() const { return finish_; }
  template <bool>
  [[nodiscard]] bool conflicts(const detail::Extent& d) const {
    return e_.template conflicts<false>(d);
  }

 private:
  E e_;
  detail::Finish<Scalar> finish_;
};

}  // namespace chainrule::inline v0_1::blas
