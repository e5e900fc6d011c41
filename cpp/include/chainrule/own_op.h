// Ops of a program's own: a shape rule, a gradient, a kernel. Passes, the plan and the guards treat
// them like the library's.
//
//     class Cube final : public OwnOp {
//      public:
//       Cube() : OwnOp("cube") {}
//       std::vector<TensorType> infer(std::span<const TensorType> inputs) const override {
//         return {inputs[0]};
//       }
//       std::vector<Value> gradient(const Gradient& g) const override {
//         return {g.dy() * 3.0 * square(g.in(0))};
//       }
//       void run(const Kernel& k) const override {
//         const auto x = k.in<float>(0);
//         const auto y = k.out<float>();
//         for (std::size_t i = 0; i < y.size(); ++i) y[i] = x[i] * x[i] * x[i];
//       }
//     };
//
//     const auto cube = std::make_shared<Cube>();
//     Value y = (*cube)({x});
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "chainrule/graph.h"
#include "chainrule/shape.h"

namespace chainrule::inline v0_1 {

/// A function of arrays. One object is one function: its parameters are its members, which must not
/// change once it has been applied. Graphs and programs that use it own it, too.
class OwnOp : public AttrObject, public std::enable_shared_from_this<OwnOp> {
 public:
  class Gradient;
  class Kernel;

  ~OwnOp() override;
  OwnOp(const OwnOp&) = delete;
  OwnOp& operator=(const OwnOp&) = delete;

  /// The name in errors, listings and profiles: "cube".
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Appends the op to the graph of its operands. Returns its outputs, or the first of them. Throws
  /// InvalidArgument as infer() does, for operands of several graphs, and for an op that is not in
  /// a std::shared_ptr.
  std::vector<Value> apply(const std::vector<Value>& inputs) const;
  Value operator()(const std::vector<Value>& inputs) const { return apply(inputs).front(); }

 protected:
  /// Throws InvalidArgument for an empty name.
  explicit OwnOp(std::string name);

 private:
  /// The types of the outputs, one at least. Throws InvalidArgument, best by invalid(name(), ...),
  /// for operands that do not fit. All lengths are known, also while a layer is traced for its
  /// output shape.
  [[nodiscard]] virtual std::vector<TensorType> infer(std::span<const TensorType> inputs) const = 0;
  /// Appends the gradients of the operands, in their order, each in the shape and dtype of its
  /// operand; none (a default-made Value) where the outputs do not vary with it. As they are nodes,
  /// they can be differentiated again. Unless it is overridden, to differentiate the op throws
  /// InvalidArgument.
  [[nodiscard]] virtual std::vector<Value> gradient(const Gradient& g) const;
  /// Bytes of scratch memory that run() needs for operands of these types. A program that would
  /// need more memory than can be addressed throws InvalidArgument when it is compiled.
  [[nodiscard]] virtual std::size_t scratch_bytes(std::span<const TensorType> inputs) const;
  /// Computes every element of the outputs, whose content is undefined before. Called in each run
  /// of a program, so it should neither allocate nor lock; two programs may call it at once. An
  /// exception ends the run; in a layer or loss, before a variable has changed.
  virtual void run(const Kernel& k) const = 0;

  friend struct OwnOpAccess;
  std::string name_;
  std::unique_ptr<const OpDef> definition_;
};

/// The node whose gradient is asked for.
class OwnOp::Gradient {
 public:
  [[nodiscard]] Graph& graph() const { return graph_; }
  [[nodiscard]] Value in(std::size_t i) const;
  [[nodiscard]] Value out(std::size_t i = 0) const;
  /// The gradient of the loss with respect to an output; zeros where the loss does not depend on
  /// it.
  [[nodiscard]] Value dy(std::size_t i = 0) const;
  /// Whether the gradient of operand i is needed; others may be left out.
  [[nodiscard]] bool needed(std::size_t i) const;

 private:
  friend struct OwnOpAccess;
  Gradient(Graph& graph,
           std::span<const Value> inputs,
           std::span<const Value> outputs,
           std::span<const Value> upstream,
           std::span<const char> needed)
      : graph_(graph), inputs_(inputs), outputs_(outputs), upstream_(upstream), needed_(needed) {}

  Graph& graph_;
  std::span<const Value> inputs_, outputs_, upstream_;
  std::span<const char> needed_;
};

/// The memory of one call: dense arrays in row-major order, aligned to kAlignment.
class OwnOp::Kernel {
 public:
  [[nodiscard]] const TensorType& in_type(std::size_t i) const { return at(inputs_, i).type; }
  [[nodiscard]] const TensorType& out_type(std::size_t i = 0) const { return at(outputs_, i).type; }
  /// The elements of an operand and of an output. Throws InvalidArgument when T is not their type.
  template <class T>
  [[nodiscard]] std::span<const T> in(std::size_t i) const {
    return elements<const T>(at(inputs_, i), dtype_of<T>);
  }
  template <class T>
  [[nodiscard]] std::span<T> out(std::size_t i = 0) const {
    return elements<T>(at(outputs_, i), dtype_of<T>);
  }
  /// As many bytes as scratch_bytes() asked for, with any content.
  [[nodiscard]] std::span<std::byte> scratch() const { return scratch_; }
  /// Calls f(begin, end) on disjoint ranges that cover [0, n), on as many threads as the run may
  /// use; each range but the last is a multiple of `grain` long. Below two grains there is one
  /// range. What f computes for an index must not depend on the range that it came in: then results
  /// do not depend on the number of threads.
  template <class F>
  void parallel_for(std::int64_t n, std::int64_t grain, const F& f) const {
    split(n, grain, &f, [](const void* function, std::int64_t begin, std::int64_t end) {
      (*static_cast<const F*>(function))(begin, end);
    });
  }

 private:
  friend struct OwnOpAccess;
  struct Array {
    TensorType type;
    std::byte* data;
  };
  using Range = void (*)(const void* function, std::int64_t begin, std::int64_t end);

  Kernel() = default;
  [[nodiscard]] static const Array& at(const std::vector<Array>& arrays, std::size_t i);
  [[noreturn]] static void refuse_type(const Array& array, DType asked);
  template <class T>
  static std::span<T> elements(const Array& array, DType asked) {
    if (array.type.dtype != asked) refuse_type(array, asked);
    return {reinterpret_cast<T*>(array.data), static_cast<std::size_t>(array.type.shape.size())};
  }
  void split(std::int64_t n, std::int64_t grain, const void* function, Range call) const;

  std::vector<Array> inputs_, outputs_;
  std::span<std::byte> scratch_;
  int threads_ = 1;
};

}  // namespace chainrule::inline v0_1
