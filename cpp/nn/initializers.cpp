#include "chainrule/initializers.h"

#include <mutex>
#include <random>

#include "chainrule/fork_lock.h"

namespace chainrule::inline v0_1 {
namespace {

/// The process-wide sequence of seeds.
struct Seeds {
  GlobalLock mutex;
  bool known = false;
  Random sequence{0};
};

Seeds& seeds() {
  static Seeds instance;
  return instance;
}

}  // namespace

InitializerPtr initializer(const Json& spec) {
  return std::static_pointer_cast<Initializer>(deserialize(Kind::initializers, spec));
}

void set_random_seed(std::uint64_t seed) {
  const std::lock_guard lock(seeds().mutex);
  seeds().sequence = Random(seed);
  seeds().known = true;
}

std::uint64_t next_random_seed() {
  const std::lock_guard lock(seeds().mutex);
  if (!seeds().known) {
    std::random_device device;
    seeds().sequence = Random((std::uint64_t{device()} << 32) | device());
    seeds().known = true;
  }
  return seeds().sequence.next_u64();
}

}  // namespace chainrule::inline v0_1
