// Element-wise chains: any number of element-wise functions in one pass over blocks that stay in
// cache.
//
//     ElementwiseProgram program(Shape{32, 10});                 // relu(x + bias), bias broadcast
//     int x = program.operand(x_data, DType::float32, Shape{32, 10});
//     int b = program.operand(bias_data, DType::float32, Shape{10});
//     int sum = program.apply(isa::add_code, DType::float32, x, b);
//     program.output(program.apply(isa::relu_code, DType::float32, sum), out_data);
//     program.prepare();
//     run_elementwise(exec, program);                            // as often as wanted
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "chainrule/shape.h"
#include "isa/table.h"
#include "parallel/exec.h"

namespace chainrule::inline v0_1::kernels {

/// How the work of a program is cut: into blocks of whole rows, or of a part of one row.
struct ElementwiseBlocks {
  /// Elements [column, column + columns) of rows [row, row + rows).
  struct Block {
    std::int64_t row, column, rows, columns;
    [[nodiscard]] std::int64_t size() const { return rows * columns; }
  };

  std::int64_t rows = 0, row_length = 0;      ///< `row_length` elements in each row
  std::int64_t height = 1, width = 0;         ///< rows of a block, and its elements in each
  std::int64_t blocks_in_row = 1, count = 0;  ///< blocks beside each other in a row, and in all
  std::int64_t cost = 1;                      ///< of an element, in cheap functions

  [[nodiscard]] Block operator[](std::int64_t i) const {
    const std::int64_t first = i / blocks_in_row * height, column = i % blocks_in_row * width;
    return {first, column, std::min(height, rows - first), std::min(width, row_length - column)};
  }
  /// The cost of all elements.
  [[nodiscard]] std::int64_t work() const { return rows * row_length * cost; }
  /// Blocks that are worth a thread.
  [[nodiscard]] std::int64_t grain() const;
};

/// A chain of element-wise functions over one iteration shape, with all pointers. Registers are
/// numbered in the order in which operand() and apply() return them. Building it allocates and may
/// throw; running it does neither.
class ElementwiseProgram {
 public:
  /// In elements, for each axis of the iteration shape; 0 repeats.
  using Strides = std::array<std::int64_t, Shape::kMaxRank>;
  /// The most operands and functions, together, that a program can have.
  static constexpr int kMaxRegisters = 128;
  /// The most elements of a block whose result is read again.
  static constexpr std::int64_t kBlock = 1024;

  explicit ElementwiseProgram(const Shape& shape = {}) : shape_(shape) {}
  /// Begins another program in the memory of this one. Allocates only for a longer one than before.
  void begin(const Shape& shape);

  /// An input of `shape`, which broadcasts to the iteration shape as in NumPy. Returns its
  /// register. Throws InvalidArgument when it does not broadcast or there are too many registers.
  int operand(const void* data, DType dtype, const Shape& shape);
  /// The same by strides.
  int operand(const void* data, DType dtype, const Strides& strides);
  /// The function `code` of the table in use on registers of type `dtype` (for `where`: a is the
  /// condition, b and c are of `dtype`). Returns the register of the result: boolean for
  /// comparisons and predicates, else `dtype`. Throws InvalidArgument when the function does not
  /// take the type.
  int apply(int code, DType dtype, int a, int b = -1, int c = -1);
  /// Register `a` converted to `to`.
  int cast(int a, DType to);
  /// Writes a register to `data`, contiguous in the iteration shape or by strides, none of which is
  /// 0 on an axis of two elements or more. The elements may be exactly those of an operand that is
  /// not broadcast, each at its place; they must not overlap operands in another way.
  void output(int reg, void* data);
  void output(int reg, void* data, const Strides& strides);
  /// Fixes loops and buffers; call it once, last. Joins axes that are walked as one, unless
  /// join_axes is false: for a caller that takes blocks from a run and needs the rows of a matrix.
  void prepare(bool join_axes = true);

  [[nodiscard]] DType dtype(int reg) const;
  /// Of a prepared program.
  [[nodiscard]] const ElementwiseBlocks& blocks() const { return blocks_; }

 private:
  friend void run_elementwise_block(
      const ElementwiseProgram&, std::int64_t, std::int64_t, std::int64_t, std::int64_t);
  friend class ElementwiseRun;

  // They have constructors so that they are made in place: a copy at once after the members were
  // stored would wait for these stores.
  struct Register {
    Register(DType dtype, int instruction) : dtype(dtype), instruction(instruction) {}

    DType dtype;
    int instruction;         ///< that computes it; -1: an operand
    int last_use = -1;       ///< the last instruction that reads it; for an output, beyond all
    int buffer = -1;         ///< that holds a block of it; -1: it is in its own memory
    bool is_direct = false;  ///< a result that is computed in the memory of its output
  };
  struct Instruction {
    Instruction(isa::ElementwiseFn fn, int a, int b, int c, int result)
        : fn(fn), args{a, b, c}, result(result) {}

    isa::ElementwiseFn fn;
    std::array<int, 3> args;  ///< registers; -1: none
    int result;
  };
  /// How memory is used in each block.
  enum class Place : std::uint8_t {
    direct,    ///< functions read or write it where it is
    expanded,  ///< an operand, copied into a buffer before the functions run
    saved,     ///< an output that is an operand; copied after the functions, before any `copied`
    copied,    ///< an output, copied from a buffer after the functions
  };
  /// Memory of an operand or an output.
  struct Memory {
    Memory(int reg, std::size_t size, void* data, bool is_output, const Strides& strides)
        : reg(reg),
          is_output(is_output),
          size(static_cast<std::int64_t>(size)),
          data(static_cast<std::byte*>(data)),
          strides(strides) {}

    int reg;
    bool is_output;
    Place place = Place::direct;
    bool contiguous = false;                         ///< within each block
    bool even = true;                                ///< rows are equally far apart
    bool moves_across = false;                       ///< rows are not all the same
    std::int64_t size;                               ///< bytes of an element
    std::byte* data;                                 ///< an operand's is only read
    std::int64_t row_stride = 0, column_stride = 0;  ///< from row to row if even; within a row
    Strides strides;
  };

  int add_register(DType dtype, int instruction);
  int add_instruction(isa::ElementwiseFn fn, int a, int b, int c, DType result);
  void collapse_axes(bool join_axes);
  [[nodiscard]] bool can_be_direct(const Memory& output) const;
  void place_memory();
  void share_buffers();
  void cut_blocks();

  Shape shape_;
  std::vector<Register> registers_;
  std::vector<Instruction> instructions_;
  std::vector<Memory> memory_;

  // Set by prepare().
  int outer_rank_ = 0;
  Strides outer_{};  ///< lengths of the axes before the last one
  ElementwiseBlocks blocks_;
  bool copies_ = false;  ///< outputs are saved or copied
  int buffers_ = 0;
  unsigned buffer_bytes_ = 0;  ///< of one block of the widest type
};

/// Runs a prepared program. Outputs do not depend on the number of threads.
void run_elementwise(const Exec& exec, const ElementwiseProgram& program);

/// Runs a prepared program over a matrix, but only rows [i, i + rows) and columns [j, j + columns),
/// on this thread.
void run_elementwise_block(const ElementwiseProgram& program,
                           std::int64_t i,
                           std::int64_t j,
                           std::int64_t rows,
                           std::int64_t columns);

}  // namespace chainrule::inline v0_1::kernels
