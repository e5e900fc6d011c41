// Runs the element-wise chains of chainrule/blas.h block by block. Chains come and go with each
// assignment, so preparing one allocates nothing.
#pragma once

#include <algorithm>
#include <cstring>

#include "blas/threads.h"
#include "chainrule/blas/engine.h"
#include "isa/functions.h"
#include "isa/table.h"

namespace chainrule::blas::detail {

/// A chain that has been laid out: `rows` rows of `row` elements, in blocks that are parts of a row
/// or some whole rows.
template <class T>
struct Layout {
  static constexpr Index kBlock = 1024;             // most elements of a block
  static constexpr Index kUntouched = 16 * kBlock;  // of one that is read where it is
  static constexpr Index kLongRow = kBlock / 4;     // a block stays within such a row
  static constexpr std::size_t kStorageBytes = 64 * 1024;
  static_assert((kMaxOperands + kMaxSlots) * 64 * sizeof(T) <= kStorageBytes);

  /// How a block of an operand is found.
  enum class Place : std::uint8_t {
    memory,    ///< where it is: without gaps within each block
    number,    ///< a number: in a buffer that is filled once
    gathered,  ///< in a buffer that is filled for each block
  };

  Index rows, row;
  int operand_count, step_count, slot_count;
  const Step* steps;
  Operand<T> operands[kMaxOperands];
  Place places[kMaxOperands];
  isa::ElementwiseFn functions[2 * kMaxOperands];
  bool whole_rows = false;
  Index block = 0;         ///< elements of a block
  Index row_blocks = 0;    ///< blocks of a row; 1 for blocks of whole rows
  Index blocks = 0;        ///< of all
  Index cost = 1;          ///< of one element, in cheap functions
  std::size_t buffer = 0;  ///< elements from one buffer to the next

  explicit Layout(const Chain<T>& chain)
      : rows(chain.rows),
        row(chain.cols),
        operand_count(chain.operand_count),
        step_count(chain.step_count),
        slot_count(chain.slot_count),
        steps(chain.steps) {
    std::copy_n(chain.operands, operand_count, operands);
  }

  void swap_axes() {
    std::swap(rows, row);
    for (int i = 0; i < operand_count; ++i) std::swap(operands[i].row_step, operands[i].col_step);
  }
  /// Whether all rows are one, where every operand goes on from row to row as within one.
  [[nodiscard]] bool joins() const {
    return std::all_of(operands, operands + operand_count, [this](const Operand<T>& each) {
      return each.row_step == each.col_step * row;
    });
  }
  void join() {
    row *= rows;
    rows = 1;
  }
  /// Fixes the places of operands in blocks of whole rows, or of parts of one. Returns how many
  /// buffers a block needs.
  int place_operands();
  /// Fixes places and blocks; those that are only read, where they are, may have `untouched`
  /// elements.
  void cut_blocks(Index untouched);
  [[nodiscard]] int threads_for_work() const {
    return rows * row * cost < 2 * isa::kParallelAdditions ? 1 : threads();
  }
  /// Blocks worth a thread.
  [[nodiscard]] Index grain() const {
    return std::max<Index>(1, isa::kParallelAdditions / (block * cost));
  }
};

/// One thread's state: buffers and where the current block of each operand is.
template <class T>
class ChainRun {
  using Place = typename Layout<T>::Place;

 public:
  explicit ChainRun(const Layout<T>& layout) : layout_(layout) {
    T* next = storage_ + static_cast<std::size_t>(layout.slot_count) * layout.buffer;
    for (int i = 0; i < layout.operand_count; ++i) {
      if (layout.places[i] == Place::memory) continue;
      buffers_[i] = next;
      next += layout.buffer;
      if (layout.places[i] == Place::number) {
        std::fill_n(buffers_[i], layout.block, *layout.operands[i].data);
      }
    }
  }
  ChainRun(const ChainRun&) = delete;
  ChainRun& operator=(const ChainRun&) = delete;

  struct Block {
    Index row, column, rows, cols;
    [[nodiscard]] Index size() const { return rows * cols; }
  };
  [[nodiscard]] Block block(Index number) const {
    const Index in_row = number % layout_.row_blocks;
    if (layout_.whole_rows) {
      const Index height = layout_.block / layout_.row;
      const Index first = number * height;
      return {first, 0, std::min(height, layout_.rows - first), layout_.row};
    }
    const Index column = in_row * layout_.block;
    return {number / layout_.row_blocks, column, 1, std::min(layout_.block, layout_.row - column)};
  }

  /// The elements of a block, without gaps: at `to`, unless that is null or the chain has no steps.
  const T* compute(const Block& b, T* to) {
    for (int i = 0; i < layout_.operand_count; ++i) {
      const Operand<T>& each = layout_.operands[i];
      if (layout_.places[i] == Place::memory) {
        at_[i] = each.data + b.row * each.row_step + b.column * each.col_step;
      } else {
        at_[i] = buffers_[i];
        if (layout_.places[i] == Place::gathered) fill(each, b, buffers_[i]);
      }
    }
    if (layout_.step_count == 0) return at_[0];
    const Index n = b.size();
    const int last = layout_.step_count - 1;
    for (int i = 0; i < last; ++i) apply(i, n, slot(layout_.steps[i].slot));
    T* const result = to != nullptr ? to : slot(layout_.steps[last].slot);
    apply(last, n, result);
    return result;
  }

 private:
  T* slot(int number) { return storage_ + static_cast<std::size_t>(number) * layout_.buffer; }
  const T* value(int number) { return number >= 0 ? at_[number] : slot(-1 - number); }
  void apply(int i, Index n, T* out) {
    const Step& step = layout_.steps[i];
    layout_.functions[i](n, value(step.a), value(step.b), nullptr, out);
  }
  void fill(const Operand<T>& from, const Block& b, T* to) {
    for (Index i = 0; i < b.rows; ++i, to += b.cols) gather(from, b.row + i, b.column, b.cols, to);
  }
  static void gather(const Operand<T>& from, Index row, Index column, Index n, T* to) {
    const T* data = from.data + row * from.row_step + column * from.col_step;
    if (from.col_step == 0) {
      std::fill_n(to, n, *data);
    } else if (from.col_step == 1) {
      std::copy_n(data, n, to);
    } else {
      for (Index j = 0; j < n; ++j) to[j] = data[j * from.col_step];
    }
  }

  const Layout<T>& layout_;
  const T* at_[kMaxOperands];
  T* buffers_[kMaxOperands];
  alignas(64) T storage_[Layout<T>::kStorageBytes / sizeof(T)];
};

}  // namespace chainrule::blas::detail
