#include "blas/chain.h"

#include "parallel/parallel_for.h"

namespace chainrule::blas::detail {
namespace {

/// Rows of a destination.
template <class T>
struct Out {
  T* data;
  Index row_step, col_step;
};

/// Copies rows without gaps to a destination that has some.
template <class T>
void store(const typename ChainRun<T>::Block& b, const T* from, const Out<T>& out) {
  for (Index i = 0; i < b.rows; ++i, from += b.cols) {
    T* to = out.data + (b.row + i) * out.row_step + b.column * out.col_step;
    if (out.col_step == 1) {
      if (to != from) std::copy_n(from, b.cols, to);
    } else {
      for (Index j = 0; j < b.cols; ++j) to[j * out.col_step] = from[j];
    }
  }
}

template <class T>
void run_blocks(const Layout<T>& layout, const Out<T>& out, Index begin, Index end) {
  ChainRun<T> run(layout);
  const bool direct = out.col_step == 1 && (!layout.whole_rows || out.row_step == layout.row);
  for (Index i = begin; i < end; ++i) {
    const auto block = run.block(i);
    T* const to = direct ? out.data + block.row * out.row_step + block.column : nullptr;
    const T* result = run.compute(block, to);
    if (result != to) store(block, result, out);
  }
}

/// Elements that lie by columns into rows, or the reverse.
template <class T>
void transpose(const Layout<T>& layout, const Out<T>& out) {
  const auto& kernels = isa::kernels<T>(isa::table());
  const Operand<T>& from = layout.operands[0];
  const Index columns = 64;
  const Index grain =
      std::max<Index>(1, isa::kParallelAdditions / std::max<Index>(1, columns * layout.rows));
  const Exec exec{.threads = layout.threads_for_work()};
  parallel_for(exec, (layout.row + columns - 1) / columns, grain, [&](Index begin, Index end) {
    const Index j = begin * columns, last = std::min(end * columns, layout.row);
    kernels.transpose(last - j,
                      layout.rows,
                      from.data + j * from.col_step,
                      from.col_step,
                      out.data + j,
                      out.row_step);
  });
}

}  // namespace

template <class T>
int Layout<T>::place_operands() {
  int buffers = slot_count;
  for (int i = 0; i < operand_count; ++i) {
    const Operand<T>& each = operands[i];
    const bool contiguous = each.col_step == 1 && (!whole_rows || each.row_step == row);
    const bool number = each.col_step == 0 && each.row_step == 0;
    places[i] = contiguous ? Place::memory : number ? Place::number : Place::gathered;
    if (!contiguous) ++buffers;
  }
  return buffers;
}

template <class T>
void Layout<T>::cut_blocks(Index untouched) {
  const int dtype = static_cast<int>(dtype_of<T>);
  for (int i = 0; i < step_count; ++i) {
    const int code = static_cast<int>(steps[i].fn);
    functions[i] = isa::table().elementwise[code][dtype];
    cost += isa::kFunctions[code].cost;
  }
  // Most elements of a buffer, in whole cache lines.
  const auto most_of = [](int buffers) {
    return static_cast<Index>(kStorageBytes / sizeof(T)) / std::max(buffers, 1) / 16 * 16;
  };
  whole_rows = rows > 1 && row < kLongRow;
  int buffers = place_operands();
  if (whole_rows && row > most_of(buffers)) {  // then a block is a part of one
    whole_rows = false;
    buffers = place_operands();
  }
  const Index most = most_of(buffers);
  block = buffers == 0 && step_count == 0 ? untouched : std::min<Index>(kBlock, most);
  if (whole_rows) {
    block = block / row * row;
    row_blocks = 1;
    blocks = (rows * row + block - 1) / block;
  } else {
    row_blocks = (row + block - 1) / block;
    // Even parts, each of whole cache lines.
    const Index line = 64 / sizeof(T);
    const Index even = (row + row_blocks - 1) / std::max<Index>(row_blocks, 1);
    block = std::min(block, (even + line - 1) / line * line);
    blocks = rows * row_blocks;
  }
  buffer = static_cast<std::size_t>((block + 15) / 16 * 16);
}
template struct Layout<float>;
template struct Layout<double>;

template <class T>
void run(const Chain<T>& chain, T* data, Index row_step, Index col_step) {
  if (chain.rows == 0 || chain.cols == 0) return;
  Layout<T> layout(chain);
  Out<T> out{data, row_step, col_step};
  if (layout.row == 1 || (out.col_step != 1 && out.row_step == 1)) {
    layout.swap_axes();
    std::swap(out.row_step, out.col_step);
  }
  if (out.row_step == out.col_step * layout.row && layout.joins()) layout.join();
  const Operand<T>& first = layout.operands[0];
  if (layout.step_count == 0 && layout.rows > 1 && first.row_step == 1 && first.col_step > 1 &&
      out.col_step == 1) {
    return transpose(layout, out);
  }
  layout.cut_blocks(Layout<T>::kUntouched);
  if (layout.blocks == 1) return run_blocks(layout, out, 0, 1);
  parallel_for(Exec{.threads = layout.threads_for_work()},
               layout.blocks,
               layout.grain(),
               [&](Index begin, Index end) { run_blocks(layout, out, begin, end); });
}
template void run(const Chain<float>&, float*, Index, Index);
template void run(const Chain<double>&, double*, Index, Index);

}  // namespace chainrule::blas::detail
