#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "environment.h"
#include "parallel/denormals.h"
#include "parallel/parallel_for.h"
#include "temporary_directory.h"
#include "test.h"

// The thread sanitizer refuses threads in a forked child unless told otherwise.
extern "C" const char* __tsan_default_options() {  // NOLINT(bugprone-reserved-identifier)
  return "die_after_fork=0";
}

namespace chainrule {
namespace {

using Int = std::int64_t;
using test::Environment;

/// Sum over i of i + 1, each index counted by the range that has it.
Int sum_of_indices(int threads, Int n, Int grain) {
  std::atomic<Int> sum{0};
  parallel_for(Exec{.threads = threads}, n, grain, [&](Int begin, Int end) {
    Int part = 0;
    for (Int i = begin; i < end; ++i) part += i + 1;
    sum += part;
  });
  return sum;
}

TEST("parallel_for covers every index once, in ranges of whole grains") {
  for (const int threads : {0, 1, 2, 3, 8, 100000}) {
    for (const Int n : {0, 1, 2, 7, 64, 1000, 1001}) {
      for (const Int grain : {0, 1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> seen(static_cast<std::size_t>(n));
        std::atomic<int> bad_ranges{0};
        parallel_for(Exec{.threads = threads}, n, grain, [&](Int begin, Int end) {
          const Int unit = grain < 1 ? 1 : grain;
          if (begin >= end || begin % unit != 0 || (end != n && end % unit != 0)) ++bad_ranges;
          for (Int i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
        });
        bool once = true;
        for (const auto& count : seen) once &= count == 1;
        CHECK(once);
        CHECK_EQ(bad_ranges.load(), 0);
      }
    }
  }
}

TEST("parallel_for uses other threads, and one alone below two grains") {
  // Each of two ranges waits for the other to begin: this ends only when two threads share them.
  std::atomic<int> begun{0};
  bool together = true;
  parallel_for(Exec{.threads = 2}, 2, 1, [&](Int, Int) {
    ++begun;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (begun < 2 && together) {
      if (std::chrono::steady_clock::now() > limit) together = false;
      std::this_thread::yield();
    }
  });
  CHECK(together);
  const std::thread::id self = std::this_thread::get_id();
  int calls = 0;
  parallel_for(Exec{.threads = 4}, 19, 10, [&](Int begin, Int end) {
    ++calls;
    CHECK(std::this_thread::get_id() == self);
    CHECK_EQ(begin, 0);
    CHECK_EQ(end, 19);
  });
  CHECK_EQ(calls, 1);
}

TEST("a job for few threads is done by the same ones after a job for many") {
  parallel_for(Exec{.threads = 8}, 8, 1, [](Int, Int) {});
  const std::thread::id self = std::this_thread::get_id();
  std::set<std::thread::id> others;
  for (int job = 0; job < 50; ++job) {
    std::atomic<int> begun{0};
    std::mutex mutex;
    parallel_for(Exec{.threads = 2}, 2, 1, [&](Int, Int) {
      ++begun;  // each range waits for the other: two threads share them
      while (begun < 2) std::this_thread::yield();
      const std::lock_guard lock(mutex);
      if (std::this_thread::get_id() != self) others.insert(std::this_thread::get_id());
    });
  }
  CHECK_EQ(others.size(), std::size_t{1});
}

TEST("nested calls run inline") {
  std::atomic<Int> sum{0};
  std::atomic<int> moved{0};
  parallel_for(Exec{.threads = 2}, 8, 1, [&](Int begin, Int end) {
    for (Int i = begin; i < end; ++i) {
      const std::thread::id outer = std::this_thread::get_id();
      parallel_for(Exec{.threads = 2}, 100, 1, [&](Int b, Int e) {
        if (std::this_thread::get_id() != outer) ++moved;
        sum += e - b;
      });
    }
  });
  CHECK_EQ(sum.load(), 800);
  CHECK_EQ(moved.load(), 0);
}

TEST("callers in several threads do not disturb each other") {
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (Int n = 1; n < 400; ++n) {
        if (sum_of_indices(3, n, 1) != n * (n + 1) / 2) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK_EQ(wrong.load(), 0);
}

TEST("workers that sleep wake up") {
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // longer than they spin
    CHECK_EQ(sum_of_indices(2, 1000, 10), 500500);
  }
}

TEST("a child made by fork computes") {
  CHECK_EQ(sum_of_indices(2, 1000, 10), 500500);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(120);  // ends a child that hangs
    bool good = true;
    for (int i = 0; i < 100; ++i) good &= sum_of_indices(2, 1000, 10) == 500500;
    _exit(good ? 0 : 1);
  }
  int status = -1;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_EQ(sum_of_indices(2, 1000, 10), 500500);
}

TEST("denormals are zero inside, and only there") {
  volatile float smallest = std::numeric_limits<float>::min();
  const auto half = [&] { return smallest * 0.5F; };
  CHECK(half() != 0.0F);
  std::atomic<int> kept{0};
  for (const int threads : {1, 2}) {
    parallel_for(Exec{.threads = threads}, 64, 1, [&](Int, Int) {
      if (half() != 0.0F) ++kept;
    });
  }
  CHECK_EQ(kept.load(), 0);
  CHECK(half() != 0.0F);
  {
    const FlushDenormals flush;
    CHECK(half() == 0.0F);
  }
  CHECK(half() != 0.0F);
}

TEST("default_threads follows CHAINRULE_NUM_THREADS and checks it; else the system") {
  {
    const Environment three("CHAINRULE_NUM_THREADS", "3");
    CHECK_EQ(default_threads(), 3);
  }
  for (const char* bad : {"0", "-1", "two", "2x", " ", "257", "99999999999"}) {
    const Environment set("CHAINRULE_NUM_THREADS", bad);
    CHECK_THROWS(default_threads(),
                 "[CHAINRULE_NUM_THREADS] the number of threads must be an integer");
    CHECK_THROWS(default_threads(), "Received: CHAINRULE_NUM_THREADS='" + std::string(bad) + "'");
  }
  const char* set = std::getenv("CHAINRULE_NUM_THREADS");
  const std::string saved = set == nullptr ? "" : set;
  unsetenv("CHAINRULE_NUM_THREADS");
  CHECK(default_threads() >= 1);
  CHECK(default_threads() <= kMaxThreads);
  {
    const int automatic = default_threads();
    const Environment empty("CHAINRULE_NUM_THREADS", "");
    CHECK_EQ(default_threads(), automatic);
  }
  if (set != nullptr) setenv("CHAINRULE_NUM_THREADS", saved.c_str(), 1);
}

TEST("the CPU quota is the smallest of the control groups above, rounded up") {
  const auto quota = [](const std::vector<std::pair<std::string, std::string>>& files) {
    const test::TemporaryDirectory root;
    for (const auto& [name, text] : files) {
      const std::filesystem::path path = root.path() / name;
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path) << text << '\n';
    }
    return cpu_quota(root.path().string());
  };
  const std::pair<std::string, std::string> v2{"proc/self/cgroup", "0::/a/b"},
      v1{"proc/self/cgroup", "12:memory:/c\n4:cpu,cpuacct:/a/b\n3:cpuset:/d"};
  CHECK_EQ(quota({}), 0);
  CHECK_EQ(quota({v2}), 0);
  CHECK_EQ(quota({v2, {"sys/fs/cgroup/a/b/cpu.max", "max 100000"}}), 0);
  CHECK_EQ(quota({v2, {"sys/fs/cgroup/a/b/cpu.max", "300000 100000"}}), 3);
  CHECK_EQ(quota({v2, {"sys/fs/cgroup/a/b/cpu.max", "210000 100000"}}), 3);
  CHECK_EQ(quota({v2, {"sys/fs/cgroup/a/b/cpu.max", "10000 100000"}}), 1);
  CHECK_EQ(quota({v2,
                  {"sys/fs/cgroup/cpu.max", "800000 100000"},
                  {"sys/fs/cgroup/a/cpu.max", "150000 50000"},
                  {"sys/fs/cgroup/a/b/cpu.max", "max 100000"}}),
           3);
  // Inside a container the group's path may not exist, but the limit stands at the top.
  CHECK_EQ(quota({v2, {"sys/fs/cgroup/cpu.max", "200000 100000"}}), 2);
  CHECK_EQ(quota({v2, {"sys/fs/cgroup/other/cpu.max", "200000 100000"}}), 0);
  CHECK_EQ(quota({v2, {"sys/fs/cgroup/a/b/cpu.max", "nonsense"}}), 0);
  const auto v1_file = [](const std::string& group, const std::string& name) {
    return "sys/fs/cgroup/cpu" + group + "/cpu.cfs_" + name + "_us";
  };
  CHECK_EQ(quota({v1, {v1_file("/a/b", "quota"), "-1"}, {v1_file("/a/b", "period"), "100000"}}), 0);
  CHECK_EQ(quota({v1, {v1_file("/a", "quota"), "250000"}, {v1_file("/a", "period"), "100000"}}), 3);
  CHECK_EQ(quota({v1, {v1_file("/d", "quota"), "250000"}, {v1_file("/d", "period"), "100000"}}), 0);
}

}  // namespace
}  // namespace chainrule
