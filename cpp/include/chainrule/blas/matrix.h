// Matrices and vectors, owning and mapped. Programs include chainrule/blas.h.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>

#include "chainrule/blas/dense_base.h"
#include "chainrule/blas/expression.h"
#include "chainrule/tensor.h"

namespace chainrule::inline v0_1::blas {

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
  /// The elements of a matrix, a vector or another view. Const elements stay const.
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
    if (e.rows() == rows_ && e.cols() == cols_ && !e.template conflicts<true>(this->extent())) {
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
  /// Elements are not initialised.
  void reshape(Index rows, Index cols) {
    if (rows < 0 || cols < 0) detail::bad_view(nullptr, rows, cols, cols);
    if ((kRows == 1 && rows != 1) || (kCols == 1 && cols != 1)) {
      detail::bad_vector(F == Form::row, rows, cols);
    }
    data_.reset(static_cast<T*>(detail::allocate(rows, cols, sizeof(T))));
    rows_ = rows;
    cols_ = cols;
  }

  std::unique_ptr<T, detail::Release> data_;
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

}  // namespace chainrule::inline v0_1::blas
