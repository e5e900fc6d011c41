// Matrices and vectors, owning and mapped. Programs include chainrule/blas.h.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>

#include "chainrule/blas/expression.h"
#include "chainrule/tensor.h"

namespace chainrule::blas {

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

  // Assignments. Right whatever the operands overlap; shapes must be the same.

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
  [[nodiscard]] detail::Target target() const {
    const Index stride = self().stride();
    const Index lines = K.transposed ? self().cols() : self().rows();
    const Index length = K.transposed ? self().rows() : self().cols();
    return {{self().data(), lines, length, stride, sizeof(T)}, K.transposed};
  }
  template <bool kSameIsFine>
  [[nodiscard]] bool conflicts(const detail::Target& d) const {
    return d.conflicts<kSameIsFine>(target());
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

/// Elements in memory that belong to someone else, who must keep them while the view is used. A
/// copy of a view refers to the same elements; assigning to a view writes the elements.
template <class T, Kind K>
class View : public DenseBase<View<T, K>, T, K> {
  static constexpr bool kVector = K.form != Form::matrix;

 public:
  /// rows x cols elements, rows (columns if K.transposed) `stride` elements apart. Throws
  /// InvalidArgument for negative lengths, a stride shorter than a row, and null for elements.
  View(T* data, Index rows, Index cols, Index stride)
    requires(!kVector)
      : data_(data), rows_(rows), cols_(cols), stride_(stride) {
    const Index length = K.transposed ? rows : cols;
    if (rows < 0 || cols < 0 || stride < length || (data == nullptr && rows != 0 && cols != 0)) {
      detail::bad_view(data, rows, cols, stride);
    }
  }
  /// Rows without gaps.
  View(T* data, Index rows, Index cols)
    requires(!kVector)
      : View(data, rows, cols, K.transposed ? rows : cols) {}
  /// A vector of `size` elements.
  View(T* data, Index size)
    requires kVector
      : View(detail::Unchecked(),
             data,
             K.form == Form::column ? size : 1,
             K.form == Form::column ? 1 : size,
             (K.form == Form::column) == K.transposed ? std::max<Index>(size, 1) : 1) {
    if (size < 0 || (data == nullptr && size != 0)) detail::bad_view(data, rows_, cols_, stride_);
  }
  /// A vector whose elements are `step` apart.
  View(T* data, Index size, Index step)
    requires(kVector && (K.form == Form::row) == K.transposed)
      : View(data, size) {
    stride_ = step;
    if (step < 1) detail::bad_view(data, rows_, cols_, stride_);
  }
  /// The elements of a matrix, a vector or another view; never write access to const ones.
  template <class O>
    requires(InMemory<O> && !std::same_as<std::remove_cvref_t<O>, View> &&
             std::remove_cvref_t<O>::kKind.transposed == K.transposed &&
             std::remove_cvref_t<O>::kKind.array == K.array &&
             (!kVector || std::remove_cvref_t<O>::kForm == K.form) &&
             std::convertible_to<decltype(std::declval<O&>().view().data()), T*>)
  View(O&& other)  // NOLINT(google-explicit-constructor,bugprone-forwarding-reference-overload)
      : View(detail::Unchecked(), other.view().data(), other.rows(), other.cols(), other.stride()) {
  }
  /// Refers to the same elements. (Written out: compilers keep the members in registers then.)
  View(const View& other)
      : DenseBase<View, T, K>(),
        data_(other.data_),
        rows_(other.rows_),
        cols_(other.cols_),
        stride_(other.stride_) {}
  ~View() = default;
  View(detail::Unchecked, T* data, Index rows, Index cols, Index stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride) {}

  /// Writes the elements. Shapes must be the same; operands may overlap them.
  View& operator=(const View& other) {  // NOLINT(bugprone-unhandled-self-assignment)
    assign(*this, other, Assign::set);
    return *this;
  }
  template <Expression E>
  View& operator=(const E& e) {
    assign(*this, e, Assign::set);
    return *this;
  }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }
  /// From one row (one column if K.transposed) to the next, in elements.
  [[nodiscard]] Index stride() const { return stride_; }
  template <Expression E>
  void take_shape_of(const E& e) const {
    if (e.rows() != rows_ || e.cols() != cols_) {
      detail::bad_assignment(rows_, cols_, e.rows(), e.cols());
    }
  }

 private:
  T* data_;
  Index rows_, cols_, stride_;
};

/// A matrix or vector that owns its elements, row by row without gaps, 64-byte aligned. Assignment
/// gives it the shape of what is assigned.
template <class T, Form F>
class Dense : public DenseBase<Dense<T, F>, T, Kind{F}> {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                "elements are float or double");
  static constexpr bool kVector = F != Form::matrix;
  static constexpr Index kRows = F == Form::row ? 1 : 0, kCols = F == Form::column ? 1 : 0;

 public:
  Dense() = default;
  /// Zeros. Throws InvalidArgument for negative lengths.
  Dense(Index rows, Index cols)
    requires(!kVector)
  {
    resize(rows, cols);
  }
  explicit Dense(Index size)
    requires kVector
  {
    resize(size);
  }
  /// The rows: Matrix<float>{{1, 2, 3}, {4, 5, 6}}. Throws InvalidArgument when they differ in
  /// length.
  Dense(std::initializer_list<std::initializer_list<T>> rows)
    requires(!kVector)
  {
    const Index cols = rows.size() == 0 ? 0 : static_cast<Index>(rows.begin()->size());
    reshape(static_cast<Index>(rows.size()), cols);
    T* to = data_.get();
    for (const auto& row : rows) {
      if (static_cast<Index>(row.size()) != cols) {
        detail::bad_rows(static_cast<Index>(row.size()), cols);
      }
      to = std::copy(row.begin(), row.end(), to);
    }
  }
  /// The elements: Vector<float>{1, 2, 3}.
  Dense(std::initializer_list<T> elements)
    requires kVector
  {
    const auto size = static_cast<Index>(elements.size());
    reshape(kRows == 1 ? 1 : size, kCols == 1 ? 1 : size);
    std::copy(elements.begin(), elements.end(), data_.get());
  }
  template <Expression E>
  Dense(const E& e) {  // NOLINT(google-explicit-constructor)
    reshape(e.rows(), e.cols());
    assign_apart(this->view(), e, Assign::set);
  }
  Dense(const Dense& other) : Dense(other.view()) {}
  Dense(Dense&& other) noexcept { swap(other); }
  ~Dense() = default;

  Dense& operator=(const Dense& other) {  // NOLINT(bugprone-unhandled-self-assignment)
    return *this = other.view();
  }
  Dense& operator=(Dense&& other) noexcept {
    swap(other);
    return *this;
  }
  template <Expression E>
  Dense& operator=(const E& e) {
    if (e.rows() == rows_ && e.cols() == cols_ && !e.template conflicts<true>(this->target())) {
      assign_apart(this->view(), e, Assign::set);
    } else {
      Dense fresh(e);
      swap(fresh);
    }
    return *this;
  }

  [[nodiscard]] T* data() { return data_.get(); }
  [[nodiscard]] const T* data() const { return data_.get(); }
  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }
  [[nodiscard]] Index stride() const { return std::max<Index>(cols_, 1); }

  /// Another shape; all elements become zero, unless the shape is the same. Throws InvalidArgument
  /// for negative lengths.
  void resize(Index rows, Index cols)
    requires(!kVector)
  {
    if (rows == rows_ && cols == cols_) return;
    reshape(rows, cols);
    std::fill_n(data(), rows * cols, T(0));
  }
  void resize(Index size)
    requires kVector
  {
    if (size == this->size()) return;
    reshape(kRows == 1 ? 1 : size, kCols == 1 ? 1 : size);
    std::fill_n(data(), size, T(0));
  }
  void swap(Dense& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(rows_, other.rows_);
    std::swap(cols_, other.cols_);
  }
  template <Expression E>
  void take_shape_of(const E& e) {
    if (e.rows() != rows_ || e.cols() != cols_) reshape(e.rows(), e.cols());
  }

 private:
  struct Release {
    void operator()(T* memory) const noexcept { detail::release(memory); }
  };

  /// Elements are not initialised.
  void reshape(Index rows, Index cols) {
    if (rows < 0 || cols < 0) detail::bad_view(nullptr, rows, cols, cols);
    if ((kRows == 1 && rows != 1) || (kCols == 1 && cols != 1)) {
      detail::bad_vector(F == Form::row ? "row" : "column", rows, cols);
    }
    data_.reset(static_cast<T*>(detail::allocate(rows, cols, sizeof(T))));
    rows_ = rows;
    cols_ = cols;
  }

  std::unique_ptr<T, Release> data_;
  Index rows_ = kRows, cols_ = kCols;
};

template <class T>
using Matrix = Dense<T>;
/// A column vector.
template <class T>
using Vector = Dense<T, Form::column>;
template <class T>
using RowVector = Dense<T, Form::row>;

/// Memory of others as a matrix or vector; T is const for memory that is only read.
///
///     std::vector<float> numbers(6);
///     blas::MatrixMap<float> A(numbers.data(), 2, 3);
template <class T>
using MatrixMap = View<T>;
template <class T>
using VectorMap = View<T, Kind{Form::column}>;
template <class T>
using RowVectorMap = View<T, Kind{Form::row}>;
/// A matrix that is stored by columns.
template <class T>
using ColumnMajorMap = View<T, Kind{Form::matrix, true}>;

/// The elements of a tensor of rank 2 (rank 1). Throw InvalidArgument for another rank or element
/// type.
template <class T>
MatrixMap<T> map_matrix(const Tensor& tensor) {
  if (tensor.shape().rank() != 2) detail::bad_rank("matrix", tensor.shape());
  return {tensor.data<std::remove_const_t<T>>().data(), tensor.shape()[0], tensor.shape()[1]};
}
template <class T>
VectorMap<T> map_vector(const Tensor& tensor) {
  if (tensor.shape().rank() != 1) detail::bad_rank("vector", tensor.shape());
  return {tensor.data<std::remove_const_t<T>>().data(), tensor.shape()[0]};
}

}  // namespace chainrule::blas
