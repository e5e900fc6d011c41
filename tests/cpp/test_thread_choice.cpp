// The number of threads that a program chooses, on machines that are functions.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "chainrule/ops.h"
#include "chainrule/program.h"
#include "environment.h"
#include "runtime/thread_choice.h"
#include "test.h"

namespace chainrule {
namespace {

/// Seconds of a run with so many threads.
using Machine = std::function<double(int threads)>;

/// Runs of one program until its time is over.
struct Runs {
  std::map<int, std::int64_t> counts;  // by number of threads
  double seconds = 0;
  int last = 0;
  bool timed = false;  // any of them

  Runs(ThreadChoice& choice,
       int most,
       double until,
       const Machine& machine,
       bool has_shared_work = true) {
    while (seconds < until) {
      last = choice.next(most);
      const double took = machine(last);
      ++counts[last];
      seconds += took;
      if (!choice.is_timed(last)) continue;
      timed = true;
      choice.record(took, has_shared_work && last > 1);
    }
  }
};

TEST("thread choice: what is faster stays, and trials cost little") {
  const Machine pays = [](int threads) { return threads == 2 ? 4e-4 : 7e-4; };
  ThreadChoice choice;
  CHECK_EQ(choice.next(2), 2);
  const Runs two(choice, 2, 20, pays);
  CHECK_EQ(two.last, 2);
  CHECK(two.counts.at(1) >= 2 && two.counts.at(1) * (7e-4 - 4e-4) < 0.0012 * two.seconds);

  const Machine hardly_pays = [](int threads) { return threads == 2 ? 1e-4 : 1.1e-4; };
  ThreadChoice third;
  const Runs near(third, 2, 20, hardly_pays);
  CHECK_EQ(near.last, 2);
  CHECK(near.counts.at(1) * (1.1e-4 - 1e-4) < 0.0012 * near.seconds);

  const Machine does_not = [](int threads) { return threads == 2 ? 9e-5 : 4e-5; };
  ThreadChoice other;
  const Runs one(other, 2, 20, does_not);
  CHECK_EQ(one.last, 1);
  CHECK(one.counts.at(2) >= 2 && one.counts.at(2) * (9e-5 - 4e-5) < 0.0012 * one.seconds);
}

TEST("thread choice: follows a machine that changes, back and forth") {
  double second_core = 1;  // how much slower it makes things
  const Machine machine = [&](int threads) { return threads == 2 ? 5e-5 * second_core : 8e-5; };
  ThreadChoice choice;
  for (int turn = 0; turn < 3; ++turn) {
    second_core = 1;
    CHECK_EQ(Runs(choice, 2, 2, machine).last, 2);
    second_core = 3;
    CHECK_EQ(Runs(choice, 2, 2, machine).last, 1);
  }
}

TEST("thread choice: the first run with another number does not count") {
  int before = 0;
  const Machine moves_memory = [&](int threads) {
    const double extra = threads != before ? 1e-4 : 0;
    before = threads;
    return extra + (threads == 2 ? 1.5e-4 : 1e-4);
  };
  ThreadChoice choice;
  CHECK_EQ(Runs(choice, 2, 1, moves_memory).last, 1);

  // What it takes counts as lost.
  const Machine moves_much = [&](int threads) {
    const double extra = threads != before ? 1e-4 : 0;
    before = threads;
    return extra + 1e-4;
  };
  ThreadChoice equal;
  const Runs runs(equal, 2, 20, moves_much);
  const double best = 1e-4 * static_cast<double>(runs.counts.at(1) + runs.counts.at(2));
  CHECK(runs.seconds < 1.0015 * best);
}

TEST("thread choice: a disturbed run changes nothing, many of them not for long") {
  // One or eight of the first hundred runs in turn take very long, with either number.
  for (const int length : {1, 8}) {
    for (int disturbed = 0; disturbed < 100; ++disturbed) {
      for (const int faster : {1, 2}) {
        int run = 0;
        const Machine machine = [&](int threads) {
          const bool long_one = run >= disturbed && run < disturbed + length;
          ++run;
          return long_one ? 0.03 : threads == faster ? 1e-4 : 1.6e-4;
        };
        ThreadChoice choice;
        const Runs runs(choice, 2, 4, machine);
        CHECK_EQ(runs.last, faster);
        CHECK(runs.counts.at(3 - faster) < (length == 1 ? 100 : 13000));
      }
    }
  }
}

TEST("thread choice: a lucky run changes nothing") {
  // Two threads are as fast as one now and then, and otherwise slower.
  int run = 0;
  const Machine machine = [&](int threads) {
    return threads == 1 ? 1e-4 : ++run % 5 == 0 ? 0.98e-4 : 1.6e-4;
  };
  ThreadChoice choice;
  const Runs runs(choice, 2, 5, machine);
  CHECK(runs.counts.at(2) < runs.counts.at(1) / 20);
}

TEST("thread choice: long runs try one at a time, and leave a processor that others use") {
  const Machine pays = [](int threads) { return threads == 2 ? 0.5 : 0.9; };
  ThreadChoice choice;
  CHECK_EQ(Runs(choice, 2, 1000, pays).counts.at(1), 3);  // each 400 s
  const Machine busy = [](int threads) { return threads == 2 ? 0.02 : 5e-4; };
  ThreadChoice other;
  CHECK_EQ(Runs(other, 2, 1, busy).last, 1);
}

TEST("thread choice: a clock that stands still") {
  ThreadChoice choice;
  for (int run = 0; run < 1000; ++run) {
    const int threads = choice.next(4);
    CHECK(threads >= 1 && threads <= 4);
    if (choice.is_timed(threads)) choice.record(0, threads > 1);
  }
  // It goes on some time.
  CHECK_EQ(Runs(choice, 4, 200, [](int threads) { return threads * 1e-4; }).last, 1);
}

TEST("thread choice: the best of many, by halves and doubles") {
  for (const int best : {1, 3, 6, 12}) {
    int now = best;
    const Machine machine = [&](int threads) {
      return threads <= now ? 1e-4 * now / threads : 1e-4 * threads / now;
    };
    ThreadChoice choice;
    CHECK_EQ(Runs(choice, 12, 0.045, machine).last, best);  // no pause on the way down
    now = 12;
    CHECK_EQ(Runs(choice, 12, 40, machine).last, 12);
    now = best;
    CHECK_EQ(Runs(choice, 12, 40, machine).last, best);
  }
}

TEST("thread choice: nothing is tried where nothing can be gained") {
  const auto tried = [](int most, double seconds, bool has_shared_work) {
    ThreadChoice choice;
    const Runs runs(choice, most, 100 * seconds, [&](int) { return seconds; }, has_shared_work);
    CHECK_EQ(runs.timed, most > 1);
    return runs.counts.size() > 1;
  };
  CHECK(tried(2, 1e-4, true));
  CHECK(!tried(2, 1e-4, false));  // no kernel has work for two
  CHECK(!tried(1, 1e-4, true));

  // Another upper bound begins anew.
  ThreadChoice choice;
  CHECK(!choice.is_timed(1) && !choice.is_timed(2));  // nothing chosen yet
  const Machine slow_together = [](int threads) { return threads * 1e-4; };
  CHECK_EQ(Runs(choice, 2, 0.04, slow_together).last, 1);
  CHECK_EQ(choice.next(4), 4);
  CHECK_EQ(choice.next(1), 1);
}

TEST("thread choice: only runs of a trial are timed, and only with its number") {
  ThreadChoice choice;
  bool rival_seen = false;
  for (int run = 0; run < 200 && !rival_seen; ++run) {
    const int threads = choice.next(2);
    CHECK(!choice.is_timed(3 - threads) && !choice.is_timed(3));
    if (!choice.is_timed(threads)) continue;
    choice.record(1e-4, true);
    CHECK(!choice.is_timed(threads));
    rival_seen = threads == 1;
  }
  CHECK(rival_seen);
}

TEST("programs time themselves, unless their number of threads is fixed") {
  Graph graph;
  const Value x = graph.input({Shape{300000}, DType::float32}, "x");
  const Value y = x + 1.0;
  ProgramOptions options;
  options.threads = 2;
  Program fixed(graph, {x}, {y}, options);
  Program free(graph, {x}, {y});
  for (float& value : free.input(0).data<float>()) value = 41;

  Graph little;
  const Value few = little.input({Shape{10}, DType::float32}, "x");
  Program alone(little, {few}, {few + 1.0});
  std::map<int, int> chosen;
  for (int i = 0; i < 100; ++i) {
    CHECK_EQ(fixed.choose_threads(1), 2);
    CHECK(fixed.run());
    const int threads = free.choose_threads(2);
    ++chosen[threads];
    CHECK(free.run(threads));
    const auto result = free.output(0).data<float>();
    CHECK(std::all_of(result.begin(), result.end(), [](float value) { return value == 42; }));
    CHECK(free.run(3));                    // of no trial
    CHECK_EQ(alone.choose_threads(2), 2);  // has no work for two
    CHECK(alone.run(2));
  }
  CHECK(chosen.size() == 2 && chosen.contains(1) && chosen.contains(2));

  const test::Environment three("CHAINRULE_NUM_THREADS", "3");
  CHECK_EQ(free.choose_threads(), 3);
}

TEST("a run that stops at its check is not timed") {
  const auto counter = std::make_shared<Variable>();
  counter->value = Tensor(Shape{300000}, DType::float32);
  Graph graph;
  const Value x = graph.input({Shape{}, DType::float32}, "x");
  graph.assign(counter, graph.read(counter) + 1.0);  // all that is worth two threads
  ProgramOptions options;
  options.check = {x};
  Program program(graph, {x}, {x}, options);
  std::map<int, int> chosen;
  for (int i = 0; i < 100; ++i) {
    const bool stops = i < 20;
    *program.input(0).data<float>().data() = stops ? NAN : 1.0F;
    const int threads = program.choose_threads(2);
    CHECK_EQ(program.run(threads), !stops);
    ++chosen[threads];
  }
  CHECK_EQ(chosen.size(), std::size_t{2});
}

}  // namespace
}  // namespace chainrule
