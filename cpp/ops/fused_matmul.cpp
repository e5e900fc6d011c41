// A matrix product with its epilogue. Fusion makes it from a matmul; from the element-wise ops that
// follow it, if nothing else reads the product (bias, activation; in the backward pass the
// derivative of the activation); and from the sum that is the gradient of a bias.

#include <memory>

#include "blas/gemm.h"
#include "ops/fused.h"
#include "ops/lowering.h"

namespace chainrule::inline v0_1 {
namespace {

/// Null: no chain.
const ElementwiseChain* chain_of(const Node& node) {
  return static_cast<const ElementwiseChain*>(
      node.attrs.get<std::shared_ptr<const AttrObject>>("chain").get());
}

std::int64_t columns_of_b(const Node& node) {
  return node.in(1).shape[node.attrs.get<bool>("transpose_b") ? 0 : 1];
}

std::vector<TensorType> infer(const Node& node) {
  std::vector<TensorType> types;
  const std::int64_t n = columns_of_b(node);
  if (const ElementwiseChain* chain = chain_of(node)) {
    for (std::size_t k = 0; k < chain->outputs.size(); ++k) types.push_back(chain->output_type(k));
  } else {
    const std::int64_t m = node.in(0).shape[node.attrs.get<bool>("transpose_a") ? 1 : 0];
    types.push_back({Shape{m, n}, node.in(0).dtype});
  }
  if (node.attrs.get<bool>("column_sums")) types.push_back({Shape{n}, node.in(0).dtype});
  return types;
}

bool has_sums(const Node& node) { return node.attrs.get<bool>("column_sums"); }

template <class T>
blas::Gemm<T> gemm_of(const Node& node) {
  const bool ta = node.attrs.get<bool>("transpose_a"), tb = node.attrs.get<bool>("transpose_b");
  const Shape &in_a = node.in(0).shape, &in_b = node.in(1).shape;
  const std::int64_t n = columns_of_b(node);
  return {.trans_a = ta,
          .trans_b = tb,
          .m = in_a[ta ? 1 : 0],
          .n = n,
          .k = in_a[ta ? 0 : 1],
          .lda = in_a[1],
          .ldb = in_b[1],
          .ldc = n,
          .has_epilogue = chain_of(node) != nullptr,
          .has_b_sums = has_sums(node)};
}

/// The output whose memory holds the product until the chain turns it into the output: the first
/// one of the product's dtype.
std::size_t place_of_product(const Node& node) {
  std::size_t k = 0;
  while (node.outputs[k].dtype != node.in(0).dtype) ++k;
  return k;
}

template <class T>
Step bind(const blas::GemmPlan<T>& plan, const LowerContext& call, std::byte* scratch) {
  const Node& node = call.node;
  const std::size_t chain_outputs = node.outputs.size() - (has_sums(node) ? 1 : 0);
  const std::size_t place = place_of_product(node);
  const blas::GemmData<T> data{
      .a = call.in<T>(0),
      .b = call.in<T>(1),
      .c = call.out<T>(static_cast<int>(place)),
      .b_sums = has_sums(node) ? call.out<T>(static_cast<int>(chain_outputs)) : nullptr};
  const ElementwiseChain* chain = chain_of(node);
  if (chain == nullptr) return [=](const Exec& exec) { plan.run(exec, data, scratch); };

  std::vector<std::byte*> inputs = {call.outputs[place]};
  std::vector<TensorType> types = {{chain->shape, node.in(0).dtype}};
  for (std::size_t i = 2; i < node.inputs.size(); ++i) {
    inputs.push_back(call.inputs[i]);
    types.push_back(node.inputs[i].type());
  }
  auto program = program_of(*chain, inputs, types, call.outputs.first(chain_outputs));
  program.prepare();
  // Shared, so that copies of the step share one program and one plan.
  struct Fused {
    kernels::ElementwiseProgram program;
    blas::GemmPlan<T> plan;
    blas::GemmData<T> data;
  };
  auto fused = std::make_shared<Fused>(Fused{std::move(program), plan, data});
  return [fused, scratch](const Exec& exec) {
    const auto epilogue =
        [&](std::int64_t i, std::int64_t j, std::int64_t rows, std::int64_t columns) {
          kernels::run_elementwise_block(fused->program, i, j, rows, columns);
        };
    blas::GemmData<T> data = fused->data;
    data.epilogue = epilogue;
    fused->plan.run(exec, data, scratch);
  };
}

PreparedCall prepare(const Node& node) {
  return with_floating(node.in(0).dtype, [&]<class T>(T) -> PreparedCall {
    const blas::GemmPlan<T> plan(gemm_of<T>(node));
    return {plan.scratch_bytes(), [plan](const LowerContext& call, std::byte* scratch) {
              return bind(plan, call, scratch);
            }};
  });
}

}  // namespace

const OpDef fused_matmul_op{.name = "fused_matmul", .infer = infer, .prepare = prepare};

std::span<const OpDef* const> fused_matmul_ops() {
  static constexpr const OpDef* ops[] = {&fused_matmul_op};
  return ops;
}

}  // namespace chainrule::inline v0_1
