#include "kernels/elementwise.h"

#include <algorithm>
#include <string>

#include "chainrule/error.h"
#include "isa/caches.h"
#include "isa/functions.h"
#include "kernels/elementwise_run.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::kernels {
namespace {

constexpr Int kBlock = ElementwiseProgram::kBlock;  // a chain stays in the first cache
constexpr Int kLoneBlock = 4 * kBlock;  // of a single function: nothing reads its result again
constexpr Int kLongRow = kBlock / 4;    // a block stays within such a row
// Floats of a cache line: parts of a row are cut between lines.
constexpr Int kLineElements = isa::kCacheLineBytes / static_cast<Int>(sizeof(float));
// Even a buffer for each register fits.
static_assert(ElementwiseProgram::kMaxRegisters * kLineElements * sizeof(double) <= kStorageBytes);

std::size_t at(int i) { return static_cast<std::size_t>(i); }

}  // namespace

Int ElementwiseBlocks::grain() const {
  return std::max<Int>(1, isa::kParallelAdditions / (height * width * cost));
}

void ElementwiseProgram::begin(const Shape& shape) {
  shape_ = shape;
  registers_.clear();
  instructions_.clear();
  memory_.clear();
  blocks_ = {};
  copies_ = false;
  buffers_ = 0;
}

int ElementwiseProgram::add_register(DType dtype, int instruction) {
  if (registers_.size() == kMaxRegisters) {
    invalid("elementwise",
            "a chain has at most " + std::to_string(kMaxRegisters) + " operands and functions");
  }
  registers_.emplace_back(dtype, instruction);
  return static_cast<int>(registers_.size()) - 1;
}

int ElementwiseProgram::operand(const void* data, DType dtype, const Shape& shape) {
  Strides strides{};
  const int missing = shape_.rank() - shape.rank();
  bool fits = missing >= 0;
  Int stride = 1;
  for (int axis = shape.rank() - 1; fits && axis >= 0; --axis) {
    const Int length = shape[axis];
    fits = length == shape_[axis + missing] || length == 1;
    strides[at(axis + missing)] = length == 1 ? 0 : stride;
    stride *= length;
  }
  if (!fits) {
    invalid("elementwise",
            "an operand must broadcast to the shape of the result",
            {{"operand", shape.str()}, {"result", shape_.str()}});
  }
  return operand(data, dtype, strides);
}

int ElementwiseProgram::operand(const void* data, DType dtype, const Strides& strides) {
  const int reg = add_register(dtype, -1);
  memory_.emplace_back(reg, size_of(dtype), const_cast<void*>(data), false, strides);
  return reg;
}

int ElementwiseProgram::add_instruction(isa::ElementwiseFn fn, int a, int b, int c, DType result) {
  const int number = static_cast<int>(instructions_.size());
  const int reg = add_register(result, number);
  instructions_.emplace_back(fn, a, b, c, reg);
  const auto read = [&](int each) {
    if (each >= 0) registers_[at(each)].last_use = std::max(registers_[at(each)].last_use, number);
  };
  read(a);
  read(b);
  read(c);
  return reg;
}

int ElementwiseProgram::apply(int code, DType dtype, int a, int b, int c) {
  const isa::ElementwiseFn fn = isa::table().elementwise[code][static_cast<int>(dtype)];
  const isa::Function& function = isa::kFunctions[code];
  if (fn == nullptr) {
    invalid("elementwise",
            std::string(function.name) + " does not take this dtype",
            {{"dtype", std::string(name_of(dtype))}});
  }
  blocks_.cost += function.cost;
  return add_instruction(fn, a, b, c, function.gives_bool ? DType::boolean : dtype);
}

int ElementwiseProgram::cast(int a, DType to) {
  blocks_.cost += 1;
  const isa::ElementwiseFn fn = isa::table().cast[static_cast<int>(dtype(a))][static_cast<int>(to)];
  return add_instruction(fn, a, -1, -1, to);
}

void ElementwiseProgram::output(int reg, void* data) {
  Strides strides{};
  Int stride = 1;
  for (int axis = shape_.rank() - 1; axis >= 0; --axis) {
    strides[at(axis)] = stride;
    stride *= shape_[axis];
  }
  output(reg, data, strides);
}

void ElementwiseProgram::output(int reg, void* data, const Strides& strides) {
  memory_.emplace_back(reg, size_of(dtype(reg)), data, true, strides);
  registers_[at(reg)].last_use = kMaxRegisters;
}

DType ElementwiseProgram::dtype(int reg) const { return registers_[at(reg)].dtype; }

/// Joins axes that all operands and outputs walk as one. The last axis that is left is the row.
void ElementwiseProgram::collapse_axes(bool join_axes) {
  Strides lengths{};
  int rank = 0;
  for (int axis = 0; axis < shape_.rank(); ++axis) {
    const Int length = shape_[axis];
    if (length == 1) continue;
    const bool joins = join_axes && rank > 0 &&
                       std::all_of(memory_.begin(), memory_.end(), [&](const Memory& each) {
                         return each.strides[at(rank - 1)] == each.strides[at(axis)] * length;
                       });
    if (!joins) ++rank;
    lengths[at(rank - 1)] = joins ? lengths[at(rank - 1)] * length : length;
    for (Memory& each : memory_) each.strides[at(rank - 1)] = each.strides[at(axis)];
  }
  outer_rank_ = std::max(0, rank - 1);
  outer_ = lengths;
  blocks_.row_length = rank == 0 ? 1 : lengths[at(rank - 1)];
  blocks_.rows = 1;
  for (int axis = 0; axis < outer_rank_; ++axis) blocks_.rows *= lengths[at(axis)];
  for (Memory& each : memory_) {
    if (rank > 0) each.column_stride = each.strides[at(rank - 1)];
    if (rank > 1) each.row_stride = each.strides[at(rank - 2)];
    for (int axis = 0; axis < outer_rank_; ++axis) {
      each.moves_across |= each.strides[at(axis)] != 0;
      each.even &= axis + 1 == outer_rank_ ||
                   each.strides[at(axis)] == each.strides[at(axis + 1)] * outer_[at(axis + 1)];
    }
    // Blocks are within long rows, and may be several short ones.
    const bool no_gaps = outer_rank_ == 0 || (each.even && each.row_stride == blocks_.row_length);
    each.contiguous = shape_.size() == 1 ||
                      (each.column_stride == 1 && (no_gaps || blocks_.row_length >= kLongRow));
  }
}

/// Whether a result can be computed in its output's memory. It cannot if a later function, or a
/// copy at the end of a block, still reads an operand there.
bool ElementwiseProgram::can_be_direct(const Memory& output) const {
  const Register& reg = registers_[at(output.reg)];
  if (!output.contiguous || reg.instruction < 0 || reg.is_direct) return false;
  return std::none_of(memory_.begin(), memory_.end(), [&](const Memory& each) {
    return !each.is_output && each.data == output.data &&
           registers_[at(each.reg)].last_use > reg.instruction;
  });
}

/// Decides the Place of all memory. Operands that are not read where they are get a buffer each.
void ElementwiseProgram::place_memory() {
  for (Memory& each : memory_) {
    Register& reg = registers_[at(each.reg)];
    if (!each.is_output) {
      if (each.contiguous) continue;
      each.place = Place::expanded;
      reg.buffer = buffers_++;
    } else if (can_be_direct(each)) {
      reg.is_direct = true;
    } else {
      each.place = reg.instruction < 0 ? Place::saved : Place::copied;
      copies_ = true;
    }
  }
}

/// Gives each result that is not direct a buffer, which it may take over from one that is dead.
void ElementwiseProgram::share_buffers() {
  int free[kMaxRegisters], free_count = 0;
  for (std::size_t i = 0; i < instructions_.size(); ++i) {
    const Instruction& each = instructions_[i];
    Register& result = registers_[at(each.result)];
    if (!result.is_direct) result.buffer = free_count > 0 ? free[--free_count] : buffers_++;
    const auto release = [&](int number) {
      if (number < 0) return;
      Register& reg = registers_[at(number)];
      if (reg.instruction < 0 || reg.is_direct || reg.last_use > static_cast<int>(i)) return;
      free[free_count++] = reg.buffer;
      reg.last_use = kMaxRegisters;  // an instruction may read it twice
    };
    for (const int number : each.args) release(number);
    release(each.result);  // if nothing reads it
  }
}

void ElementwiseProgram::cut_blocks() {
  Int widest = 1;
  for (const Register& each : registers_) {
    widest = std::max(widest, static_cast<Int>(size_of(each.dtype)));
  }
  buffer_bytes_ = kStorageBytes / static_cast<unsigned>(std::max(1, buffers_)) / 64 * 64;
  const bool lone = instructions_.size() == 1 && registers_[at(instructions_[0].result)].is_direct;
  Int most = lone ? kLoneBlock : kBlock;
  if (most * widest > buffer_bytes_) most = buffer_bytes_ / widest / kLineElements * kLineElements;
  const Int rows = blocks_.rows, row_length = blocks_.row_length;
  if (rows == 0 || row_length == 0) return;
  if (rows * row_length <= most && (rows == 1 || row_length < kLongRow)) {
    blocks_.height = rows;
    blocks_.width = row_length;
    blocks_.count = 1;
    return;
  }
  if (rows > 1 && row_length < kLongRow && row_length <= most) {
    // Several short rows at once: an operand that repeats from row to row is expanded once.
    blocks_.height = most / row_length;
    blocks_.width = row_length;
  } else {
    // Even parts of a row.
    const Int parts = (row_length + most - 1) / most;
    blocks_.width =
        ((row_length + parts - 1) / parts + kLineElements - 1) / kLineElements * kLineElements;
    blocks_.blocks_in_row = (row_length + blocks_.width - 1) / blocks_.width;
  }
  blocks_.count = (rows + blocks_.height - 1) / blocks_.height * blocks_.blocks_in_row;
}

void ElementwiseProgram::prepare(bool join_axes) {
  collapse_axes(join_axes);
  place_memory();
  share_buffers();
  cut_blocks();
}

void run_elementwise(const Exec& exec, const ElementwiseProgram& program) {
  const ElementwiseBlocks& blocks = program.blocks();
  if (blocks.count == 0) return;
  parallel_for(exec, blocks.count, blocks.grain(), [&](Int begin, Int end) {
    ElementwiseRun run(program);
    for (Int i = begin; i < end; ++i) run.block(blocks[i]);
  });
}

void run_elementwise_block(const ElementwiseProgram& program, Int i, Int j, Int rows, Int columns) {
  const Int width = program.shape_[1], length = program.blocks_.row_length, first = i * width;
  ElementwiseRun run(program);
  if (columns < width) {
    run.rectangle(i, rows, j, columns);
  } else {
    run.range(first / length, first % length, rows * width);
  }
}

}  // namespace chainrule::inline v0_1::kernels
