// One thread's walk through the blocks of an element-wise program.
#pragma once

#include <algorithm>
#include <cstring>

#include "base/dispatch.h"
#include "kernels/elementwise.h"

namespace chainrule::kernels {

using Int = std::int64_t;

constexpr std::size_t kStorageBytes = 64 * 1024;  // block buffers, on the stack of each thread

/// The state of one thread that runs a range of blocks.
class ElementwiseRun {
 public:
  explicit ElementwiseRun(const ElementwiseProgram& program) : program_(program) {
    for (std::size_t r = 0; r < program.registers_.size(); ++r) {
      const auto& reg = program.registers_[r];
      filled_[r] = filled_row_[r] = filled_column_[r] = 0;
      if (reg.buffer >= 0)
        at_[r] = storage_ + program.buffer_bytes_ * static_cast<std::size_t>(reg.buffer);
    }
  }

  /// Any n elements from row `row` and column `column` on, in blocks: a part of one row, or whole
  /// rows.
  void range(Int row, Int column, Int n) {
    const Int length = program_.row_;
    if (program_.whole_rows_ && column == 0 && n % length == 0) {
      const Int most = program_.block_ / length;
      for (const Int end = row + n / length; row < end; row += most)
        block(row, 0, std::min(most, end - row) * length);
      return;
    }
    for (Int done = 0; done < n;) {
      const Int part = std::min({program_.block_, length - column, n - done});
      block(row, column, part);
      done += part;
      column += part;
      if (column == length) {
        column = 0;
        ++row;
      }
    }
  }

  /// n elements of the iteration; they lie in row `row` from `column` on, or are whole rows.
  void block(Int row, Int column, Int n) {
    place(row, column, n);
    run_functions(row * program_.row_ + column, n);
  }

  /// Of a matrix: columns [j, j + columns) of the rows [i, i + rows), rows > 0. Faster than row by
  /// row.
  void rectangle(Int i, Int rows, Int j, Int columns) {
    const Int width = program_.shape_[1];
    const bool one_axis = program_.row_ != width;  // the matrix is one row of the iteration
    for (Int done = 0, n = 0; done < columns; done += n) {
      n = std::min(program_.block_, columns - done);
      const Int column = j + done;
      place(one_axis ? 0 : i, one_axis ? i * width + column : column, n);
      for (Int row = i;;) {
        run_functions(row * width + column, n);
        if (++row == i + rows) break;
        for (const auto& place : program_.direct_blocks_)
          at_[place.reg] += one_axis ? width * place.column_bytes : place.row_bytes;
        for (const int reg : program_.repeated_)
          expand(reg, one_axis ? 0 : row, one_axis ? row * width + column : column, n);
      }
    }
  }

 private:
  [[nodiscard]] const void* get(int reg) const { return reg < 0 ? nullptr : at_[reg]; }

  /// On what has been placed: n elements, the first of which is element `first` of the iteration.
  void run_functions(Int first, Int n) {
    for (const auto& each : program_.instructions_) {
      each.fn(n, get(each.a), get(each.b), get(each.c), at_[each.result]);
    }
    for (const auto& output : program_.outputs_) {
      if (!output.copy) continue;
      const std::size_t size = size_of(program_.dtype(output.reg));
      std::memmove(output.data + static_cast<std::size_t>(first) * size,
                   at_[output.reg],
                   static_cast<std::size_t>(n) * size);
    }
  }

  /// Element offset of an operand at the beginning of a row.
  [[nodiscard]] Int row_offset(const ElementwiseProgram::Register& reg, Int row) const {
    Int offset = 0;
    for (int axis = program_.outer_rank_ - 1; axis >= 0; --axis) {
      const auto at = static_cast<std::size_t>(axis);
      offset += row % program_.outer_[at] * reg.strides[at];
      row /= program_.outer_[at];
    }
    return offset;
  }

  void place(Int row, Int column, Int n) {
    for (const auto& place : program_.direct_blocks_) {
      const Int offset =
          place.by_axes
              ? row_offset(program_.registers_[static_cast<std::size_t>(place.reg)], row) *
                    place.column_bytes
              : row * place.row_bytes;
      at_[place.reg] = place.data + offset + column * place.column_bytes;
    }
    for (const int reg : program_.repeated_) expand(reg, row, column, n);
  }

  /// Fills the buffer of a repeated operand, unless it still holds the same.
  void expand(int r, Int row, Int column, Int n) {
    const auto& reg = program_.registers_[static_cast<std::size_t>(r)];
    const bool same_row = !reg.moves_across || row == filled_row_[r];
    const bool same_column = !reg.moves_inside || column == filled_column_[r];
    if (same_row && same_column && n <= filled_[r]) return;
    filled_[r] = reg.moves_across && n > program_.row_ ? 0 : n;  // several rows are not kept
    filled_row_[r] = row;
    filled_column_[r] = column;
    std::byte* to = at_[r];
    if (!reg.moves_across && column == 0 && n > program_.row_) return repeat_row(reg, n, to);
    for (Int done = 0; done < n; ++row, column = 0) {
      const Int length = std::min(program_.row_ - column, n - done);
      fill_row(reg, row_offset(reg, row), column, length, to);
      to += static_cast<std::size_t>(length) * size_of(reg.dtype);
      done += length;
    }
  }

  /// The same row again and again: copies twice as many each time.
  void repeat_row(const ElementwiseProgram::Register& reg, Int n, std::byte* to) {
    fill_row(reg, 0, 0, program_.row_, to);
    const std::size_t size = size_of(reg.dtype), end = static_cast<std::size_t>(n) * size;
    std::size_t done = static_cast<std::size_t>(program_.row_) * size;
    for (; done < end; done *= 2) std::memcpy(to + done, to, std::min(done, end - done));
  }

  void fill_row(
      const ElementwiseProgram::Register& reg, Int offset, Int column, Int n, std::byte* to) {
    with_bits_of(size_of(reg.dtype),
                 [&]<class Bits>(Bits) { fill_row_as<Bits>(reg, offset, column, n, to); });
  }

  template <class Bits>
  void fill_row_as(
      const ElementwiseProgram::Register& reg, Int offset, Int column, Int n, std::byte* to) {
    const Int stride =
        reg.moves_inside ? reg.strides[static_cast<std::size_t>(program_.outer_rank_)] : 0;
    const std::byte* from =
        reg.data + static_cast<std::size_t>(offset + column * stride) * sizeof(Bits);
    if (stride == 1) {
      std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(Bits));
    } else {
      const auto read = [from](Int i) {
        Bits value;
        std::memcpy(&value, from + static_cast<std::size_t>(i) * sizeof(Bits), sizeof(Bits));
        return value;
      };
      Bits* out = reinterpret_cast<Bits*>(to);
      if (stride == 0) {
        std::fill_n(out, n, read(0));
      } else {
        for (Int i = 0; i < n; ++i) out[i] = read(i * stride);
      }
    }
  }

  static constexpr int kRegisters = ElementwiseProgram::kMaxRegisters;

  const ElementwiseProgram& program_;
  std::byte* at_[kRegisters];  // the current block of each register
  Int filled_[kRegisters];  // elements in the buffer of a repeated operand, from (row, column) on
  Int filled_row_[kRegisters];
  Int filled_column_[kRegisters];
  alignas(64) std::byte storage_[kStorageBytes];
};

}  // namespace chainrule::kernels
