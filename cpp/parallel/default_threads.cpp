// How many threads this process may use: what the user says, else what the system grants.
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "chainrule/error.h"
#include "parallel/parallel_for.h"

namespace chainrule::inline v0_1 {
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

namespace {

std::atomic<int> chosen{0};  // by set_num_threads()

/// 0: not set.
int chainrule_num_threads() {
  const char* text = std::getenv("CHAINRULE_NUM_THREADS");
  if (text == nullptr) return 0;
  const std::string_view given(text);
  if (given.empty()) return 0;
  int threads = 0;
  const auto [end, error] = std::from_chars(given.begin(), given.end(), threads);
  if (error != std::errc() || end != given.end() || threads < 1 || threads > kMaxThreads) {
    invalid("CHAINRULE_NUM_THREADS",
            "the number of threads must be an integer from 1 to " + std::to_string(kMaxThreads),
            {{"CHAINRULE_NUM_THREADS", "'" + std::string(given) + "'"}});
  }
  return threads;
}

/// The first of a list of positive integers with commas between them and white space around; 0 for
/// anything else.
int omp_num_threads() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr) return 0;
  const std::string_view list(text);
  int first = 0;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    std::string_view item = list.substr(begin, end - begin);
    const std::size_t from = item.find_first_not_of(" \t");
    if (from == std::string_view::npos) return 0;
    item = item.substr(from, item.find_last_not_of(" \t") + 1 - from);
    int threads = 0;
    const auto [stop, error] = std::from_chars(item.begin(), item.end(), threads);
    const bool is_large = error == std::errc::result_out_of_range && item[0] != '-';
    if ((error != std::errc() && !is_large) || stop != item.end()) return 0;
    if (!is_large && threads < 1) return 0;
    if (begin == 0) first = is_large ? kMaxThreads : std::min(threads, kMaxThreads);
    begin = end + 1;
  }
  return first;
}

}  // namespace

void set_num_threads(int threads) {
  if (threads < 0 || threads > kMaxThreads) {
    invalid("set_num_threads",
            "the number of threads must be from 1 to " + std::to_string(kMaxThreads) +
                ", or 0 for no fixed one",
            {{"threads", std::to_string(threads)}});
  }
  chosen.store(threads, std::memory_order_relaxed);
}

int get_num_threads() { return default_threads(); }

int fixed_threads() {
  if (in_parallel_region()) return 1;
  if (const int threads = chosen.load(std::memory_order_relaxed); threads > 0) return threads;
  if (const int threads = chainrule_num_threads(); threads > 0) return threads;
  return omp_num_threads();
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

}  // namespace chainrule::inline v0_1
