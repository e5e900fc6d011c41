// The meanings of ops on arrays as a whole: shapes, products, indexing, random numbers.
#include <algorithm>
#include <cmath>

#include "interpreter.h"

namespace chainrule::test {
namespace {

using Int = std::int64_t;
using List = std::vector<Int>;

const List& list(const Node& node, const char* name) { return node.attrs.get<List>(name); }
Int whole(const Node& node, const char* name) { return node.attrs.get<Int>(name); }

/// Calls visit(index, flat place) for every element of a shape, in order.
template <class Visit>
void for_each(const Shape& shape, Visit visit) {
  Index index(at(shape.rank()), 0);
  for (Int i = 0; i < shape.size(); ++i) {
    visit(index, i);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (++index[at(axis)] < shape[axis]) break;
      index[at(axis)] = 0;
    }
  }
}

Int flat(const Shape& shape, const Index& index) {
  Int place = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) place = place * shape[axis] + index[at(axis)];
  return place;
}

// --- shapes
// ---------------------------------------------------------------------------------------

std::vector<Result> same_elements(const Node& node, const Operands& in) {
  return {{{node.out().shape, in[0]->values}}};
}

std::vector<Result> broadcast_to(const Node& node, const Operands& in) {
  return {{broadcast_map(node.out().shape, in, [](double a, double, double) { return a; })}};
}

std::vector<Result> transpose(const Node& node, const Operands& in) {
  Array y = blank(node.out());
  const List& axes = list(node, "axes");
  for_each(y.shape, [&](const Index& index, Int i) {
    Index source(index.size());
    for (std::size_t k = 0; k < axes.size(); ++k) source[at(axes[k])] = index[k];
    y.values[at(i)] = in[0]->values[at(flat(in[0]->shape, source))];
  });
  return {{y}};
}

/// Puts x into y, from `start` on.
void put(Array& y, const Array& x, const List& start) {
  for_each(x.shape, [&](const Index& index, Int i) {
    Index target = index;
    for (std::size_t k = 0; k < start.size(); ++k) target[k] += start[k];
    y.values[at(flat(y.shape, target))] = x.values[at(i)];
  });
}

std::vector<Result> concatenate(const Node& node, const Operands& in) {
  Array y = blank(node.out());
  const auto axis = at(whole(node, "axis"));
  List start(at(y.shape.rank()), 0);
  for (const Array* x : in) {
    put(y, *x, start);
    start[axis] += x->shape[static_cast<int>(axis)];
  }
  return {{y}};
}

std::vector<Result> pad(const Node& node, const Operands& in) {
  Array y = blank(node.out());
  put(y, *in[0], list(node, "before"));
  return {{y}};
}

std::vector<Result> slice(const Node& node, const Operands& in) {
  Array y = blank(node.out());
  const List& start = list(node, "start");
  for_each(y.shape, [&](const Index& index, Int i) {
    Index source = index;
    for (std::size_t k = 0; k < start.size(); ++k) source[k] += start[k];
    y.values[at(i)] = in[0]->values[at(flat(in[0]->shape, source))];
  });
  return {{y}};
}

std::vector<Result> pack(const Node& node, const Operands& in) {
  Array y = blank(node.out());
  for (std::size_t k = 0; k < in.size(); ++k) {
    std::copy(in[k]->values.begin(),
              in[k]->values.end(),
              y.values.begin() + static_cast<std::ptrdiff_t>(list(node, "offsets")[k]));
  }
  return {{y}};
}

// --- products
// -------------------------------------------------------------------------------------

/// Matrix number `batch` of x (leading axes broadcast to `leading`), its last two axes exchanged if
/// `flipped`: rows x columns.
std::vector<double> matrix(
    const Array& x, const Shape& leading, Int batch, bool flipped, Int rows, Int columns) {
  Int skip = 0, stride = rows * columns, rest = batch;
  for (int axis = 1; axis <= leading.rank(); ++axis) {
    const Int i = rest % leading[-axis];
    rest /= leading[-axis];
    if (axis > x.shape.rank() - 2) continue;
    if (x.shape[-axis - 2] != 1) skip += i * stride;
    stride *= x.shape[-axis - 2];
  }
  std::vector<double> m(at(rows * columns));
  for (Int i = 0; i < rows; ++i) {
    for (Int j = 0; j < columns; ++j)
      m[at(i * columns + j)] = x.values[at(skip + (flipped ? j * rows + i : i * columns + j))];
  }
  return m;
}

std::vector<Result> matmul(const Node& node, const Operands& in) {
  const bool flip_a = node.attrs.get<bool>("transpose_a");
  const bool flip_b = node.attrs.get<bool>("transpose_b");
  const Shape &shape = node.out().shape, leading = shape.slice(0, -2);
  const Int m = shape[-2], n = shape[-1], k = in[0]->shape[flip_a ? -2 : -1];
  Result y{blank(node.out()), std::vector<double>(at(shape.size()))};
  for (Int batch = 0; batch < leading.size(); ++batch) {
    const std::vector<double> a = matrix(*in[0], leading, batch, flip_a, m, k);
    const std::vector<double> b = matrix(*in[1], leading, batch, flip_b, k, n);
    std::vector<double> of_column(at(n), 0);  // squares
    for (Int p = 0; p < k; ++p) {
      for (Int j = 0; j < n; ++j) of_column[at(j)] += b[at(p * n + j)] * b[at(p * n + j)];
    }
    for (Int i = 0; i < m; ++i) {
      double* const row = y.value.values.data() + (batch * m + i) * n;
      double of_row = 0;
      for (Int p = 0; p < k; ++p) {
        const double factor = a[at(i * k + p)];
        of_row += factor * factor;
        const double* const b_row = b.data() + p * n;
        for (Int j = 0; j < n; ++j) row[j] += factor * b_row[j];
      }
      // Terms of random signs wander as far as |a| |b| / sqrt(k) at every one of k roundings.
      for (Int j = 0; j < n; ++j) {
        y.rounded[at((batch * m + i) * n + j)] =
            std::sqrt(of_row * of_column[at(j)]) +
            std::sqrt(static_cast<double>(k)) * std::fabs(row[j]);
      }
    }
  }
  return {y};
}

// --- indexing
// -------------------------------------------------------------------------------------

std::vector<Result> gather(const Node& node, const Operands& in) {
  Array y = blank(node.out());
  const Int rows = in[0]->shape[0], width = in[0]->shape.slice(1).size();
  for (Int i = 0; i < in[1]->shape.size(); ++i) {
    const double row = in[1]->values[at(i)];
    const bool inside = row >= 0 && row < static_cast<double>(rows);
    for (Int j = 0; j < width; ++j) {
      y.values[at(i * width + j)] = inside ? in[0]->values[at(static_cast<Int>(row) * width + j)]
                                    : is_floating(node.out().dtype) ? NAN
                                                                    : 0;
    }
  }
  return {{y}};
}

std::vector<Result> scatter_add(const Node& node, const Operands& in) {
  Result y{blank(node.out()), std::vector<double>(at(node.out().shape.size()))};
  const Int rows = node.out().shape[0], width = node.out().shape.slice(1).size();
  for (Int i = 0; i < in[1]->shape.size(); ++i) {
    const double row = in[1]->values[at(i)];
    if (!(row >= 0 && row < static_cast<double>(rows))) continue;
    for (Int j = 0; j < width; ++j) {
      const double update = in[0]->values[at(i * width + j)];
      y.value.values[at(static_cast<Int>(row) * width + j)] += update;
      y.rounded[at(static_cast<Int>(row) * width + j)] += std::fabs(update);
    }
  }
  return {y};
}

std::vector<Result> one_hot(const Node& node, const Operands& in) {
  Array y = blank(node.out());
  const Int classes = node.out().shape.back();
  for (Int i = 0; i < y.shape.size(); ++i)
    y.values[at(i)] = in[0]->values[at(i / classes)] == static_cast<double>(i % classes) ? 1 : 0;
  return {{y}};
}

// --- random numbers
// -------------------------------------------------------------------------------

/// Word number i of a stream: of block i / 4, which is philox() at the counter (block, stream,
/// step) under the seed.
std::uint32_t word(const Node& node, const Operands& in, Int i) {
  const auto low = [](double x) { return static_cast<std::uint32_t>(static_cast<Int>(x)); };
  const auto high = [](double x) { return static_cast<std::uint32_t>(static_cast<Int>(x) >> 32); };
  const double seed = in[0]->values[0], step = in[0]->values[1];
  const Int number = i / 4;
  const auto block = static_cast<double>(number);
  const auto stream = static_cast<double>(whole(node, "stream"));
  return philox({low(block), high(block), low(stream), low(step)},
                {low(seed), high(seed)})[at(i % 4)];
}

/// Element i in [0, 1): the upper 24 bits of a word, or 53 of two.
double unit(const Node& node, const Operands& in, Int i) {
  if (node.out().dtype == DType::float32) return (word(node, in, i) >> 8) * 0x1p-24;
  return word(node, in, 2 * i + 1) * 0x1p-32 + (word(node, in, 2 * i) >> 11) * 0x1p-53;
}

template <class F>
std::vector<Result> fill(const Node& node, F element) {
  Array y = blank(node.out());
  for (Int i = 0; i < y.shape.size(); ++i) y.values[at(i)] = element(i);
  return {{y}};
}

std::vector<Result> random_uniform(const Node& node, const Operands& in) {
  const double low = node.attrs.get<double>("low"), high = node.attrs.get<double>("high");
  return fill(node, [&](Int i) { return low + (high - low) * unit(node, in, i); });
}

/// Pairs by Box and Muller (1958).
std::vector<Result> random_normal(const Node& node, const Operands& in) {
  const double mean = node.attrs.get<double>("mean"), stddev = node.attrs.get<double>("stddev");
  return fill(node, [&](Int i) {
    const double radius = std::sqrt(-2 * std::log(1 - unit(node, in, i / 2 * 2)));
    const double angle = 2 * 3.14159265358979323846 * unit(node, in, i / 2 * 2 + 1);
    return mean + stddev * radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
  });
}

std::vector<Result> random_bernoulli(const Node& node, const Operands& in) {
  const double limit = std::round(node.attrs.get<double>("p") * 0x1p32);
  return fill(node, [&](Int i) { return word(node, in, i) < limit ? 1.0 : 0.0; });
}

std::vector<Result> random_fold(const Node&, const Operands& in) {
  const auto bits = [](double x) { return static_cast<std::uint64_t>(static_cast<Int>(x)); };
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const std::uint64_t seed = bits(in[0]->values[0]), index = bits(in[1]->values[0]);
  const std::uint64_t step = bits(in[0]->values[1]);
  const auto words = philox({low(index), low(index >> 32) | 0x80000000, low(step), low(step >> 32)},
                            {low(seed), low(seed >> 32)});
  return {{{{2}, {words[0] + (words[1] >> 12) * 0x1p32, in[0]->values[1]}}}};
}

}  // namespace

void add_array_meanings(Meanings& meanings) {
  const Meanings own = {
      {"reshape", {same_elements, true}},
      {"stop_gradient", {same_elements, true}},
      {"copy", {same_elements, true}},
      {"broadcast_to", {broadcast_to, true}},
      {"transpose", {transpose, true}},
      {"concatenate", {concatenate, true}},
      {"slice", {slice, true}},
      {"pad", {pad, true}},
      {"pack", {pack, true}},
      {"matmul", {matmul}},
      {"gather", {gather, true}},
      {"scatter_add", {scatter_add}},
      {"one_hot", {one_hot, true}},
      {"random_uniform", {random_uniform}},
      {"random_normal", {random_normal}},
      {"random_bernoulli", {random_bernoulli, true}},
      {"random_fold", {random_fold, true}},
  };
  meanings.insert(own.begin(), own.end());
}

}  // namespace chainrule::test
