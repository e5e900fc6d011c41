// Owning, aligned memory with a shape: constants, weights, results.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "chainrule/device_memory.h"
#include "chainrule/error.h"
#include "chainrule/shape.h"

namespace chainrule::inline v0_1 {

/// Alignment of every buffer, and of every value inside an arena, in bytes: one cache line, one
/// AVX-512 register.
constexpr std::size_t kAlignment = 64;

/// A zeroed block of kAlignment-aligned memory, shared by whoever points into it.
///
/// A program of a device (chainrule/device.h) has the content of its variables in memory there.
/// data() and read() give current content on the host: it is copied back if the device has changed
/// it. What data() gives may be written to, so it is copied to the device again before the next run
/// there. The pointer is good until that run: ask again after it.
class Buffer {
 public:
  /// Throws RuntimeError when memory does not suffice.
  explicit Buffer(std::size_t bytes);
  /// Memory that somebody else owns and keeps as long as this buffer lives.
  Buffer(std::byte* data, std::size_t bytes) : data_(data), bytes_(bytes), owned_(false) {}
  /// Memory of a device alone: data() and read() throw RuntimeError.
  Buffer(DeviceBlock block, std::size_t bytes);
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();
  /// To read and to write.
  [[nodiscard]] std::byte* data() const {
    if (has_mirror()) bring_home(true);
    return data_;
  }
  /// Only to read: the content of a device stays current.
  [[nodiscard]] const std::byte* read() const {
    if (has_mirror()) bring_home(false);
    return data_;
  }
  /// The address of data(), or of the block on the device if there is no other. Only to be
  /// compared, never to be dereferenced. Copies nothing.
  [[nodiscard]] std::byte* address() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  // For programs.

  /// Whether any of the living buffers has been on a device; if not, all content is here.
  [[nodiscard]] static bool any_on_device() {
    return mirrors_.load(std::memory_order_relaxed) != 0;
  }
  [[nodiscard]] bool is_on_device_only() const;
  /// The block for the content on this device, made at the first call.
  [[nodiscard]] DeviceBlock block_on(const std::shared_ptr<DeviceMemory>& device) const;
  /// Makes the content of the block current.
  void bring_to(const DeviceBlock& block) const;
  /// From now on only the content of the block is current.
  void changed_on(const DeviceBlock& block) const;

 private:
  struct Mirror;
  [[nodiscard]] bool has_mirror() const {
    return mirror_.load(std::memory_order_acquire) != nullptr;
  }
  [[nodiscard]] Mirror& mirror() const;
  void bring_home(bool to_write) const;

  static std::atomic<int> mirrors_;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  bool owned_ = true;
  mutable std::atomic<Mirror*> mirror_{nullptr};  // owned; null: it never was on a device
};

/// A dense row-major array. Copies share the memory (as NumPy arrays do); clone() does not.
class Tensor {
 public:
  Tensor() = default;
  /// New, zeroed memory.
  explicit Tensor(TensorType type);
  Tensor(Shape shape, DType dtype) : Tensor(TensorType{shape, dtype}) {}
  /// A window of `type.bytes()` at `offset` bytes into a shared buffer. Throws InvalidArgument when
  /// it does not fit, or the offset is no multiple of the element size.
  Tensor(TensorType type, std::shared_ptr<Buffer> buffer, std::size_t offset);

  /// An array from its values in row-major order: Tensor::of<float>({2, 2}, {1, 2, 3, 4}).
  template <class T>
  static Tensor of(const Shape& shape, const std::vector<T>& values);
  /// An array of rank 0.
  template <class T>
  static Tensor scalar(T value) {
    return of<T>(Shape{}, {value});
  }

  [[nodiscard]] const TensorType& type() const { return type_; }
  [[nodiscard]] const Shape& shape() const { return type_.shape; }
  [[nodiscard]] DType dtype() const { return type_.dtype; }
  [[nodiscard]] std::int64_t size() const { return type_.shape.size(); }
  [[nodiscard]] std::size_t bytes() const { return type_.bytes(); }
  [[nodiscard]] bool defined() const { return buffer_ != nullptr; }

  /// The memory: to read and write; only to read; and its address, only to be compared: see Buffer.
  [[nodiscard]] std::byte* raw() const { return buffer_ ? buffer_->data() + offset_ : nullptr; }
  [[nodiscard]] const std::byte* read() const {
    return buffer_ ? buffer_->read() + offset_ : nullptr;
  }
  [[nodiscard]] std::byte* address() const {
    return buffer_ ? buffer_->address() + offset_ : nullptr;
  }
  [[nodiscard]] const std::shared_ptr<Buffer>& buffer() const { return buffer_; }
  /// The elements, writable, also of a const Tensor (as with shared_ptr); data<const T>() is only
  /// to read. Throws InvalidArgument when T is not the element type, or the tensor is not defined.
  /// T = bool reads the bytes of `boolean`.
  template <class T>
  [[nodiscard]] std::span<T> data() const;

  /// Part of the same memory, `offset` bytes in (must lie inside).
  [[nodiscard]] Tensor window(const TensorType& type, std::size_t offset) const {
    return {type, buffer_, offset_ + offset};
  }
  /// A copy with memory of its own.
  [[nodiscard]] Tensor clone() const;
  /// Same memory, other shape. Throws InvalidArgument when the sizes differ.
  [[nodiscard]] Tensor reshaped(const Shape& shape) const;
  /// A copy whose elements are converted as C++ converts them: a float loses its fraction to an
  /// integer; `boolean` is x != 0. Throws InvalidArgument for a number that an integer type cannot
  /// hold, NaN among them.
  [[nodiscard]] Tensor cast(DType dtype) const;

 private:
  /// Throws InvalidArgument unless the tensor is defined and holds `asked`.
  void check_access(DType asked) const;

  TensorType type_;
  std::shared_ptr<Buffer> buffer_;
  std::size_t offset_ = 0;
};

template <class T>
std::span<T> Tensor::data() const {
  check_access(dtype_of<std::remove_const_t<T>>);
  if constexpr (std::is_const_v<T>) {
    return {reinterpret_cast<T*>(read()), static_cast<std::size_t>(size())};
  } else {
    return {reinterpret_cast<T*>(raw()), static_cast<std::size_t>(size())};
  }
}

template <class T>
Tensor Tensor::of(const Shape& shape, const std::vector<T>& values) {
  Tensor t(shape, dtype_of<T>);
  if (static_cast<std::int64_t>(values.size()) != shape.size()) {
    invalid("Tensor::of",
            "the number of values must equal the shape's size",
            {{"shape", shape.str()}, {"values", std::to_string(values.size())}});
  }
  std::copy(values.begin(), values.end(), t.data<T>().begin());
  return t;
}

/// A block of memory that belongs to somebody else: dense, row-major, first axis = samples.
///
///     const std::vector<double> numbers(64 * 10);
///     const ArrayView x(numbers.data(), {10, 64});  // float64, as the pointer says
struct ArrayView {
  const void* data = nullptr;
  Shape shape;
  DType dtype = DType::float32;
  std::int64_t sample_stride = -1;  ///< bytes from one sample to the next; -1: dense

  ArrayView() = default;
  /// Elements of type T: float, double, std::int32_t, std::int64_t, std::uint8_t or bool.
  template <class T>
  ArrayView(const T* elements, const Shape& lengths, std::int64_t stride = -1)
      : data(elements), shape(lengths), dtype(dtype_of<T>), sample_stride(stride) {}
  /// The same with the type named once more. Throws InvalidArgument if `type` is not T's.
  template <class T>
  ArrayView(const T* elements, const Shape& lengths, DType type, std::int64_t stride = -1)
      : ArrayView(elements, lengths, stride) {
    if (type != dtype) {
      invalid("ArrayView",
              "the element type must be that of the pointer",
              {{"dtype", std::string(name_of(type))}, {"pointer", std::string(name_of(dtype))}});
    }
  }
  /// Memory whose type only its owner knows.
  static ArrayView of_bytes(const void* bytes,
                            const Shape& lengths,
                            DType type,
                            std::int64_t stride = -1) {
    ArrayView view;
    view.data = bytes;
    view.shape = lengths;
    view.dtype = type;
    view.sample_stride = stride;
    return view;
  }
};

/// A borrowed view of a tensor's memory.
ArrayView view_of(const Tensor& tensor);

/// A view of the elements of a span, vector or array, whose type becomes the view's. Throws
/// InvalidArgument unless there are as many as the shape has. A temporary vector does not compile.
///
///     const std::vector<float> numbers(20);
///     model.predict({view(numbers, {10, 2})});
template <class Elements>
  requires std::ranges::contiguous_range<Elements> && std::ranges::sized_range<Elements> &&
           std::ranges::borrowed_range<Elements>
ArrayView view(Elements&& elements, const Shape& shape) {
  if (!std::cmp_equal(std::ranges::size(elements), shape.size())) {
    invalid("view",
            "the number of elements must be that of the shape",
            {{"elements", std::to_string(std::ranges::size(elements))}, {"shape", shape.str()}});
  }
  return {std::ranges::data(elements), shape};
}

}  // namespace chainrule::inline v0_1
