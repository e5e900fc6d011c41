// Between Eigen's matrices and Chainrule's, without copying. Include it where Eigen is; the library
// itself does not need Eigen.
//
//     Eigen::MatrixXf E = ...;                          // by columns, as is Eigen's default
//     auto A = chainrule::blas::from_eigen(E);          // the same elements
//     chainrule::blas::Matrix<float> C = A * A.transpose();
//     Eigen::VectorXf sums = chainrule::blas::as_eigen(C).rowwise().sum();
#pragma once

#include <Eigen/Core>
#include <string>
#include <type_traits>

#include "chainrule/blas.h"

namespace chainrule::inline v0_1::blas {

namespace detail {

template <class Object, class T>
auto view_of_eigen(const Object& object, T* data) {
  static_assert(std::is_same_v<std::remove_const_t<T>, float> ||
                    std::is_same_v<std::remove_const_t<T>, double>,
                "elements must be float or double: convert with cast<float>().eval()");
  const Index inner = object.innerStride();
  if constexpr (Object::ColsAtCompileTime == 1) {
    return VectorMap<T>(data, object.size(), inner);
  } else if constexpr (Object::RowsAtCompileTime == 1) {
    return View<T, Kind{Form::row, true}>(data, object.size(), inner);
  } else {
    if (inner != 1 && object.size() != 0) {
      invalid("from_eigen",
              "the elements of a row or column of the matrix must lie side by side",
              {{"inner stride", std::to_string(inner)}});
    }
    return View<T, Kind{Form::matrix, !Object::IsRowMajor}>(
        data, object.rows(), object.cols(), object.outerStride());
  }
}

template <class Object>
constexpr bool kInEigenMemory = (static_cast<int>(Object::Flags) & Eigen::DirectAccessBit) != 0;

}  // namespace detail

/// A view of the elements of an Eigen object that has them in memory: a matrix, vector, Map, Ref or
/// block, which must outlive the view. What is stored by columns becomes a ColumnMajorMap, vectors
/// become vectors. Throws InvalidArgument for strides that a view cannot have.
template <class Object>
auto from_eigen(const Eigen::DenseBase<Object>& object) {
  static_assert(detail::kInEigenMemory<Object>,
                "the elements of an expression are not in memory: keep the result of its eval()");
  using T = typename Object::Scalar;
  return detail::view_of_eigen(object.derived(), static_cast<const T*>(object.derived().data()));
}
/// The same, writable where Eigen's object is.
template <class Object>
auto from_eigen(Eigen::DenseBase<Object>& object) {
  static_assert(detail::kInEigenMemory<Object>,
                "the elements of an expression are not in memory: keep the result of its eval()");
  return detail::view_of_eigen(object.derived(), object.derived().data());
}
/// A temporary matrix would not outlive the view.
template <class Object>
void from_eigen(const Eigen::PlainObjectBase<Object>&& object) = delete;

/// A matrix, vector or view as an Eigen::Map of the same elements, which must outlive it.
template <InMemory M>
auto as_eigen(M&& matrix) {
  static_assert(
      std::is_lvalue_reference_v<M> || !requires { matrix.swap(matrix); },
      "nobody keeps this matrix: give it a name first");
  const auto view = matrix.view();
  using Elements = std::remove_pointer_t<decltype(view.data())>;
  using T = std::remove_const_t<Elements>;
  constexpr Kind kKind = std::remove_cvref_t<M>::kKind;
  constexpr int kRows = kKind.form == Form::row ? 1 : Eigen::Dynamic;
  constexpr int kCols = kKind.form == Form::column ? 1 : Eigen::Dynamic;
  // Eigen wants row vectors to be row-major and column vectors column-major.
  constexpr int kOrder = kKind.form == Form::row      ? Eigen::RowMajor
                         : kKind.form == Form::column ? Eigen::ColMajor
                         : kKind.transposed           ? Eigen::ColMajor
                                                      : Eigen::RowMajor;
  using Plain = Eigen::Matrix<T, kRows, kCols, kOrder>;
  using Mapped = std::conditional_t<std::is_const_v<Elements>, const Plain, Plain>;
  if constexpr (kKind.form == Form::matrix) {
    return Eigen::Map<Mapped, 0, Eigen::OuterStride<>>(
        view.data(), view.rows(), view.cols(), Eigen::OuterStride<>(view.stride()));
  } else {
    constexpr bool kGaps = (kKind.form == Form::row) == kKind.transposed;
    return Eigen::Map<Mapped, 0, Eigen::InnerStride<>>(
        view.data(), view.size(), Eigen::InnerStride<>(kGaps ? view.stride() : 1));
  }
}

}  // namespace chainrule::inline v0_1::blas
