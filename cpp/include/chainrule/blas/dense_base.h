// What matrices, vectors and views of them share: parts, reductions, assignments. Programs include
// chainrule/blas.h.
#pragma once

#include <algorithm>
#include <array>

#include "chainrule/blas/expression.h"
#include "chainrule/tensor.h"

namespace chainrule::inline v0_1::blas {

enum class Assign : std::uint8_t { set, add, subtract };

/// What noalias() returns: assignments that write into the destination without a temporary. An
/// operand that overlaps the destination is an error (InvalidArgument), found before it is changed.
template <class D>
class NoAlias {
 public:
  explicit NoAlias(D& destination) : d_(destination) {}
  template <Expression E>
  void operator=(const E& e) {  // NOLINT(misc-unconventional-assign-operator)
    check_apart(d_.view(), e);
    d_.take_shape_of(e);
    assign_apart(d_.view(), e, Assign::set);
  }
  template <Expression E>
  void operator+=(const E& e) {
    check_apart(d_.view(), e);
    assign_apart(d_.view(), e, Assign::add);
  }
  template <Expression E>
  void operator-=(const E& e) {
    check_apart(d_.view(), e);
    assign_apart(d_.view(), e, Assign::subtract);
  }

 private:
  D& d_;
};

/// What views and owning matrices share. D derives from it and has data(), rows(), cols(),
/// stride(). Like an owner, a view that is const gives no write access.
template <class D, class T, Kind K>
class DenseBase : public ExpressionBase<D> {
  DenseBase() = default;
  friend D;
  using Const = const std::remove_const_t<T>;
  static constexpr bool kVector = K.form != Form::matrix;

 public:
  using Scalar = std::remove_const_t<T>;
  static constexpr Kind kKind = K;
  static constexpr Form kForm = K.form;
  static constexpr bool kArray = K.array, kElementwise = true;

  /// All elements, as a view.
  [[nodiscard]] View<T, K> view() {
    return {detail::Unchecked(), self().data(), self().rows(), self().cols(), self().stride()};
  }
  [[nodiscard]] View<Const, K> view() const {
    return {detail::Unchecked(), self().data(), self().rows(), self().cols(), self().stride()};
  }

  /// Elements; positions are not checked.
  [[nodiscard]] T& operator()(Index i, Index j) { return self().data()[offset(i, j)]; }
  [[nodiscard]] Const& operator()(Index i, Index j) const { return self().data()[offset(i, j)]; }
  [[nodiscard]] T& operator()(Index i)
    requires kVector
  {
    return self().data()[offset(i)];
  }
  [[nodiscard]] Const& operator()(Index i) const
    requires kVector
  {
    return self().data()[offset(i)];
  }
  [[nodiscard]] T& operator[](Index i)
    requires kVector
  {
    return self().data()[offset(i)];
  }
  [[nodiscard]] Const& operator[](Index i) const
    requires kVector
  {
    return self().data()[offset(i)];
  }

  // Parts, as views of the same memory. Throw InvalidArgument when they do not lie inside.

  /// rows x cols elements from (i, j) on.
  [[nodiscard]] auto block(Index i, Index j, Index rows, Index cols) {
    return part<Form::matrix>(view(), i, j, rows, cols);
  }
  [[nodiscard]] auto block(Index i, Index j, Index rows, Index cols) const {
    return part<Form::matrix>(view(), i, j, rows, cols);
  }
  [[nodiscard]] auto row(Index i) { return part<Form::row>(view(), i, 0, 1, self().cols()); }
  [[nodiscard]] auto row(Index i) const { return part<Form::row>(view(), i, 0, 1, self().cols()); }
  [[nodiscard]] auto col(Index j) { return part<Form::column>(view(), 0, j, self().rows(), 1); }
  [[nodiscard]] auto col(Index j) const {
    return part<Form::column>(view(), 0, j, self().rows(), 1);
  }
  [[nodiscard]] auto topRows(Index n) { return block(0, 0, n, self().cols()); }
  [[nodiscard]] auto topRows(Index n) const { return block(0, 0, n, self().cols()); }
  [[nodiscard]] auto bottomRows(Index n) { return block(self().rows() - n, 0, n, self().cols()); }
  [[nodiscard]] auto bottomRows(Index n) const {
    return block(self().rows() - n, 0, n, self().cols());
  }
  [[nodiscard]] auto leftCols(Index n) { return block(0, 0, self().rows(), n); }
  [[nodiscard]] auto leftCols(Index n) const { return block(0, 0, self().rows(), n); }
  [[nodiscard]] auto rightCols(Index n) { return block(0, self().cols() - n, self().rows(), n); }
  [[nodiscard]] auto rightCols(Index n) const {
    return block(0, self().cols() - n, self().rows(), n);
  }
  /// n elements of a vector: from `first` on, the first, the last.
  [[nodiscard]] auto segment(Index first, Index n)
    requires kVector
  {
    return vector_part(view(), first, n);
  }
  [[nodiscard]] auto segment(Index first, Index n) const
    requires kVector
  {
    return vector_part(view(), first, n);
  }
  [[nodiscard]] auto head(Index n)
    requires kVector
  {
    return segment(0, n);
  }
  [[nodiscard]] auto head(Index n) const
    requires kVector
  {
    return segment(0, n);
  }
  [[nodiscard]] auto tail(Index n)
    requires kVector
  {
    return segment(this->size() - n, n);
  }
  [[nodiscard]] auto tail(Index n) const
    requires kVector
  {
    return segment(this->size() - n, n);
  }

  // Other views of the same elements; those of an object that is not const can be assigned to.

  [[nodiscard]] auto transpose() { return transposed(view()); }
  [[nodiscard]] auto transpose() const { return transposed(view()); }
  [[nodiscard]] auto array() { return as_array<true>(view()); }
  [[nodiscard]] auto array() const { return as_array<true>(view()); }
  [[nodiscard]] auto matrix() { return as_array<false>(view()); }
  [[nodiscard]] auto matrix() const { return as_array<false>(view()); }
  [[nodiscard]] auto rowwise() { return lines<true>(view()); }
  [[nodiscard]] auto rowwise() const { return lines<true>(view()); }
  [[nodiscard]] auto colwise() { return lines<false>(view()); }
  [[nodiscard]] auto colwise() const { return lines<false>(view()); }

  // Assignments. Operands may overlap the destination; shapes must be the same.

  [[nodiscard]] NoAlias<D> noalias() { return NoAlias<D>(self()); }
  template <Expression E>
  D& operator+=(const E& e) {
    assign(view(), e, Assign::add);
    return self();
  }
  template <Expression E>
  D& operator-=(const E& e) {
    assign(view(), e, Assign::subtract);
    return self();
  }
  template <Number S>
  D& operator*=(S factor) {
    assign(view(), view() * factor, Assign::set);
    return self();
  }
  template <Number S>
  D& operator/=(S divisor) {
    assign(view(), view() / divisor, Assign::set);
    return self();
  }
  template <Expression E>
  D& operator*=(const E& e) {
    static_assert(K.array, "A *= B multiplies arrays; for matrices write A = A * B");
    assign(view(), view() * e, Assign::set);
    return self();
  }
  template <Expression E>
  D& operator/=(const E& e) {
    static_assert(K.array, "A /= B divides arrays");
    assign(view(), view() / e, Assign::set);
    return self();
  }
  template <Number S>
  D& operator+=(S number) {
    static_assert(K.array, "A += number needs array()");
    assign(view(), view() + number, Assign::set);
    return self();
  }
  template <Number S>
  D& operator-=(S number) {
    static_assert(K.array, "A -= number needs array()");
    assign(view(), view() - number, Assign::set);
    return self();
  }
  D& setConstant(Scalar value) {
    fill_with(view(), value);
    return self();
  }
  D& fill(Scalar value) { return setConstant(value); }
  D& setZero() { return setConstant(0); }
  /// Ones on the main diagonal, zeros elsewhere.
  D& setIdentity() {
    setZero();
    for (Index i = 0; i < std::min(self().rows(), self().cols()); ++i) (*this)(i, i) = 1;
    return self();
  }

  // For expressions: this as an operand.
  static constexpr int emit(detail::StepList& list, int) { return list.operand(); }
  void bind(detail::Operand<Scalar>*& next) const {
    const Index stride = self().stride();
    *next++ = {self().data(), K.transposed ? 1 : stride, K.transposed ? stride : 1};
  }
  [[nodiscard]] detail::Extent extent() const {
    const Index stride = self().stride();
    const Index lines = K.transposed ? self().cols() : self().rows();
    const Index length = K.transposed ? self().rows() : self().cols();
    return {{self().data(), lines, length, stride, sizeof(T)}, K.transposed};
  }
  template <bool kSameIsFine>
  [[nodiscard]] bool conflicts(const detail::Extent& d) const {
    return d.conflicts<kSameIsFine>(extent());
  }

 private:
  [[nodiscard]] D& self() { return static_cast<D&>(*this); }
  [[nodiscard]] const D& self() const { return static_cast<const D&>(*this); }
  [[nodiscard]] Index offset(Index i, Index j) const {
    return K.transposed ? j * self().stride() + i : i * self().stride() + j;
  }
  [[nodiscard]] Index offset(Index i) const {
    return K.form == Form::column ? offset(i, 0) : offset(0, i);
  }
};

}  // namespace chainrule::inline v0_1::blas
