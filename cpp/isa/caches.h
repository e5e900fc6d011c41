// The sizes of the caches and of their lines, by which the kernels above the table cut their work.
#pragma once

#include <cstdint>

namespace chainrule::inline v0_1::isa {

constexpr std::int64_t kCacheLineBytes = 64;

/// Bytes of L1 data cache that kernels count on. Most cores have more, but with one number for all
/// of them, what is chosen by it is the same on every machine.
constexpr std::int64_t kL1Bytes = 32 * 1024;

/// Bytes of data cache behind L1 that one core reaches.
struct CacheSizes {
  std::int64_t l2;
  std::int64_t l3;  ///< shared by several cores; that of L2 where there is none
};

/// The sizes on this machine, found once; typical ones if the system does not tell.
const CacheSizes& cache_sizes();

/// Makes cache_sizes() give other sizes while it lives, for tests. Meanwhile no other thread may
/// run kernels, and no program may run that was compiled before.
class UseCaches {
 public:
  explicit UseCaches(const CacheSizes& sizes);
  ~UseCaches();
  UseCaches(const UseCaches&) = delete;
  UseCaches& operator=(const UseCaches&) = delete;

 private:
  CacheSizes saved_;
};

}  // namespace chainrule::inline v0_1::isa
