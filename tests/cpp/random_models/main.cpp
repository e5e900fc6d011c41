// Tries random models (random_models.h), as many as one likes:
//
//     chainrule_random_models [--count=N] [--seed=S] [--isa=TABLE]... [--seconds=T] [--jobs=J]
//
// Models S, S + 1... (default: 1000 from 1) on every table of this machine, or those named. Each
// runs in a process of its own: one that crashes, or takes longer than T seconds (default: 600), is
// a failure like any other, reported with its seed. The same seed gives the same model: run it
// alone with --seed=S --count=1. The exit status is 0 only if none differs and at most a quarter of
// them was rejected (as rounding alone decides what they compute).
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "../random_models.h"

namespace chainrule::test {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = Outcome::Kind;

struct Options {
  std::uint64_t seed = 1;
  std::int64_t count = 1000, seconds = 600, jobs = 1;
  std::vector<const isa::KernelTable*> tables;
};

/// What a child tells its parent.
struct Message {
  Kind kind;
  double worst;
  std::int64_t steps, redrawn;
  bool slope, second_look;
};

struct Totals {
  std::int64_t tried = 0, different = 0, rejected = 0, steps = 0, redrawn = 0, slopes = 0,
               second_looks = 0;
  double worst = 0;
};

struct Child {
  std::uint64_t seed;
  int pipe;
  Clock::time_point end;
};

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos) {
      invalid("chainrule_random_models", "options are --name=value", {{"option", argument}});
    }
    const std::string name = argument.substr(0, equals);
    const char* const text = argv[i] + equals + 1;
    char* end = nullptr;
    const auto number = [&] {
      const long long value = std::strtoll(text, &end, 10);
      if (*text == '\0' || *end != '\0' || value < 1) {
        invalid("chainrule_random_models", "the value must be a positive integer", {{name, text}});
      }
      return static_cast<std::int64_t>(value);
    };
    if (name == "--seed") {
      options.seed = static_cast<std::uint64_t>(number());
    } else if (name == "--count") {
      options.count = number();
    } else if (name == "--seconds") {
      options.seconds = number();
    } else if (name == "--jobs") {
      options.jobs = number();
    } else if (name == "--isa") {
      options.tables.push_back(&isa::find_table(text));
    } else {
      invalid("chainrule_random_models",
              "there are --count, --seed, --isa, --seconds and --jobs",
              {{"option", name}});
    }
  }
  if (options.tables.empty()) options.tables = isa::available_tables();
  return options;
}

/// Tries one model in a process of its own, which writes a Message.
pid_t start(std::uint64_t seed, const Options& options, Child& child) {
  int ends[2];
  if (pipe(ends) != 0) fail("chainrule_random_models", "the system gives no pipe");
  std::fflush(stdout);
  const pid_t pid = fork();
  if (pid < 0) fail("chainrule_random_models", "the system gives no process");
  if (pid == 0) {
    close(ends[0]);
    const Outcome outcome = try_random_model(seed, options.tables);
    if (outcome.kind == Kind::different) std::printf("DIFFERENT: %s\n", outcome.report.c_str());
    std::fflush(stdout);
    const Message message{outcome.kind,
                          outcome.worst,
                          outcome.steps,
                          outcome.redrawn,
                          outcome.slope,
                          outcome.second_look};
    const bool written = write(ends[1], &message, sizeof message) == sizeof message;
    _exit(written ? 0 : 3);
  }
  close(ends[1]);
  child = {seed, ends[0], Clock::now() + std::chrono::seconds(options.seconds)};
  return pid;
}

/// Counts a child that has ended.
void count(const Child& child, int status, bool late, Totals& totals) {
  Message message{};
  const bool told = read(child.pipe, &message, sizeof message) == sizeof message;
  close(child.pipe);
  ++totals.tried;
  if (!told || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    const std::string how = late ? "took too long"
                            : WIFSIGNALED(status)
                                ? std::string("died of ") + strsignal(WTERMSIG(status))
                                : "ended with status " + std::to_string(WEXITSTATUS(status));
    std::printf(
        "DIFFERENT: seed %llu: %s\n", static_cast<unsigned long long>(child.seed), how.c_str());
    ++totals.different;
    return;
  }
  totals.different += message.kind == Kind::different ? 1 : 0;
  totals.rejected += message.kind == Kind::rejected ? 1 : 0;
  if (message.kind != Kind::same) return;
  totals.steps += message.steps;
  totals.redrawn += message.redrawn;
  totals.slopes += message.slope ? 1 : 0;
  totals.second_looks += message.second_look ? 1 : 0;
  totals.worst = std::max(totals.worst, message.worst);
}

Totals try_all(const Options& options) {
  Totals totals;
  std::map<pid_t, Child> running;
  auto shown = Clock::now();
  for (std::int64_t next = 0; next < options.count || !running.empty();) {
    while (next < options.count && static_cast<std::int64_t>(running.size()) < options.jobs) {
      Child child{};
      const pid_t pid = start(options.seed + static_cast<std::uint64_t>(next++), options, child);
      running[pid] = child;
    }
    // Wakes when a child has spoken or ended; looks at the clock twice a second.
    std::vector<pollfd> pipes;
    for (const auto& [pid, child] : running) pipes.push_back({child.pipe, POLLIN, 0});
    static_cast<void>(poll(pipes.data(), pipes.size(), 500));
    for (auto it = running.begin(); it != running.end();) {
      const auto [pid, child] = *it;
      const bool late = Clock::now() > child.end;
      if (late) kill(pid, SIGKILL);
      int status = 0;
      const bool readable = [&] {
        pollfd one{child.pipe, POLLIN, 0};
        return poll(&one, 1, 0) > 0;
      }();
      if (!readable && !late) {
        ++it;
        continue;
      }
      waitpid(pid, &status, 0);
      count(child, status, late, totals);
      it = running.erase(it);
    }
    if (Clock::now() - shown > std::chrono::seconds(30)) {
      shown = Clock::now();
      std::printf("%lld models, %lld differ\n",
                  static_cast<long long>(totals.tried),
                  static_cast<long long>(totals.different));
      std::fflush(stdout);
    }
  }
  return totals;
}

int run(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  std::string names;
  for (const isa::KernelTable* table : options.tables)
    names += (names.empty() ? "" : ", ") + std::string(table->name);
  const Totals totals = try_all(options);
  std::printf(
      "random models %llu to %llu on %s: %lld differ; %lld compared (%lld steps, %lld slopes), the "
      "worst error %.2g times the spread; %lld rejected, %lld samples drawn again, %lld looked at "
      "twice\n",
      static_cast<unsigned long long>(options.seed),
      static_cast<unsigned long long>(options.seed + static_cast<std::uint64_t>(options.count) - 1),
      names.c_str(),
      static_cast<long long>(totals.different),
      static_cast<long long>(totals.tried - totals.rejected),
      static_cast<long long>(totals.steps),
      static_cast<long long>(totals.slopes),
      totals.worst,
      static_cast<long long>(totals.rejected),
      static_cast<long long>(totals.redrawn),
      static_cast<long long>(totals.second_looks));
  return totals.different == 0 && totals.rejected * 4 <= totals.tried ? 0 : 1;
}

}  // namespace
}  // namespace chainrule::test

int main(int argc, char** argv) {
  try {
    return chainrule::test::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
