// Matrices between guards, for tests of kernels.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <string_view>
#include <vector>

#include "base/philox.h"

namespace chainrule::test {

using Int = std::int64_t;

/// Numbers in [-1, 1) that depend on seed and index alone.
inline double number(std::uint32_t seed, Int i) {
  std::uint32_t counter[4] = {static_cast<std::uint32_t>(i), seed, 0, 0};
  base::philox_rounds(counter, 1, 2);
  return counter[0] * 0x1p-31 - 1.0;
}

/// Memory that ends where a page without access begins: to read one byte beyond it is a crash.
/// CHAINRULE_TEST_PAGE_GUARDS=0 makes that page readable, for emulators that read more than the
/// processor does.
template <class T>
struct PageEnd {
  using value_type = T;

  static std::size_t room(std::size_t n) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return (n * sizeof(T) + page - 1) / page * page + page;
  }
  static std::size_t front(std::size_t n) {  // of the pages that is not used
    return room(n) - static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) - n * sizeof(T);
  }
  T* allocate(std::size_t n) {
    void* const pages = ::mmap(nullptr, room(n), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const char* const wish = std::getenv("CHAINRULE_TEST_PAGE_GUARDS");
    const bool guarded = wish == nullptr || std::string_view(wish) != "0";
    const std::size_t used = guarded ? front(n) + n * sizeof(T) : room(n);
    if (pages == MAP_FAILED || ::mprotect(pages, used, PROT_READ | PROT_WRITE) != 0)
      throw std::bad_alloc();
    return reinterpret_cast<T*>(static_cast<std::byte*>(pages) + front(n));
  }
  void deallocate(T* p, std::size_t n) {
    ::munmap(reinterpret_cast<std::byte*>(p) - front(n), room(n));
  }
  bool operator==(const PageEnd&) const = default;
};

/// rows x cols numbers, rows `line` apart, with NaN before and between them, and after them a page
/// without access.
template <class T>
struct GuardedMatrix {
  static constexpr Int kMargin = 19;  // odd: unaligned
  Int rows, cols, line;
  std::vector<T, PageEnd<T>> memory;

  GuardedMatrix(Int rows, Int cols, Int line, std::uint32_t seed)
      : rows(rows),
        cols(cols),
        line(line),
        memory(static_cast<std::size_t>(kMargin + (rows > 0 ? (rows - 1) * line + cols : 0)),
               std::numeric_limits<T>::quiet_NaN()) {
    for (Int i = 0; i < rows; ++i) {
      for (Int j = 0; j < cols; ++j) at(i, j) = static_cast<T>(number(seed, i * cols + j));
    }
  }
  T* data() { return memory.data() + kMargin; }
  T& at(Int i, Int j) { return data()[i * line + j]; }
  /// Everything outside the rows x cols elements is still NaN.
  bool guards_hold() {
    const T* first = data();
    for (Int i = 0; i < static_cast<Int>(memory.size()); ++i) {
      const Int offset = i - kMargin;
      const bool inside = offset >= 0 && offset < rows * line && offset % line < cols;
      if (!inside && first[offset] == first[offset]) return false;
    }
    return true;
  }
};

/// Rounding of k products and sums, all below 1: k * eps with room for the order of summation.
template <class T>
double tolerance(Int k) {
  return (static_cast<double>(k) + 4) * std::numeric_limits<T>::epsilon();
}

}  // namespace chainrule::test
