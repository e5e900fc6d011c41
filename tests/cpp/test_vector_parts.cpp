// Parts of vectors of every length, as the loops of matrix expressions and the kernels read and
// write them.
#include <string>
#include <vector>

#include "chainrule/blas/fused.h"
#include "guarded_matrix.h"
#include "isa/table.h"
#include "test.h"

namespace chainrule::test {
namespace {

/// What lies before a part; behind it a page without access begins.
constexpr std::size_t kBefore = 3;

template <class T>
std::vector<T, PageEnd<T>> memory_of(long long n) {
  std::vector<T, PageEnd<T>> memory(kBefore + static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<T>(i + 1);
  return memory;
}

#define CHECK_PARTS(set, target)                                                       \
  template <class T>                                                                   \
  target void check_parts_of_##set() {                                                 \
    using Vector = typename blas::detail::set::Lanes<T>::Vector;                       \
    constexpr long long kLanes = sizeof(Vector) / sizeof(T);                           \
    for (long long n = 0; n <= kLanes; ++n) {                                          \
      auto from = memory_of<T>(n), to = memory_of<T>(n);                               \
      Vector v = {};                                                                   \
      blas::detail::set::load_part(v, from.data() + kBefore, n);                       \
      const Vector negative = -v;                                                      \
      blas::detail::set::store_part(negative, to.data() + kBefore, n);                 \
      bool good = true;                                                                \
      for (long long i = 0; i < kLanes; ++i)                                           \
        good &= v[i] == (i < n ? static_cast<T>(i + 1) + T(kBefore) : T(0));           \
      for (std::size_t i = 0; i < to.size(); ++i)                                      \
        good &= to[i] == (i < kBefore ? from[i] : -from[i]);                           \
      if (!good) test::report({__FILE__, __LINE__, #set}, "n = " + std::to_string(n)); \
    }                                                                                  \
  }
CHECK_PARTS(portable, )
#if defined(__x86_64__)
CHECK_PARTS(avx2, [[gnu::target("avx2,fma")]])
CHECK_PARTS(avx512, [[gnu::target("avx512f,avx512dq,avx512bw,avx512vl,fma")]])
#endif
#undef CHECK_PARTS

TEST("vector parts of every length") {
  check_parts_of_portable<float>();
  check_parts_of_portable<double>();
#if defined(__x86_64__)
  for (const isa::KernelTable* table : isa::available_tables()) {
    if (table->vector_bytes == 32) {
      check_parts_of_avx2<float>();
      check_parts_of_avx2<double>();
    } else if (table->vector_bytes == 64) {
      check_parts_of_avx512<float>();
      check_parts_of_avx512<double>();
    }
  }
#endif
}

}  // namespace
}  // namespace chainrule::test
