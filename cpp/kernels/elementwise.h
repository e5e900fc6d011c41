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

#include <array>
#include <cstdint>
#include <vector>

#include "chainrule/shape.h"
#include "isa/table.h"
#include "parallel/exec.h"

namespace chainrule::kernels {

/// A chain of element-wise functions over one iteration shape, with all pointers. Registers are
/// numbered in the order in which operand() and apply() return them. Building it allocates and may
/// throw; running it does neither.
class ElementwiseProgram {
 public:
  /// The most operands and functions, together, that a program can have.
  static constexpr int kMaxRegisters = 128;

  explicit ElementwiseProgram(const Shape& shape) : shape_(shape) {}

  /// An input of `shape`, which broadcasts to the iteration shape as in NumPy. Returns its
  /// register. Throws InvalidArgument when it does not broadcast or there are too many registers.
  int operand(const void* data, DType dtype, const Shape& shape);
  /// The same with a stride, in elements, for each axis of the iteration shape; 0 repeats.
  int operand(const void* data,
              DType dtype,
              const std::array<std::int64_t, Shape::kMaxRank>& strides);
  /// The function `code` of the table in use on registers of type `dtype` (for `where`: a is the
  /// condition, b and c are of `dtype`). Returns the register of the result: boolean for
  /// comparisons and predicates, else `dtype`. Throws InvalidArgument when the function does not
  /// take the type.
  int apply(int code, DType dtype, int a, int b = -1, int c = -1);
  /// Register `a` converted to `to`.
  int cast(int a, DType to);
  /// Writes a register to `data`, contiguous in the iteration shape. It may be exactly the memory
  /// of an operand that is not broadcast; it must not overlap operands in another way.
  void output(int reg, void* data);
  /// Fixes loops and buffers; call it once, last.
  void prepare();

  [[nodiscard]] DType dtype(int reg) const;

 private:
  friend void run_elementwise(const Exec& exec, const ElementwiseProgram& program);
  friend void run_elementwise_block(
      const ElementwiseProgram&, std::int64_t, std::int64_t, std::int64_t, std::int64_t);
  friend class ElementwiseRun;

  static constexpr int kInput = -1;   ///< an operand read where it is
  static constexpr int kDirect = -2;  ///< a result computed in the memory of its output

  struct Register {
    DType dtype;
    int instruction = -1;             ///< that computes it; -1: an operand
    const std::byte* data = nullptr;  ///< of an operand
    std::byte* direct = nullptr;      ///< output memory of a register that is kDirect
    int buffer = kInput;              ///< block buffer, or kInput or kDirect
    bool moves_inside = false;        ///< operand: not constant along a row
    bool moves_across = false;        ///< operand: not the same for all rows
    std::array<std::int64_t, Shape::kMaxRank> strides{};
  };
  struct Instruction {
    isa::ElementwiseFn fn;
    int a, b, c, result;
  };
  struct Output {
    int reg;
    std::byte* data;
    bool copy;  ///< from the register's buffer at the end of a block
  };

  /// Where the block of a register begins that is read or written where it is.
  struct DirectBlock {
    int reg;
    std::byte* data;
    std::int64_t row_bytes, column_bytes;  ///< from row to row, from column to column
    bool by_axes;                          ///< rows are not equally far apart
  };

  int add_register(const Register& reg);
  void collapse_axes();
  void place_registers();
  void list_direct_blocks();
  [[nodiscard]] bool can_be_direct(const Output& output) const;

  Shape shape_;
  std::vector<Register> registers_;
  std::vector<Instruction> instructions_;
  std::vector<Output> outputs_;

  // Set by prepare(). The iteration is `rows_` rows of `row_` elements.
  int outer_rank_ = 0;
  std::array<std::int64_t, Shape::kMaxRank> outer_{};  ///< axes before the last one
  std::int64_t rows_ = 0, row_ = 0;
  bool whole_rows_ = false;
  std::int64_t block_ = 0;  ///< elements of a block: a part of a row, or whole rows
  std::int64_t cost_ = 0;   ///< of one element, in cheap instructions
  std::vector<DirectBlock> direct_blocks_;
  std::vector<int> repeated_;  ///< operands that are expanded into a buffer
  int buffers_ = 0;
  std::size_t buffer_bytes_ = 0;  ///< of one block of the widest type
};

/// Runs a prepared program. Outputs do not depend on the number of threads.
void run_elementwise(const Exec& exec, const ElementwiseProgram& program);

/// Runs a prepared program over a matrix on its rows [i, i + rows) and columns [j, j + columns)
/// alone, on this thread.
void run_elementwise_block(const ElementwiseProgram& program,
                           std::int64_t i,
                           std::int64_t j,
                           std::int64_t rows,
                           std::int64_t columns);

}  // namespace chainrule::kernels
