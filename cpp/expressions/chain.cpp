#include "expressions/chain.h"

#include "kernels/copy.h"

namespace chainrule::inline v0_1::blas::detail {
namespace {

static_assert(3 * kMaxOperands <= kernels::ElementwiseProgram::kMaxRegisters);

/// The program that a thread keeps for chains, and whether it is in use. A chain may begin while
/// another runs: who is asked between blocks whether to go on (parallel/long_run.h) may compute
/// expressions, too.
struct Kept {
  kernels::ElementwiseProgram program;
  bool lent = false;
};
thread_local Kept kept;

using Pair = kernels::ElementwiseProgram::Strides;

/// A pair for the axes of a matrix or, `by_columns`, of its transpose.
Pair by_axis(Index rows, Index cols, bool by_columns) {
  return by_columns ? Pair{cols, rows} : Pair{rows, cols};
}

}  // namespace

template <class T>
ChainProgram::ChainProgram(const Chain<T>& chain, bool by_columns) : program_(&kept.program) {
  if (kept.lent) {
    own_ = std::make_unique<kernels::ElementwiseProgram>();
    program_ = own_.get();
  }
  program_->begin(by_columns ? Shape{chain.cols, chain.rows} : Shape{chain.rows, chain.cols});
  for (int i = 0; i < chain.operand_count; ++i) {
    const Operand<T>& each = chain.operands[i];
    program_->operand(each.data, dtype_of<T>, by_axis(each.row_step, each.col_step, by_columns));
  }
  int slots[kMaxSlots];
  const auto reg = [&](int number) { return number >= 0 ? number : slots[-1 - number]; };
  for (int i = 0; i < chain.step_count; ++i) {
    const Step& step = chain.steps[i];
    const int code = static_cast<int>(step.fn);
    result_ = program_->apply(code, dtype_of<T>, reg(step.a), reg(step.b));
    slots[step.slot] = result_;
  }
  kept.lent = true;
}
template ChainProgram::ChainProgram(const Chain<float>&, bool);
template ChainProgram::ChainProgram(const Chain<double>&, bool);

ChainProgram::~ChainProgram() {
  if (own_ == nullptr) kept.lent = false;
}

template <class T>
void run(const Chain<T>& chain, T* data, Index row_step, Index col_step) {
  if (chain.rows == 0 || chain.cols == 0) return;
  const bool by_columns = chain.cols == 1 || (col_step != 1 && row_step == 1);
  const auto strides = by_axis(row_step, col_step, by_columns);
  if (chain.step_count == 0) {
    const Operand<T>& from = chain.operands[0];
    const kernels::StridedCopy copy{
        .rank = 2,
        .element_size = sizeof(T),
        .shape = by_axis(chain.rows, chain.cols, by_columns),
        .dst_stride = strides,
        .src_stride = by_axis(from.row_step, from.col_step, by_columns)};
    return kernels::strided_copy(exec_for(chain.rows * chain.cols), data, from.data, copy);
  }
  ChainProgram program(chain, by_columns);
  program->output(program.result(), data, strides);
  program->prepare();
  const kernels::ElementwiseBlocks& blocks = program->blocks();
  if (blocks.count == 1) return kernels::ElementwiseRun(*program).block(blocks[0]);
  kernels::run_elementwise(exec_for(blocks.work()), *program);
}
template void run(const Chain<float>&, float*, Index, Index);
template void run(const Chain<double>&, double*, Index, Index);

}  // namespace chainrule::inline v0_1::blas::detail
