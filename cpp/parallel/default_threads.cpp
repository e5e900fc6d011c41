// How many threads this process may use: what the user says, else what the system grants.
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "chainrule/error.h"
#include "parallel/parallel_for.h"

namespace chainrule {
namespace {

int affinity_threads() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// CPUs granted by a control group: quota / period, rounded up; 0 where there is no limit.
/// Version 2 has both in cpu.max ("max 100000" is no limit), version 1 in two files (-1 is no
/// limit).
int quota_in(const std::string& folder) {
  double quota = -1, period = 0;
  std::ifstream v2(folder + "/cpu.max");
  std::string first;
  if (v2 >> first >> period) {
    if (first != "max") quota = std::strtod(first.c_str(), nullptr);
  } else {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? std::max(1, static_cast<int>(std::ceil(quota / period))) : 0;
}

}  // namespace

// Lines of /proc/self/cgroup are `id:controllers:path`; version 2 has no controllers.
int cpu_quota(const std::string& root) {
  int smallest = 0;
  const auto note = [&](int quota) {
    if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
  };
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find(",cpu,") == std::string::npos) continue;
    const std::string top = root + (v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu");
    std::string path = line.substr(second + 1);
    while (!path.empty()) {
      note(quota_in(top + path));
      path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
    note(quota_in(top));
  }
  return smallest;
}

int fixed_threads() {
  const char* text = std::getenv("CHAINRULE_NUM_THREADS");
  if (text == nullptr) return 0;
  const std::string_view given(text);
  int threads = 0;
  const auto [end, error] = std::from_chars(given.begin(), given.end(), threads);
  if (error != std::errc() || end != given.end() || threads < 1 || threads > kMaxThreads) {
    invalid("CHAINRULE_NUM_THREADS",
            "the number of threads must be an integer from 1 to " + std::to_string(kMaxThreads),
            {{"CHAINRULE_NUM_THREADS", "'" + std::string(given) + "'"}});
  }
  return threads;
}

int granted_threads() {
  static const int granted = [] {  // asking the system takes longer than a small training step
    const int affinity = affinity_threads();
    const int quota = cpu_quota();
    return std::min(quota > 0 ? std::min(affinity, quota) : affinity, kMaxThreads);
  }();
  return granted;
}

int default_threads() {
  const int fixed = fixed_threads();
  return fixed > 0 ? fixed : granted_threads();
}

}  // namespace chainrule
