#include "kernels/elementwise.h"

#include <algorithm>
#include <string>

#include "chainrule/error.h"
#include "isa/functions.h"
#include "kernels/elementwise_run.h"
#include "parallel/parallel_for.h"

namespace chainrule::kernels {
namespace {

constexpr Int kBlock = 1024;            // most elements of a block: a chain stays in L1
constexpr Int kLoneBlock = 4 * kBlock;  // of one function, whose result nobody reads again
constexpr Int kLongRow = kBlock / 4;    // a block stays within such a row
constexpr Int kLeastBlock = 16;         // as many buffers as there can be registers fit
static_assert(ElementwiseProgram::kMaxRegisters * kLeastBlock * sizeof(double) <= kStorageBytes);

}  // namespace

int ElementwiseProgram::add_register(const Register& reg) {
  if (registers_.size() == kMaxRegisters) {
    invalid("elementwise",
            "a chain has at most " + std::to_string(kMaxRegisters) + " operands and functions");
  }
  registers_.push_back(reg);
  return static_cast<int>(registers_.size()) - 1;
}

int ElementwiseProgram::operand(const void* data, DType dtype, const Shape& shape) {
  std::array<Int, Shape::kMaxRank> strides{};
  const int missing = shape_.rank() - shape.rank();
  bool fits = missing >= 0;
  Int stride = 1;
  for (int axis = shape.rank() - 1; fits && axis >= 0; --axis) {
    const Int length = shape[axis];
    fits = length == shape_[axis + missing] || length == 1;
    strides[static_cast<std::size_t>(axis) + static_cast<std::size_t>(missing)] =
        length == 1 ? 0 : stride;
    stride *= length;
  }
  if (!fits) {
    invalid("elementwise",
            "an operand must broadcast to the shape of the result",
            {{"operand", shape.str()}, {"result", shape_.str()}});
  }
  return operand(data, dtype, strides);
}

int ElementwiseProgram::operand(const void* data,
                                DType dtype,
                                const std::array<Int, Shape::kMaxRank>& strides) {
  Register reg{.dtype = dtype};
  reg.data = static_cast<const std::byte*>(data);
  reg.strides = strides;
  return add_register(reg);
}

int ElementwiseProgram::apply(int code, DType dtype, int a, int b, int c) {
  const isa::ElementwiseFn fn = isa::table().elementwise[code][static_cast<int>(dtype)];
  if (fn == nullptr) {
    invalid("elementwise",
            std::string(isa::kFunctions[code].name) + " does not take this dtype",
            {{"dtype", std::string(name_of(dtype))}});
  }
  const int result =
      add_register({.dtype = isa::kFunctions[code].gives_bool ? DType::boolean : dtype,
                    .instruction = static_cast<int>(instructions_.size())});
  instructions_.push_back({fn, a, b, c, result});
  cost_ += isa::kFunctions[code].cost;
  return result;
}

int ElementwiseProgram::cast(int a, DType to) {
  const int from = static_cast<int>(dtype(a));
  const int result =
      add_register({.dtype = to, .instruction = static_cast<int>(instructions_.size())});
  instructions_.push_back({isa::table().cast[from][static_cast<int>(to)], a, -1, -1, result});
  cost_ += 1;
  return result;
}

void ElementwiseProgram::output(int reg, void* data) {
  outputs_.push_back({reg, static_cast<std::byte*>(data), true});
}

DType ElementwiseProgram::dtype(int reg) const {
  return registers_[static_cast<std::size_t>(reg)].dtype;
}

/// Joins axes that every operand walks as one; what is left is rows of one inner axis.
void ElementwiseProgram::collapse_axes() {
  std::array<Int, Shape::kMaxRank> lengths{};
  int rank = 0;
  for (int axis = 0; axis < shape_.rank(); ++axis) {
    const Int length = shape_[axis];
    if (length == 1) continue;
    const auto at = static_cast<std::size_t>(axis);
    bool joins = rank > 0;
    for (const Register& reg : registers_) {
      if (reg.instruction >= 0 || !joins) continue;
      joins = reg.strides[static_cast<std::size_t>(rank - 1)] == reg.strides[at] * length;
    }
    if (!joins) ++rank;
    const auto to = static_cast<std::size_t>(rank - 1);
    lengths[to] = joins ? lengths[to] * length : length;
    for (Register& reg : registers_) reg.strides[to] = reg.strides[at];
  }
  outer_rank_ = std::max(0, rank - 1);
  outer_ = lengths;
  row_ = rank == 0 ? 1 : lengths[static_cast<std::size_t>(rank - 1)];
  rows_ = row_ == 0 ? 0 : shape_.size() / row_;
  for (Register& reg : registers_) {
    if (reg.instruction >= 0) continue;
    if (rank == 0) reg.strides[0] = 0;
    reg.moves_inside = reg.strides[static_cast<std::size_t>(outer_rank_)] != 0 && rank > 0;
    for (int axis = 0; axis < outer_rank_; ++axis) {
      reg.moves_across |= reg.strides[static_cast<std::size_t>(axis)] != 0;
    }
  }
}

/// A result may be computed in its output's memory unless a later function still reads an operand
/// there.
bool ElementwiseProgram::can_be_direct(const Output& output) const {
  const Register& reg = registers_[static_cast<std::size_t>(output.reg)];
  if (reg.instruction < 0 || reg.buffer == kDirect) return false;
  const auto reads_output = [&](int operand) {
    return operand >= 0 && registers_[static_cast<std::size_t>(operand)].data == output.data;
  };
  for (std::size_t i = static_cast<std::size_t>(reg.instruction) + 1; i < instructions_.size();
       ++i) {
    const Instruction& each = instructions_[i];
    if (reads_output(each.a) || reads_output(each.b) || reads_output(each.c)) return false;
  }
  // Operands that are themselves outputs are copied at the end of a block.
  return std::none_of(outputs_.begin(), outputs_.end(), [&](const Output& each) {
    return registers_[static_cast<std::size_t>(each.reg)].data == output.data;
  });
}

/// Gives each register a place: its own memory, its output's, or a block buffer that it shares with
/// registers that are dead by then.
void ElementwiseProgram::place_registers() {
  // An operand is read where it is if it is contiguous in the iteration shape, or within long rows.
  const bool long_rows = row_ >= kLongRow;
  for (Register& reg : registers_) {
    if (reg.instruction >= 0) continue;
    const auto inner = static_cast<std::size_t>(outer_rank_);
    bool contiguous = reg.moves_inside && reg.strides[inner] == 1;
    Int expected = row_;
    for (int axis = outer_rank_ - 1; axis >= 0 && !long_rows; --axis) {
      contiguous &= reg.strides[static_cast<std::size_t>(axis)] == expected;
      expected *= outer_[static_cast<std::size_t>(axis)];
    }
    reg.buffer = contiguous || shape_.size() == 1 ? kInput : buffers_++;
  }
  for (Output& output : outputs_) {
    Register& reg = registers_[static_cast<std::size_t>(output.reg)];
    if (!can_be_direct(output)) continue;
    reg.buffer = kDirect;
    reg.direct = output.data;
    output.copy = false;
  }
  std::vector<int> last_use(registers_.size(), -1);
  for (std::size_t i = 0; i < instructions_.size(); ++i) {
    for (const int operand : {instructions_[i].a, instructions_[i].b, instructions_[i].c}) {
      if (operand >= 0) last_use[static_cast<std::size_t>(operand)] = static_cast<int>(i);
    }
  }
  for (const Output& output : outputs_) {
    last_use[static_cast<std::size_t>(output.reg)] = static_cast<int>(instructions_.size());
  }
  std::vector<int> free;
  for (std::size_t i = 0; i < instructions_.size(); ++i) {
    Register& result = registers_[static_cast<std::size_t>(instructions_[i].result)];
    if (result.buffer != kDirect) {
      if (free.empty()) free.push_back(buffers_++);
      result.buffer = free.back();
      free.pop_back();
    }
    const Instruction& each = instructions_[i];
    const int used[] = {each.a,
                        each.b == each.a ? -1 : each.b,
                        each.c == each.a || each.c == each.b ? -1 : each.c,
                        each.result};
    for (const int number : used) {
      if (number < 0) continue;
      const Register& reg = registers_[static_cast<std::size_t>(number)];
      const bool dead = last_use[static_cast<std::size_t>(number)] <= static_cast<int>(i);
      if (dead && reg.instruction >= 0 && reg.buffer >= 0) free.push_back(reg.buffer);
    }
  }
}

/// What a block needs before its functions run, so that it looks at nothing else.
void ElementwiseProgram::list_direct_blocks() {
  for (std::size_t r = 0; r < registers_.size(); ++r) {
    const Register& reg = registers_[r];
    const auto size = static_cast<Int>(size_of(reg.dtype));
    const int number = static_cast<int>(r);
    if (reg.buffer == kDirect) {
      direct_blocks_.push_back({number, reg.direct, row_ * size, size, false});
    } else if (reg.instruction < 0 && reg.buffer == kInput) {
      direct_blocks_.push_back({number,
                                const_cast<std::byte*>(reg.data),  // nothing writes to an operand
                                outer_rank_ == 1 ? reg.strides[0] * size : 0,
                                size,  // where it does not move, there is one element
                                outer_rank_ > 1});
    } else if (reg.instruction < 0) {
      repeated_.push_back(number);
    }
  }
}

void ElementwiseProgram::prepare() {
  // Operands that are outputs are copied before another output may take their memory.
  std::stable_partition(outputs_.begin(), outputs_.end(), [&](const Output& output) {
    return registers_[static_cast<std::size_t>(output.reg)].instruction < 0;
  });
  collapse_axes();
  place_registers();
  list_direct_blocks();
  std::size_t widest = 1;
  for (const Register& reg : registers_) widest = std::max(widest, size_of(reg.dtype));
  const auto buffers = static_cast<std::size_t>(std::max(1, buffers_));
  buffer_bytes_ = kStorageBytes / buffers / 64 * 64;
  const Int most = instructions_.size() == 1 ? kLoneBlock : kBlock;
  block_ = std::min<Int>(most, static_cast<Int>(buffer_bytes_ / widest) / 16 * 16);
  // Short rows: several whole ones, so that an operand that repeats from row to row is expanded
  // once.
  whole_rows_ = outer_rank_ > 0 && row_ < kLongRow && row_ <= block_ && row_ > 0;
  if (whole_rows_) {
    block_ = block_ / row_ * row_;
  } else if (row_ > 0) {
    const Int parts = (row_ + block_ - 1) / block_;
    block_ = ((row_ + parts - 1) / parts + 15) / 16 * 16;
  }
}

void run_elementwise(const Exec& exec, const ElementwiseProgram& program) {
  const Int rows = program.rows_, row = program.row_;
  if (rows == 0) return;
  const Int cost = program.cost_ + static_cast<Int>(program.outputs_.size());
  const Int grain = std::max<Int>(1, isa::kParallelAdditions / (program.block_ * cost));
  if (program.whole_rows_) {
    const Int block_rows = program.block_ / row;
    const Int blocks = (rows + block_rows - 1) / block_rows;
    parallel_for(exec, blocks, grain, [&](Int begin, Int end) {
      ElementwiseRun run(program);
      for (Int i = begin; i < end; ++i) {
        run.block(i * block_rows, 0, std::min(block_rows, rows - i * block_rows) * row);
      }
    });
  } else {
    const Int per_row = (row + program.block_ - 1) / program.block_;
    parallel_for(exec, rows * per_row, grain, [&](Int begin, Int end) {
      ElementwiseRun run(program);
      for (Int i = begin; i < end; ++i) {
        const Int column = i % per_row * program.block_;
        run.block(i / per_row, column, std::min(program.block_, row - column));
      }
    });
  }
}

void run_elementwise_block(const ElementwiseProgram& program, Int i, Int j, Int rows, Int columns) {
  const Int width = program.shape_[1], first = i * width;
  ElementwiseRun run(program);
  if (columns < width) {
    run.rectangle(i, rows, j, columns);
  } else {
    run.range(first / program.row_, first % program.row_, rows * width);
  }
}

}  // namespace chainrule::kernels
