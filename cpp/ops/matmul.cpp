// Matrix products: op(A) op(B) over the last two axes, the leading ones broadcast.

#include <array>

#include "blas/gemm.h"
#include "chainrule/ops.h"
#include "graph/op.h"
#include "ops/function.h"
#include "ops/lowering.h"
#include "ops/transpose.h"

namespace chainrule::inline v0_1 {
namespace {

struct Flags {
  bool a, b;  ///< read this operand with its last two axes exchanged
};

Flags flags_of(const Node& node) {
  return {node.attrs.get<bool>("transpose_a"), node.attrs.get<bool>("transpose_b")};
}

/// The length of axis `from_end` (1: last) of a matrix, after the transposition that its flag asks
/// for.
std::int64_t length(const Shape& shape, bool transposed, int from_end) {
  return shape[transposed ? from_end - 3 : -from_end];
}

std::int64_t inner_of_a(const Shape& a, bool transposed) { return length(a, transposed, 1); }

std::int64_t inner_of_b(const Shape& b, bool transposed) {
  return b.rank() == 1 ? b[0] : length(b, transposed, 2);
}

/// Throws unless the operands have a product.
void check_operands(const TensorType& a, const TensorType& b, Flags flags) {
  const std::vector<Received> shapes = {{"a", a.shape.str()}, {"b", b.shape.str()}};
  const std::vector<Received> types = {{"a", a.str()}, {"b", b.str()}};
  if (!is_floating(a.dtype) || !is_floating(b.dtype)) {
    invalid("matmul", "the operands must be floating; cast them first", types);
  }
  if (a.dtype != b.dtype) invalid("matmul", "the operands must have one dtype; cast one", types);
  if (a.shape.rank() == 0 || b.shape.rank() == 0) {
    invalid("matmul", "the operands must have at least one axis", shapes);
  }
  if ((flags.a && a.shape.rank() == 1) || (flags.b && b.shape.rank() == 1)) {
    invalid("matmul", "a transposed operand must have at least two axes", shapes);
  }
  if (inner_of_a(a.shape, flags.a) != inner_of_b(b.shape, flags.b)) {
    const std::string of_a = flags.a ? "second last" : "last";
    const std::string of_b = flags.b ? "last" : b.shape.rank() == 1 ? "only" : "second last";
    invalid("matmul", "the " + of_a + " axis of a must equal the " + of_b + " of b", shapes);
  }
  if (a.shape.rank() > 2 && b.shape.rank() > 2) {
    broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2), "matmul");
  }
}

/// The products of one node: at each of `starts`, `batch` products of m x k by k x n.
struct Products {
  std::int64_t m, n, k;
  std::int64_t batch = 1, a_stride = 0, b_stride = 0;
  struct Start {
    std::int64_t a, b, c;
  };
  std::vector<Start> starts = {{0, 0, 0}};
};

/// One of the leading (batch) axes: its length, and the strides of the operands in elements.
struct BatchAxis {
  std::int64_t length, a_stride, b_stride;
};

Products products_of(const Node& node) {
  const Shape &a = node.in(0).shape, &b = node.in(1).shape, &c = node.out().shape;
  const Flags flags = flags_of(node);
  Products p{.m = c[-2], .n = c[-1], .k = inner_of_a(a, flags.a), .starts = {{0, 0, 0}}};

  // The innermost axis is first. An operand that is broadcast along an axis has the stride 0. Axes
  // that are contiguous in both operands become one.
  std::vector<BatchAxis> axes;
  std::int64_t a_stride = p.m * p.k, b_stride = p.k * p.n;
  for (int i = 3; i <= c.rank(); ++i) {
    const std::int64_t in_a = i <= a.rank() ? a[-i] : 1, in_b = i <= b.rank() ? b[-i] : 1;
    if (c[-i] == 1) continue;
    const BatchAxis axis{c[-i], in_a == 1 ? 0 : a_stride, in_b == 1 ? 0 : b_stride};
    a_stride *= in_a;
    b_stride *= in_b;
    if (!axes.empty() && axis.a_stride == axes.back().a_stride * axes.back().length &&
        axis.b_stride == axes.back().b_stride * axes.back().length) {
      axes.back().length *= axis.length;
    } else {
      axes.push_back(axis);
    }
  }
  if (axes.empty()) return p;
  p.batch = axes[0].length;
  p.a_stride = axes[0].a_stride;
  p.b_stride = axes[0].b_stride;
  std::int64_t c_stride = p.batch * p.m * p.n;
  for (std::size_t i = 1; i < axes.size(); ++i) {
    std::vector<Products::Start> all;
    for (std::int64_t j = 0; j < axes[i].length; ++j) {
      for (const Products::Start& s : p.starts) {
        all.push_back({s.a + j * axes[i].a_stride, s.b + j * axes[i].b_stride, s.c + j * c_stride});
      }
    }
    p.starts = std::move(all);
    c_stride *= axes[i].length;
  }
  return p;
}

std::vector<TensorType> infer_matmul(const Node& node) {
  const Flags flags = flags_of(node);
  check_operands(node.in(0), node.in(1), flags);
  const Shape &a = node.in(0).shape, &b = node.in(1).shape;
  const Shape leading = broadcast(a.slice(0, -2), b.slice(0, -2), "matmul");
  return {{leading + Shape{length(a, flags.a, 2), length(b, flags.b, 1)}, node.in(0).dtype}};
}

template <class T>
blas::Gemm<T> gemm_of(const Products& p, Flags t) {
  return {.trans_a = t.a,
          .trans_b = t.b,
          .m = p.m,
          .n = p.n,
          .k = p.k,
          .lda = t.a ? p.m : p.k,
          .ldb = t.b ? p.k : p.n,
          .ldc = p.n};
}

template <class T>
PreparedCall prepare_one(const Products& p, Flags t) {
  const blas::GemmPlan<T> plan(gemm_of<T>(p, t));
  return {plan.scratch_bytes(), [=](const LowerContext& call, std::byte* scratch) -> Step {
            const blas::GemmData<T> data{
                .a = call.in<T>(0), .b = call.in<T>(1), .c = call.out<T>()};
            return [=](const Exec& exec) { plan.run(exec, data, scratch); };
          }};
}

template <class T>
PreparedCall prepare_batch(const Products& p, Flags t) {
  const blas::GemmBatchPlan<T> plan(gemm_of<T>(p, t), {p.batch, p.a_stride, p.b_stride, p.m * p.n});
  return {plan.scratch_bytes(),
          [plan, starts = p.starts](const LowerContext& call, std::byte* scratch) -> Step {
            const T *a = call.in<T>(0), *b = call.in<T>(1);
            T* c = call.out<T>();
            return [=](const Exec& exec) {
              for (const Products::Start& s : starts)
                plan.run(exec, {.a = a + s.a, .b = b + s.b, .c = c + s.c}, scratch);
            };
          }};
}

PreparedCall prepare_matmul(const Node& node) {
  const Products p = products_of(node);
  return with_floating(node.in(0).dtype, [&]<class T>(T) {
    return p.batch == 1 ? prepare_one<T>(p, flags_of(node)) : prepare_batch<T>(p, flags_of(node));
  });
}

/// matmul(transpose(a), b) = matmul(a, b, transpose_a).
Value fold_transposes(const Node& node, std::span<const Value> inputs) {
  const Value a = untransposed(inputs[0]), b = untransposed(inputs[1]);
  if (!a.defined() && !b.defined()) return {};
  const Flags flags = flags_of(node);
  return matmul(a.defined() ? a : inputs[0],
                b.defined() ? b : inputs[1],
                flags.a != a.defined(),
                flags.b != b.defined());
}

const OpDef matmul_op{
    .name = "matmul",
    .infer = infer_matmul,
    .vjp =
        [](const VjpContext& c) {
          const auto [ta, tb] = flags_of(c.node);
          const Value a = c.in(0), b = c.in(1), dy = c.dy();
          std::vector<Value> d(2);
          // Y = op(A) op(B): d op(A) = dY op(B)^T, d op(B) = op(A)^T dY; with a flag, transposed.
          if (c.needed[0] != 0) d[0] = ta ? matmul(b, dy, tb, true) : matmul(dy, b, false, !tb);
          if (c.needed[1] != 0) d[1] = tb ? matmul(dy, a, true, ta) : matmul(a, dy, !ta, false);
          return d;
        },
    .prepare = prepare_matmul,
    .fold = fold_transposes,
    .is_product =
        [](const Node& node) {
          return node.in(0).shape.rank() == 2 && node.in(1).shape.rank() == 2;
        },
};

}  // namespace

Value matmul(Value a, Value b, bool transpose_a, bool transpose_b) {
  Graph& graph = a.graph();
  const Attrs attrs{{"transpose_a", transpose_a}, {"transpose_b", transpose_b}};
  const Shape in_a = a.shape(), in_b = b.shape();
  const bool plain = in_a.rank() >= 2 && in_b.rank() >= 2;
  const bool collapses = in_a.rank() > 2 && in_b.rank() == 2 && !transpose_a;
  if (plain && !collapses) return graph.add1(matmul_op, {a, b}, attrs);

  // Checked before any axis is moved, so that an error shows what was received.
  check_operands(a.type(), b.type(), {transpose_a, transpose_b});
  if (collapses) {
    // (..., k) x (k, n): one product, and a gradient of b that is one product, too.
    const std::int64_t rows = in_a.slice(0, -1).size();
    const Value y = graph.add1(matmul_op, {reshape(a, Shape{rows, in_a.back()}), b}, attrs);
    return reshape(y, in_a.slice(0, -1) + Shape{y.shape().back()});
  }
  if (in_a.rank() == 1)
    return squeeze(matmul(expand_dims(a, 0), b, false, transpose_b), {in_b.rank() == 1 ? 0 : -2});
  return squeeze(matmul(a, expand_dims(b, 1), transpose_a, false), {-1});
}

std::span<const OpDef* const> matmul_ops() {
  static constexpr const OpDef* ops[] = {&matmul_op};
  return ops;
}

std::vector<Function> matmul_functions() {
  return {function(
              "matmul",
              "The matrix product over the last two axes; leading axes broadcast.",
              +[](Value x1, Value x2) { return matmul(x1, x2); },
              operand("x1", "Of shape (..., m, k), or (k,)."),
              operand("x2", "Of shape (..., k, n), or (k,)."))
              .without_cpp()  // there it has flags, too
              .with_example(">>> ops.matmul([[1.0, 2.0]], [[3.0], [4.0]])\n"
                            "array([[11.]], dtype=float32)")};
}

}  // namespace chainrule::inline v0_1
