// The sizes of the caches, which the kernels above the table cut their work by.
#pragma once

#include <cstdint>

namespace chainrule::inline v0_1::isa {

/// Bytes of data cache that one core reaches.
struct CacheSizes {
  std::int64_t l1, l2;
  std::int64_t l3;  ///< shared by several cores; that of L2 where there is none
};

/// Of this machine, found once; typical sizes where the system does not tell.
const CacheSizes& cache_sizes();

/// Makes cache_sizes() give others while it lives: for tests. No other thread may run kernels
/// meanwhile, nor a program that was compiled before.
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
