// One thread's walk through the blocks of an element-wise program.
#pragma once

#include <algorithm>
#include <cstring>

#include "base/dispatch.h"
#include "kernels/copy_line.h"
#include "kernels/elementwise.h"

namespace chainrule::inline v0_1::kernels {

using Int = std::int64_t;

constexpr std::size_t kStorageBytes = 64 * 1024;  // block buffers, on the stack of each thread

/// The state of one thread that runs blocks, one after the other.
class ElementwiseRun {
 public:
  explicit ElementwiseRun(const ElementwiseProgram& program)
      : program_(program), length_(program.blocks_.row_length) {
    for (std::size_t r = 0; r < program.registers_.size(); ++r) {
      const auto& reg = program.registers_[r];
      filled_[r] = 0;
      if (reg.buffer >= 0)
        at_[r] = storage_ + program.buffer_bytes_ * static_cast<unsigned>(reg.buffer);
    }
  }
  ElementwiseRun(const ElementwiseRun&) = delete;
  ElementwiseRun& operator=(const ElementwiseRun&) = delete;

  void block(const ElementwiseBlocks::Block& b) { block(b.row, b.column, b.size()); }

  /// The elements of a register in the block that ran last, without gaps. Valid unless a later
  /// function took over its buffer; always for the last function.
  [[nodiscard]] const void* elements(int reg) const { return at_[reg]; }

  /// Runs any n elements from row `row` and column `column` on, in blocks.
  void range(Int row, Int column, Int n) {
    const Int height = program_.blocks_.height, width = program_.blocks_.width;
    if (height > 1 && column == 0 && n % length_ == 0) {
      for (const Int end = row + n / length_; row < end; row += height)
        block(row, 0, std::min(height, end - row) * length_);
      return;
    }
    for (Int done = 0; done < n;) {
      const Int part = std::min({height * width, length_ - column, n - done});
      block(row, column, part);
      done += part;
      column += part;
      if (column == length_) {
        column = 0;
        ++row;
      }
    }
  }

  /// Runs columns [j, j + columns) of the rows [i, i + rows) of a matrix, rows > 0. Faster than a
  /// range() for each row.
  void rectangle(Int i, Int rows, Int j, Int columns) {
    const Int width = program_.shape_[1];
    const bool one_axis = length_ != width;  // the matrix is one row of the iteration
    const Int most = program_.blocks_.height * program_.blocks_.width;
    for (Int done = 0, n = 0; done < columns; done += n) {
      n = std::min(most, columns - done);
      Int row = one_axis ? 0 : i, column = (one_axis ? i * width : 0) + j + done;
      place(row, column, n);
      for (Int left = rows;;) {
        run_functions(row, column, n);
        if (--left == 0) break;
        (one_axis ? column : row) += one_axis ? width : 1;
        for (const Memory& each : program_.memory_) {
          if (each.place == Place::direct) {
            at_[each.reg] += (one_axis ? width : each.row_stride) * each.size;
          } else if (each.place == Place::expanded) {
            expand(each, row, column, n);
          }
        }
      }
    }
  }

 private:
  using Memory = ElementwiseProgram::Memory;
  using Place = ElementwiseProgram::Place;

  [[nodiscard]] const void* get(int reg) const { return reg < 0 ? nullptr : at_[reg]; }

  /// Runs n elements: in row `row` from `column` on, or whole rows.
  void block(Int row, Int column, Int n) {
    place(row, column, n);
    run_functions(row, column, n);
  }

  void place(Int row, Int column, Int n) {
    for (const Memory& each : program_.memory_) {
      if (each.place == Place::direct) {
        at_[each.reg] = address(each, row, column);
      } else if (each.place == Place::expanded) {
        expand(each, row, column, n);
      }
    }
  }

  /// Runs the functions on operands that have been placed.
  void run_functions(Int row, Int column, Int n) {
    for (const auto& each : program_.instructions_) {
      each.fn(n, get(each.args[0]), get(each.args[1]), get(each.args[2]), at_[each.result]);
    }
    if (!program_.copies_) return;
    for (const Place place : {Place::saved, Place::copied}) {
      for (const Memory& each : program_.memory_) {
        if (each.place == place) copy_out(each, row, column, n);
      }
    }
  }

  /// Where an element of an operand or output is.
  [[nodiscard]] std::byte* address(const Memory& memory, Int row, Int column) const {
    Int offset = column * memory.column_stride;
    if (memory.even) {
      offset += row * memory.row_stride;
    } else {
      for (int axis = program_.outer_rank_ - 1; axis >= 0; --axis) {
        const auto at = static_cast<std::size_t>(axis);
        offset += row % program_.outer_[at] * memory.strides[at];
        row /= program_.outer_[at];
      }
    }
    return memory.data + offset * memory.size;
  }

  /// Calls f(address, bytes before, elements) for the part of the block in each row.
  template <class F>
  void each_part(const Memory& memory, Int row, Int column, Int n, const F& f) {
    for (Int done = 0; done < n; ++row, column = 0) {
      const Int part = std::min(length_ - column, n - done);
      f(address(memory, row, column), done * memory.size, part);
      done += part;
    }
  }

  /// Fills the buffer of an operand, unless it still holds the same.
  void expand(const Memory& from, Int row, Int column, Int n) {
    const int r = from.reg;
    if (n <= filled_[r] && (!from.moves_across || row == filled_row_[r]) &&
        (from.column_stride == 0 || column == filled_column_[r])) {
      return;
    }
    filled_[r] = from.moves_across && n > length_ ? 0 : n;  // several rows are not kept
    filled_row_[r] = row;
    filled_column_[r] = column;
    std::byte* const to = at_[r];
    if (!from.moves_across && column == 0 && n > length_) {
      // The same row again and again: copies twice as many each time.
      copy_line(from.size, to, 1, from.data, from.column_stride, length_);
      const Int end = n * from.size;
      for (Int done = length_ * from.size; done < end; done *= 2)
        std::memcpy(to + done, to, static_cast<std::size_t>(std::min(done, end - done)));
      return;
    }
    each_part(from, row, column, n, [&](const std::byte* line, Int before, Int part) {
      copy_line(from.size, to + before, 1, line, from.column_stride, part);
    });
  }

  void copy_out(const Memory& to, Int row, Int column, Int n) {
    const std::byte* const from = at_[to.reg];
    if (to.contiguous) {
      std::memmove(address(to, row, column), from, static_cast<std::size_t>(n * to.size));
      return;
    }
    each_part(to, row, column, n, [&](std::byte* line, Int before, Int part) {
      copy_line(to.size, line, to.column_stride, from + before, 1, part);
    });
  }

  static void copy_line(
      Int size, std::byte* to, Int to_stride, const std::byte* from, Int from_stride, Int n) {
    with_bits_of(static_cast<std::size_t>(size), [=]<class Bits>(Bits) {
      kernels::copy_line<Bits>(to, to_stride, from, from_stride, n);
    });
  }

  static constexpr int kRegisters = ElementwiseProgram::kMaxRegisters;

  const ElementwiseProgram& program_;
  const Int length_;           // of a row
  std::byte* at_[kRegisters];  // the current block of each register
  Int filled_[kRegisters];     // elements in the buffer of an operand, from (row, column) on
  Int filled_row_[kRegisters];
  Int filled_column_[kRegisters];
  alignas(64) std::byte storage_[kStorageBytes];
};

}  // namespace chainrule::inline v0_1::kernels
