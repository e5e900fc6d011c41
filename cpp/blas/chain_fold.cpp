// Sums, largest and smallest elements of element-wise chains.
//
// Work is cut into pieces by sizes alone and joined in a fixed order: results do not depend on the
// number of threads.
#include <cmath>
#include <memory>

#include "blas/chain.h"
#include "parallel/parallel_for.h"

namespace chainrule::blas::detail {
namespace {

constexpr Index kPieces = 32;     // of one long fold, for threads to share
constexpr Index kLeastPiece = 4;  // blocks
constexpr Index kGroup = 64;      // blocks of a column that are joined before they join the rest

template <class T>
struct Folder {
  explicit Folder(Fold op)
      : op(op),
        kernels(isa::kernels<T>(isa::table())),
        lines(isa::table().elementwise[op == Fold::sum ? isa::add_code
                                       : op == Fold::max
                                           ? isa::maximum_code
                                           : isa::minimum_code][static_cast<int>(dtype_of<T>)]),
        negative(isa::table().elementwise[isa::negative_code][static_cast<int>(dtype_of<T>)]) {}

  /// n >= 1 elements.
  [[nodiscard]] T line(Index n, const T* x) const {
    if (op == Fold::sum) return kernels.sum(n, x);
    if (op == Fold::max) return kernels.max(n, x);
    T least = join(x[0], x[0]);
    T buffer[256];
    for (Index i = 0; i < n; i += 256) {  // -max(-x)
      const Index length = std::min<Index>(256, n - i);
      negative(length, x + i, nullptr, nullptr, buffer);
      least = join(least, -kernels.max(length, buffer));
    }
    return least;
  }
  /// The fold of two results.
  template <class U>
  [[nodiscard]] U join(U a, U b) const {
    if (op == Fold::sum) return a + b;
    if (op == Fold::max) return (a > b) | (a != a) ? a : b;
    return (a < b) | (a != a) ? a : b;
  }
  /// to[j] = to[j] with x[j].
  void join(Index n, T* to, const T* x) const { lines(n, to, x, nullptr, to); }

  Fold op;
  const isa::FloatKernels<T>& kernels;
  isa::ElementwiseFn lines, negative;
};

/// The fold of some blocks, beginning with the first. Sums of blocks are added in double.
template <class T>
double fold_blocks(const Folder<T>& folder, ChainRun<T>& run, Index begin, Index end) {
  double result = 0;
  for (Index i = begin; i < end; ++i) {
    const auto block = run.block(i);
    const T* x = run.compute(block, nullptr);
    const double one = static_cast<double>(folder.line(block.size(), x));
    result = i == begin ? one : folder.join(result, one);
  }
  return result;
}

/// Elements on the stack while they are few.
template <class T>
class Memory {
 public:
  explicit Memory(Index n) {
    if (n > kFew) many_.reset(static_cast<T*>(allocate(1, n, sizeof(T))));
  }
  [[nodiscard]] T* data() { return many_ ? many_.get() : few_; }

 private:
  struct Release {
    void operator()(T* memory) const { release(memory); }
  };
  static constexpr Index kFew = 1024;
  T few_[kFew];
  std::unique_ptr<T[], Release> many_;
};

template <class T>
T finished(double x, const Finish<T>& finish) {
  const T scaled = static_cast<T>(x) * finish.scale;
  return finish.root ? std::sqrt(scaled) : scaled;
}

/// Each row to one element.
template <class T>
void fold_rows(
    const Layout<T>& layout, const Folder<T>& folder, const Finish<T>& finish, T* out, Index step) {
  const Index grain = (layout.grain() + layout.row_blocks - 1) / layout.row_blocks;
  const Index tasks = layout.blocks / layout.row_blocks;  // rows or groups of rows
  parallel_for(
      Exec{.threads = layout.threads_for_work()}, tasks, grain, [&](Index begin, Index end) {
        ChainRun<T> run(layout);
        for (Index task = begin; task < end; ++task) {
          if (!layout.whole_rows) {
            const double x =
                fold_blocks(folder, run, task * layout.row_blocks, (task + 1) * layout.row_blocks);
            out[task * step] = finished(x, finish);
            continue;
          }
          const auto block = run.block(task);
          const T* x = run.compute(block, nullptr);
          for (Index i = 0; i < block.rows; ++i, x += block.cols) {
            const double result = static_cast<double>(folder.line(block.cols, x));
            out[(block.row + i) * step] = finished(result, finish);
          }
        }
      });
}

/// The rows of a block folded to the first one of `buffer`, by halves.
template <class T>
void fold_block_rows(const Folder<T>& folder, Index rows, Index cols, const T* x, T* buffer) {
  if (rows == 1) {
    std::copy_n(x, cols, buffer);
    return;
  }
  while (rows > 1) {
    const Index half = rows / 2, rest = rows - half;
    folder.lines(half * cols, x, x + rest * cols, nullptr, buffer);
    if (rest > half && x != buffer) std::copy_n(x + half * cols, cols, buffer + half * cols);
    x = buffer;
    rows = rest;
  }
}

/// Blocks [begin, end) of rows, in strip number `strip`, folded to one row: `out` has a strip's
/// width.
template <class T>
void fold_strip(const Layout<T>& layout,
                const Folder<T>& folder,
                ChainRun<T>& run,
                Index begin,
                Index end,
                Index strip,
                T* out) {
  T group[Layout<T>::kBlock], rows[Layout<T>::kBlock];
  for (Index i = begin; i < end; ++i) {
    const auto block = run.block(i * layout.row_blocks + strip);
    const T* x = run.compute(block, nullptr);
    if (block.rows > 1) {
      fold_block_rows(folder, block.rows, block.cols, x, rows);
      x = rows;
    }
    if ((i - begin) % kGroup == 0) {
      std::copy_n(x, block.cols, group);
    } else {
      folder.join(block.cols, group, x);
    }
    if ((i - begin) % kGroup != kGroup - 1 && i + 1 < end) continue;
    if (i - begin < kGroup) {
      std::copy_n(group, block.cols, out);
    } else {
      folder.join(block.cols, out, group);
    }
  }
}

/// Each column to one element. Tasks are strips of columns of pieces of the rows.
template <class T>
void fold_columns(
    const Layout<T>& layout, const Folder<T>& folder, const Finish<T>& finish, T* out, Index step) {
  const Index strips = layout.row_blocks, blocks = layout.blocks / strips;
  const Index least = layout.whole_rows ? kLeastPiece : kGroup;
  const Index pieces = std::clamp<Index>(blocks / least, 1, kPieces);
  Memory<T> partial(pieces * layout.row);
  const Index grain = std::max<Index>(1, layout.grain() * pieces / blocks);
  const Exec exec{.threads = layout.threads_for_work()};
  parallel_for(exec, strips * pieces, grain, [&](Index begin, Index end) {
    ChainRun<T> run(layout);
    for (Index task = begin; task < end; ++task) {
      const Index piece = task / strips, strip = task % strips;
      fold_strip(layout,
                 folder,
                 run,
                 piece * blocks / pieces,
                 (piece + 1) * blocks / pieces,
                 strip,
                 partial.data() + piece * layout.row + strip * layout.block);
    }
  });
  for (Index width = 1; width < pieces; width *= 2) {
    for (Index piece = 0; piece + width < pieces; piece += 2 * width) {
      T* const to = partial.data() + piece * layout.row;
      folder.join(layout.row, to, to + width * layout.row);
    }
  }
  for (Index j = 0; j < layout.row; ++j) {
    out[j * step] = finished(static_cast<double>(partial.data()[j]), finish);
  }
}

/// All elements to one.
template <class T>
double fold_all(const Layout<T>& layout, const Folder<T>& folder) {
  const Index pieces = std::clamp<Index>(layout.blocks / kLeastPiece, 1, kPieces);
  if (pieces == 1) {
    ChainRun<T> run(layout);
    return fold_blocks(folder, run, 0, layout.blocks);
  }
  double partial[kPieces];
  const Index grain = std::max<Index>(1, layout.grain() * pieces / layout.blocks);
  const Exec exec{.threads = layout.threads_for_work()};
  parallel_for(exec, pieces, grain, [&](Index begin, Index end) {
    ChainRun<T> run(layout);
    for (Index i = begin; i < end; ++i) {
      partial[i] =
          fold_blocks(folder, run, i * layout.blocks / pieces, (i + 1) * layout.blocks / pieces);
    }
  });
  for (Index width = 1; width < pieces; width *= 2) {
    for (Index i = 0; i + width < pieces; i += 2 * width) {
      partial[i] = folder.join(partial[i], partial[i + width]);
    }
  }
  return partial[0];
}

/// Whether the axes had better be swapped: the rows are what is contiguous, or what is long.
template <class T>
bool lies_by_columns(const Layout<T>& layout) {
  if (layout.row == 1) return true;
  const auto* const end = layout.operands + layout.operand_count;
  const auto* const moving = std::find_if(layout.operands, end, [](const Operand<T>& each) {
    return each.row_step != 0 && each.col_step != 0;
  });
  return layout.rows > 1 && moving != end && moving->row_step == 1 && moving->col_step != 1;
}

template <class T>
double fold_joined(Layout<T>& layout, const Folder<T>& folder) {
  if (layout.joins()) layout.join();
  layout.cut_blocks(Layout<T>::kUntouched);
  return fold_all(layout, folder);
}

}  // namespace

template <class T>
T fold(const Chain<T>& chain, Fold op) {
  if (chain.rows == 0 || chain.cols == 0) return 0;
  Layout<T> layout(chain);
  if (lies_by_columns(layout)) layout.swap_axes();
  return static_cast<T>(fold_joined(layout, Folder<T>(op)));
}
template float fold(const Chain<float>&, Fold);
template double fold(const Chain<double>&, Fold);

template <class T>
void fold_lines(
    const Chain<T>& chain, Fold op, bool by_rows, Finish<T> finish, T* out, Index step) {
  const Index results = by_rows ? chain.rows : chain.cols;
  if (chain.rows == 0 || chain.cols == 0) {
    for (Index i = 0; i < results; ++i) out[i * step] = 0;
    return;
  }
  const Folder<T> folder(op);
  Layout<T> layout(chain);
  if (lies_by_columns(layout)) {
    layout.swap_axes();
    by_rows = !by_rows;
  }
  if (by_rows && layout.rows == 1) {
    out[0] = finished(fold_joined(layout, folder), finish);
    return;
  }
  layout.cut_blocks(Layout<T>::kBlock);
  if (by_rows) {
    fold_rows(layout, folder, finish, out, step);
  } else {
    fold_columns(layout, folder, finish, out, step);
  }
}
template void fold_lines(const Chain<float>&, Fold, bool, Finish<float>, float*, Index);
template void fold_lines(const Chain<double>&, Fold, bool, Finish<double>, double*, Index);

}  // namespace chainrule::blas::detail
