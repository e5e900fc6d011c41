#include "isa/caches.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>

namespace chainrule::inline v0_1::isa {
namespace {

/// The first CPU's caches as Linux lists them: "48K" in .../index0/size and so on.
CacheSizes read_sizes() {
  CacheSizes found{0, 0};
  for (int index = 0; index < 8; ++index) {
    const std::string dir = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    std::ifstream level_file(dir + "/level"), type_file(dir + "/type"), size_file(dir + "/size");
    int level = 0;
    std::string type;
    std::int64_t size = 0;
    char unit = ' ';
    if (!(level_file >> level) || !(type_file >> type) || !(size_file >> size >> unit)) continue;
    if (type == "Instruction" || level < 2) continue;
    const std::int64_t bytes = size << (unit == 'K' ? 10 : unit == 'M' ? 20 : 0);
    (level == 2 ? found.l2 : found.l3) = bytes;
  }
  if (found.l2 <= 0) return {std::int64_t{512} << 10, std::int64_t{16} << 20};
  found.l3 = std::max(found.l3, found.l2);
  return found;
}

CacheSizes& sizes_in_use() {
  static CacheSizes sizes = read_sizes();
  return sizes;
}

}  // namespace

const CacheSizes& cache_sizes() { return sizes_in_use(); }

UseCaches::UseCaches(const CacheSizes& sizes) : saved_(std::exchange(sizes_in_use(), sizes)) {}

UseCaches::~UseCaches() { sizes_in_use() = saved_; }

}  // namespace chainrule::inline v0_1::isa
