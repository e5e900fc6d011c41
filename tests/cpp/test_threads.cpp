// Numbers of threads, exceptions of what they do, interrupts of long runs, the end of them; locks
// and forks.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "chainrule/fork_lock.h"
#include "chainrule/model.h"
#include "chainrule/program.h"
#include "chainrule/threads.h"
#include "environment.h"
#include "parallel/parallel_for.h"
#include "test.h"

namespace chainrule {
namespace {

using Int = std::int64_t;
using test::Environment;

struct Stop : std::runtime_error {
  using std::runtime_error::runtime_error;
};

Int count_indices(int threads, Int n) {
  std::atomic<Int> count{0};
  parallel_for(Exec{threads}, n, 1, [&](Int begin, Int end) { count += end - begin; });
  return count;
}

/// Threads of this process.
std::size_t tasks() {
  const std::filesystem::directory_iterator folder("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(folder), end(folder)));
}

/// The same once it is no more than `least`, or after 20 s: the kernel lists threads for a moment
/// after they are joined.
[[maybe_unused]] std::size_t tasks_down_to(std::size_t least) {
  for (int i = 0; i < 20000 && tasks() > least; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return tasks();
}

TEST("what a body throws is thrown by parallel_for, on any thread, and the next job is whole") {
  for (const int threads : {1, 2, 3}) {
    for (const Int bad : {0, 500, 999}) {
      std::string caught;
      try {
        parallel_for(Exec{threads}, 1000, 1, [&](Int begin, Int end) {
          if (begin <= bad && bad < end) throw Stop("at " + std::to_string(bad));
        });
      } catch (const Stop& stop) {
        caught = stop.what();
      }
      CHECK_EQ(caught, "at " + std::to_string(bad));
      CHECK_EQ(count_indices(threads, 1000), 1000);
    }
  }
}

TEST("a nested call that throws ends the outer one") {
  std::atomic<int> caught{0};
  for (int i = 0; i < 20; ++i) {
    try {
      parallel_for(Exec{2}, 8, 1, [&](Int, Int) {
        parallel_for(Exec{2}, 8, 1, [](Int begin, Int) {
          if (begin == 0) throw Stop("inner");
        });
      });
    } catch (const Stop&) {
      ++caught;
    }
  }
  CHECK_EQ(caught.load(), 20);
}

TEST("set_num_threads comes before the environment, and is checked") {
  const Environment three("CHAINRULE_NUM_THREADS", "3");
  set_num_threads(2);
  CHECK_EQ(get_num_threads(), 2);
  CHECK_EQ(fixed_threads(), 2);
  set_num_threads(0);
  CHECK_EQ(get_num_threads(), 3);
  for (const int bad : {-1, kMaxThreads + 1}) {
    CHECK_THROWS(set_num_threads(bad), "[set_num_threads] the number of threads must be from 1");
    CHECK_EQ(get_num_threads(), 3);
  }
}

TEST("OMP_NUM_THREADS counts where CHAINRULE_NUM_THREADS is not set; its first number") {
  {
    const Environment three("CHAINRULE_NUM_THREADS", "3");
    const Environment four("OMP_NUM_THREADS", "4");
    CHECK_EQ(fixed_threads(), 3);
  }
  const Environment none("CHAINRULE_NUM_THREADS", nullptr);
  for (const auto& [text, expected] :
       std::vector<std::pair<const char*, int>>{{"4", 4},
                                                {"4,2", 4},
                                                {" 3 , 2 ", 3},
                                                {"1", 1},
                                                {"1000", kMaxThreads},
                                                {"99999999999999999999", kMaxThreads},
                                                // what OpenMP does not take, either
                                                {"", 0},
                                                {"0", 0},
                                                {"-2", 0},
                                                {"-99999999999999999999", 0},
                                                {"two", 0},
                                                {"2x", 0},
                                                {"4,", 0},
                                                {",4", 0},
                                                {"4,0", 0},
                                                {"4;2", 0}}) {
    const Environment omp("OMP_NUM_THREADS", text);
    CHECK_EQ(fixed_threads(), expected);
  }
}

TEST("inside parallel work a run uses one thread") {
  const Environment four("CHAINRULE_NUM_THREADS", "4");
  CHECK(!in_parallel_region());
  std::atomic<int> others{0};
  parallel_for(Exec{2}, 8, 1, [&](Int, Int) {
    if (get_num_threads() != 1 || !in_parallel_region()) ++others;
  });
  CHECK_EQ(others.load(), 0);
  CHECK_EQ(get_num_threads(), 4);
}

#if !defined(CHAINRULE_THREADS_OPENMP)
TEST("shutdown_threads ends the workers; the next job starts them anew") {
  shutdown_threads();
  const std::size_t alone = tasks();
  for (int i = 0; i < 3; ++i) {
    CHECK_EQ(count_indices(3, 1000), 1000);
    CHECK_EQ(tasks(), alone + 2);
    shutdown_threads();
    CHECK_EQ(tasks_down_to(alone), alone);
    shutdown_threads();
  }
  std::atomic<int> refused{0};
  parallel_for(Exec{2}, 2, 1, [&](Int, Int) {
    try {
      shutdown_threads();
    } catch (const RuntimeError&) {
      ++refused;
    }
  });
  CHECK_EQ(refused.load(), 2);
}
#endif

TEST("shutdown_threads waits for the jobs of other threads") {
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::thread other([&] {
    for (int i = 0; i < 300; ++i) {
      if (count_indices(3, 1000) != 1000) ++wrong;
    }
    done = true;
  });
  while (!done) shutdown_threads();
  other.join();
  CHECK_EQ(wrong.load(), 0);
}

/// y = x w w w... with values of many bytes, and a counter that a run adds one to.
struct Slow {
  explicit Slow(Int rows, int products) {
    const Value x = graph.input({Shape{rows, 256}, DType::float32}, "x");
    const Value w = graph.constant(Tensor(Shape{256, 256}, DType::float32));
    Value y = x;
    for (int i = 0; i < products; ++i) y = matmul(y, w);
    counter->name = "counter";
    counter->value = Tensor::of<float>({1}, {0});
    graph.assign(counter, graph.read(counter) + 1.0);
    program = std::make_unique<Program>(graph, std::vector<Value>{x}, std::vector<Value>{y});
  }
  [[nodiscard]] float count() const { return counter->value.data<float>()[0]; }

  Graph graph;
  VariablePtr counter = std::make_shared<Variable>();
  std::unique_ptr<Program> program;
};

TEST("a long run asks whether to go on, soon and between its jobs; variables stay as they were") {
  for (const int threads : {1, 2}) {
    Slow slow(1 << 14, 200);
    int asked = 0;
    {
      const Interruptible here(
          [&] {
            if (++asked == 3) fail("test", "enough");
          },
          0.001);
      CHECK_THROWS(slow.program->run(threads), "enough");
    }
    CHECK_EQ(asked, 3);
    CHECK_EQ(slow.count(), 0.0F);
    CHECK(count_indices(2, 1000) == 1000);
  }
}

TEST("short runs do not ask, and nobody is asked without an Interruptible") {
  Slow small(4, 1), slow(1 << 14, 1);
  int asked = 0, inner = 0;
  {
    const Interruptible here([&] { ++asked; }, 0);
    small.program->run(2);
    CHECK_EQ(asked, 0);
    {
      const Interruptible innermost([&] { ++inner; }, 0);
      slow.program->run(2);
    }
    CHECK_EQ(asked, 0);
    CHECK(inner > 2);
    slow.program->run(1);
    CHECK(asked > 2);  // within one instruction
  }
  asked = inner = 0;
  slow.program->run(2);
  CHECK_EQ(asked + inner, 0);
  CHECK_EQ(slow.count(), 3.0F);
}

TEST("who is asked may run other programs") {
  Slow slow(1 << 14, 4), other(1 << 14, 1);
  int asked = 0;
  const Interruptible here(
      [&] {
        ++asked;
        other.program->run(2);
      },
      0.001);
  slow.program->run(2);
  CHECK(asked > 0);
  CHECK_EQ(other.count(), static_cast<float>(asked));
  CHECK_EQ(slow.count(), 1.0F);
}

/// What a child made by fork() returns; -1 if it had to be killed after 20 s.
template <class Function>
int in_child(const Function& function) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      _exit(function() ? 0 : 1);
    } catch (...) {
      _exit(2);
    }
  }
  int status = 0;
  for (int i = 0; i < 2000; ++i) {
    if (waitpid(child, &status, WNOHANG) == child)
      return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return -1;
}

// The thread sanitizer ends a child that starts threads while others live in its parent.
#if defined(__SANITIZE_THREAD__)
constexpr int kThreadsOfChild = 1;
#else
constexpr int kThreadsOfChild = 2;
#endif

TEST("a lock is recursive, excludes other threads, and is free in a child if its thread is gone") {
  ForkLock lock;
  lock.lock();
  lock.lock();
  CHECK(lock.try_lock());
  bool taken = true;
  std::thread([&] { taken = lock.try_lock(); }).join();
  CHECK(!taken);
  CHECK_EQ(in_child([&] {  // the thread that forks has it still
             bool free = kThreadsOfChild > 1;
             if (kThreadsOfChild > 1) std::thread([&] { free = lock.try_lock(); }).join();
             lock.lock();
             return !free && !lock.was_left();
           }),
           0);
  for (int i = 0; i < 3; ++i) lock.unlock();
  std::atomic<int> step{0};
  std::thread holder([&] {
    lock.lock();
    step = 1;
    while (step < 2) std::this_thread::yield();
    lock.unlock();
  });
  while (step < 1) std::this_thread::yield();
  CHECK(!lock.try_lock());
  CHECK_EQ(in_child([&] {
             lock.lock();
             const bool first = lock.was_left();
             lock.unlock();
             return first && lock.try_lock() && !lock.was_left();
           }),
           0);
  step = 2;
  holder.join();
  CHECK(lock.try_lock());
  CHECK(!lock.was_left());
  lock.unlock();
  Int count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        const std::lock_guard guard(lock);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(count, 20000);
}

struct Trained {
  Trained() {
    set_random_seed(1);
    model = std::make_unique<Sequential>(
        std::vector<LayerPtr>{layers::Input({64}), layers::Dense(64, {.activation = "tanh"})});
    model->compile({.optimizer = optimizers::Adam(), .loss = {"mse"}});
    x = Tensor(Shape{512, 64}, DType::float32);
    const auto values = x.data<float>();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 17) / 17.0F;
  }
  void fit(int epochs, RunObserver* observer = nullptr, int threads = 2) {
    model->fit({.x = {view_of(x)}, .y = {view_of(x)}},
               {.batch_size = 128, .epochs = epochs, .observer = observer, .threads = threads});
  }
  [[nodiscard]] std::vector<float> first() const {
    const Tensor kernel = model->get_weights()[0];
    const auto values = kernel.data<float>();
    return {values.begin(), values.end()};
  }
  std::unique_ptr<Sequential> model;
  Tensor x;
};

TEST("a child forked by an observer, or beside a fit, uses the model") {
  Trained trained;
  const auto use = [&] {
    set_num_threads(kThreadsOfChild);
    trained.model->predict({view_of(trained.x)});
    trained.fit(1, nullptr, kThreadsOfChild);
    trained.model->evaluate({.x = {view_of(trained.x)}, .y = {view_of(trained.x)}});
    return trained.model->predict({view_of(trained.x)})[0].shape()[0] == 512;
  };
  struct Forks : RunObserver {
    std::function<void()> call;
    void on_epoch_end(std::int64_t, const Logs&) override { call(); }
  } observer;
  int status = -3;
  observer.call = [&] { status = in_child(use); };
  trained.fit(1, &observer);
  CHECK_EQ(status, 0);
  std::atomic<bool> stop{false};
  std::thread fits([&] {
    while (!stop) trained.fit(1);
  });
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(i));
    CHECK_EQ(in_child(use), 0);
  }
  CHECK_EQ(in_child([&] {  // nothing runs any more
             trained.model->compile({.optimizer = optimizers::SGD(), .loss = {"mse"}});
             return use();
           }),
           0);
  stop = true;
  fits.join();
}

TEST("threads of a call are obeyed and checked; weights are the same with any number") {
  Trained one, two;
  one.fit(3, nullptr, 1);
  two.fit(3, nullptr, 3);
  CHECK(one.first() == two.first());
  for (const int bad : {-1, kMaxThreads + 1}) {
    CHECK_THROWS(one.fit(1, nullptr, bad), "[fit] threads must be from 1 to 256");
    CHECK_THROWS(one.model->predict({view_of(one.x)}, 32, nullptr, bad), "[predict] threads must");
    CHECK_THROWS(
        one.model->evaluate({.x = {view_of(one.x)}, .y = {view_of(one.x)}}, 32, nullptr, bad),
        "[evaluate] threads must");
  }
}

}  // namespace
}  // namespace chainrule
