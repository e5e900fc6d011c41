// Sums, largest and smallest elements of element-wise chains.
//
// Work is cut into pieces by sizes alone and joined in a fixed order: results do not depend on the
// number of threads.
#include <cmath>
#include <memory>

#include "base/extremes.h"
#include "expressions/chain.h"
#include "isa/table.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1::blas::detail {
namespace {

constexpr Index kLeastPiece = 4;  // blocks of a piece, at least
constexpr Index kGroup = 64;      // blocks of a column that are joined before they join the rest

/// A chain to be folded, and the functions that fold elements.
template <class T>
struct Folding {
  ChainProgram program;
  const kernels::ElementwiseBlocks& blocks;
  Fold op;
  const isa::FloatKernels<T>& kernels;
  isa::ElementwiseFn lines;

  Folding(const Chain<T>& chain, bool by_columns, bool join_axes, Fold op)
      : program(chain, by_columns),
        blocks(program->blocks()),
        op(op),
        kernels(isa::kernels<T>(isa::table())),
        lines(isa::table().elementwise[op == Fold::sum ? isa::add_code
                                       : op == Fold::max
                                           ? isa::maximum_code
                                           : isa::minimum_code][static_cast<int>(dtype_of<T>)]) {
    program->prepare(join_axes);
  }

  [[nodiscard]] Exec exec() const { return exec_for(blocks.work()); }
  /// The fold of n >= 1 elements.
  [[nodiscard]] T line(Index n, const T* x) const {
    return (op == Fold::sum ? kernels.sum : op == Fold::max ? kernels.max : kernels.min)(n, x);
  }
  /// The fold of two results.
  [[nodiscard]] double join(double a, double b) const {
    if (op == Fold::sum) return a + b;
    return op == Fold::max ? base::larger(a, b) : base::smaller(a, b);
  }
  /// to[j] = the fold of to[j] and x[j].
  void join(Index n, T* to, const T* x) const { lines(n, to, x, nullptr, to); }
};

/// One thread's walk through the blocks of a chain.
template <class T>
class Walk {
 public:
  explicit Walk(const Folding<T>& f) : f_(f), run_(*f.program) {}

  /// The elements of a block, without gaps.
  const T* elements(const kernels::ElementwiseBlocks::Block& block) {
    run_.block(block);
    return static_cast<const T*>(run_.elements(f_.program.result()));
  }
  /// The fold of blocks [begin, end). Sums of blocks are added in double.
  double fold(Index begin, Index end) {
    double result = 0;
    for (Index i = begin; i < end; ++i) {
      const auto block = f_.blocks[i];
      const double one = static_cast<double>(f_.line(block.size(), elements(block)));
      result = i == begin ? one : f_.join(result, one);
    }
    return result;
  }

 private:
  const Folding<T>& f_;
  kernels::ElementwiseRun run_;
};

/// Memory for n elements: the stack, if they are few.
template <class T>
class Memory {
 public:
  explicit Memory(Index n) {
    if (n > kFew) many_.reset(static_cast<T*>(allocate(1, n, sizeof(T))));
  }
  [[nodiscard]] T* data() { return many_ ? many_.get() : few_; }

 private:
  static constexpr Index kFew = 1024;
  T few_[kFew];
  std::unique_ptr<T[], Release> many_;
};

template <class T>
T finished(double x, const Finish<T>& finish) {
  const T scaled = static_cast<T>(x) * finish.scale;
  return finish.root ? std::sqrt(scaled) : scaled;
}

/// Folds each row to one element.
template <class T>
void fold_rows(const Folding<T>& f, const Finish<T>& finish, T* out, Index step) {
  const Index beside = f.blocks.blocks_in_row;
  const Index tasks = f.blocks.count / beside;  // rows or groups of rows
  parallel_for(
      f.exec(), tasks, (f.blocks.grain() + beside - 1) / beside, [&](Index begin, Index end) {
        Walk<T> walk(f);
        for (Index task = begin; task < end; ++task) {
          if (f.blocks.height == 1) {
            out[task * step] = finished(walk.fold(task * beside, (task + 1) * beside), finish);
            continue;
          }
          const auto block = f.blocks[task];
          const T* x = walk.elements(block);
          for (Index i = 0; i < block.rows; ++i, x += block.columns) {
            const double result = static_cast<double>(f.line(block.columns, x));
            out[(block.row + i) * step] = finished(result, finish);
          }
        }
      });
}

/// Folds rows >= 2 rows of a block into the first row of `buffer`, by halves.
template <class T>
void fold_block_rows(const Folding<T>& f, Index rows, Index cols, const T* x, T* buffer) {
  while (rows > 1) {
    const Index half = rows / 2, rest = rows - half;
    f.lines(half * cols, x, x + rest * cols, nullptr, buffer);
    if (rest > half && x != buffer) std::copy_n(x + half * cols, cols, buffer + half * cols);
    x = buffer;
    rows = rest;
  }
}

/// Folds blocks [begin, end) of strip number `strip`, which lie below each other, to one row: `out`
/// has a strip's width.
template <class T>
void fold_strip(const Folding<T>& f, Walk<T>& walk, Index begin, Index end, Index strip, T* out) {
  constexpr Index kMost = kernels::ElementwiseProgram::kBlock;
  T group[kMost], rows[kMost];
  for (Index i = begin; i < end; ++i) {
    const auto block = f.blocks[i * f.blocks.blocks_in_row + strip];
    const T* x = walk.elements(block);
    if (block.rows > 1) {
      fold_block_rows(f, block.rows, block.columns, x, rows);
      x = rows;
    }
    if ((i - begin) % kGroup == 0) {
      std::copy_n(x, block.columns, group);
    } else {
      f.join(block.columns, group, x);
    }
    if ((i - begin) % kGroup != kGroup - 1 && i + 1 < end) continue;
    if (i - begin < kGroup) {
      std::copy_n(group, block.columns, out);
    } else {
      f.join(block.columns, out, group);
    }
  }
}

/// Folds each column to one element. A task is a strip of columns of one piece of the rows.
template <class T>
void fold_columns(const Folding<T>& f, const Finish<T>& finish, T* out, Index step) {
  const Index strips = f.blocks.blocks_in_row, below = f.blocks.count / strips;
  const Index row_length = f.blocks.row_length;
  const Index least = f.blocks.height > 1 ? kLeastPiece : kGroup;
  const Index pieces = std::clamp<Index>(below / least, 1, kMaxPieces);
  Memory<T> partial(pieces * row_length);
  const Index grain = std::max<Index>(1, f.blocks.grain() * pieces / below);
  parallel_for(f.exec(), strips * pieces, grain, [&](Index begin, Index end) {
    Walk<T> walk(f);
    for (Index task = begin; task < end; ++task) {
      const Index piece = task / strips, strip = task % strips;
      T* const to = partial.data() + piece * row_length + strip * f.blocks.width;
      fold_strip(f, walk, piece * below / pieces, (piece + 1) * below / pieces, strip, to);
    }
  });
  for (Index width = 1; width < pieces; width *= 2) {
    for (Index piece = 0; piece + width < pieces; piece += 2 * width) {
      T* const to = partial.data() + piece * row_length;
      f.join(row_length, to, to + width * row_length);
    }
  }
  for (Index j = 0; j < row_length; ++j) {
    out[j * step] = finished(static_cast<double>(partial.data()[j]), finish);
  }
}

/// Folds all elements to one.
template <class T>
double fold_all(const Folding<T>& f) {
  const Index count = f.blocks.count,
              pieces = std::clamp<Index>(count / kLeastPiece, 1, kMaxPieces);
  if (pieces == 1) return Walk<T>(f).fold(0, count);
  double partial[kMaxPieces];
  const Index grain = std::max<Index>(1, f.blocks.grain() * pieces / count);
  parallel_for(f.exec(), pieces, grain, [&](Index begin, Index end) {
    Walk<T> walk(f);
    for (Index i = begin; i < end; ++i)
      partial[i] = walk.fold(i * count / pieces, (i + 1) * count / pieces);
  });
  for (Index width = 1; width < pieces; width *= 2) {
    for (Index i = 0; i + width < pieces; i += 2 * width) {
      partial[i] = f.join(partial[i], partial[i + width]);
    }
  }
  return partial[0];
}

/// Whether to swap the axes: because columns are contiguous, or there is only one.
template <class T>
bool lies_by_columns(const Chain<T>& chain) {
  if (chain.cols == 1) return true;
  const auto* const end = chain.operands + chain.operand_count;
  const auto* const moving = std::find_if(chain.operands, end, [](const Operand<T>& each) {
    return each.row_step != 0 && each.col_step != 0;
  });
  return chain.rows > 1 && moving != end && moving->row_step == 1 && moving->col_step != 1;
}

}  // namespace

template <class T>
T fold(const Chain<T>& chain, Fold op) {
  if (chain.rows == 0 || chain.cols == 0) return 0;
  return static_cast<T>(fold_all(Folding<T>(chain, lies_by_columns(chain), true, op)));
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
  const bool by_columns = lies_by_columns(chain);
  const bool one = results == 1 && by_rows != by_columns;
  const Folding<T> f(chain, by_columns, one, op);
  if (one) {
    out[0] = finished(fold_all(f), finish);
  } else if (by_rows != by_columns) {
    fold_rows(f, finish, out, step);
  } else {
    fold_columns(f, finish, out, step);
  }
}
template void fold_lines(const Chain<float>&, Fold, bool, Finish<float>, float*, Index);
template void fold_lines(const Chain<double>&, Fold, bool, Finish<double>, double*, Index);

}  // namespace chainrule::inline v0_1::blas::detail
