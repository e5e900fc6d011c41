// Batches: samples by index, in a row, with gaps and in other types; programs by shape.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "isa/table.h"
#include "kernel_runs.h"
#include "kernels/batch.h"
#include "kernels/random.h"
#include "train/program_cache.h"

namespace chainrule {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using kernels::gather_batch;
using kernels::Samples;

/// The samples of a batch, one after the other, by a plain loop.
template <class To, class From>
std::vector<To> gathered(const std::vector<From>& x,
                         Int size,
                         Int stride,
                         const std::vector<Int>& order) {
  std::vector<To> result;
  for (const Int sample : order) {
    for (Int k = 0; k < size; ++k)
      result.push_back(static_cast<To>(x[static_cast<std::size_t>(sample * stride + k)]));
  }
  return result;
}

template <class To, class From>
void check_gather(Int rows, Int size, Int gap) {
  const Int stride = size + gap;
  const auto x = numbers<From>(rows * stride, static_cast<std::uint64_t>(rows + size));
  const Samples samples{x.data(), dtype_of<From>, size, stride * static_cast<Int>(sizeof(From))};
  std::vector<Int> order(static_cast<std::size_t>(rows));
  kernels::random_permutation(order.data(), rows, 3, 4);
  const Int first = rows / 3, count = rows / 2;
  const std::vector<Int> chosen(order.begin() + first, order.begin() + first + count);
  std::vector<Int> row(chosen.size());
  std::iota(row.begin(), row.end(), first);

  for (const Int following : {Int{0}, rows - first - count}) {
    CHECK(run_both<To>(count * size, [&](const Exec& exec, To* out) {
            gather_batch(
                exec, out, dtype_of<To>, samples, {order.data() + first, 0, count, following});
          }) == (gathered<To>(x, size, stride, chosen)));
  }
  CHECK(run_both<To>(count * size, [&](const Exec& exec, To* out) {
          gather_batch(exec, out, dtype_of<To>, samples, {nullptr, first, count});
        }) == (gathered<To>(x, size, stride, row)));
}

/// What the cache counts as current, and a number to know it by.
struct Entry {
  int number;
  const bool* current;
  [[nodiscard]] bool is_current() const { return *current; }
};

}  // namespace

TEST("batch: samples by index and in a row, dense and with gaps, in other types") {
  for (const Int gap : {0, 3}) {
    for (const Int size : {1, 7, 64, 5000}) {  // above 4096 bytes, more than what is prefetched
      for (const Int rows : {2, 9, 40}) {
        check_gather<float, float>(rows, size, gap);
        check_gather<double, double>(rows, size, gap);
        check_gather<std::int32_t, std::int32_t>(rows, size, gap);
        check_gather<std::int64_t, std::int64_t>(rows, size, gap);
        check_gather<std::uint8_t, std::uint8_t>(rows, size, gap);
        check_gather<float, double>(rows, size, gap);
        check_gather<float, std::int32_t>(rows, size, gap);
        check_gather<std::int32_t, std::int64_t>(rows, size, gap);
      }
    }
  }
  check_gather<float, float>(2000, 100, 0);  // in parallel
}

TEST("batch: numbers that are not finite are copied like all others") {
  const std::vector<float> x = {
      static_cast<float>(kNan), 1, static_cast<float>(-kInf), -0.0F, 2, 3};
  const Samples samples{x.data(), DType::float32, 2, 8};
  const Int order[] = {2, 0, 1};
  std::vector<float> out(6);
  gather_batch(Exec{1}, out.data(), DType::float32, samples, {order, 0, 3});
  CHECK(std::memcmp(out.data(), &x[4], 8) == 0 && std::memcmp(&out[2], x.data(), 16) == 0);
  std::vector<double> wide(6);
  gather_batch(Exec{1}, wide.data(), DType::float64, samples, {nullptr, 0, 3});
  CHECK(std::isnan(wide[0]) && wide[2] == -kInf && wide[5] == 3);
}

TEST("a permutation from blocks of random words is that of Random") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    const isa::UseTable use(*table);
    for (const Int n : {0, 1, 2, 3, 511, 512, 513, 5000}) {
      for (const std::uint64_t stream :
           {std::uint64_t{1} << 63, (std::uint64_t{1} << 63) + 12345}) {
        std::vector<Int> order(static_cast<std::size_t>(n) + 1, -1);
        kernels::random_permutation(order.data(), n, 99, stream);
        CHECK_EQ(order.back(), -1);
        order.pop_back();
        CHECK(order == Random(99, stream).permutation(n));
      }
    }
  }
}

TEST("the program cache forgets what was asked for longest ago, and what has moved") {
  ProgramCache<Entry> cache;
  bool current = true;
  for (int i = 0; i < 16; ++i) cache.add({i, -1}, {i, &current});
  CHECK_EQ(cache.find({0, -1})->number, 0);  // 1 is the oldest now
  const auto held = cache.find({1, -1});
  CHECK_EQ(cache.find({0, -1})->number, 0);
  CHECK_EQ(cache.find({2, -1})->number, 2);
  cache.add({16, -1}, {16, &current});
  CHECK(cache.find({3, -1}) == nullptr);
  for (const int kept : {0, 1, 2, 4, 15, 16}) CHECK(cache.find({kept, -1}) != nullptr);
  CHECK(cache.find({0, -1, -1}) == nullptr);

  current = false;
  CHECK(cache.find({0, -1}) == nullptr);
  current = true;
  CHECK(cache.find({0, -1}) == nullptr);
  cache.clear();
  CHECK(cache.find({1, -1}) == nullptr);
  CHECK_EQ(held->number, 1);  // shared with whoever uses it
}

}  // namespace chainrule
