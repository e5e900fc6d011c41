#include "bindings/gil.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

namespace chainrule::python {
namespace {

constexpr auto kStopLimit = std::chrono::seconds(3);   // until steps and callbacks have ended
constexpr auto kEnterLimit = std::chrono::seconds(1);  // until waiting threads have had the GIL

enum class Stage : std::uint8_t { running, stopping, over };
std::atomic<Stage> stage{Stage::running};
std::atomic<pthread_t> main_thread{};  // the one that ends the interpreter; set before `stage`

std::atomic<int> scopes{0};        // WithoutGil and CallsPython objects of all threads
std::atomic<int> entering{0};      // threads that wait for the GIL
thread_local int scopes_here = 0;  // WithoutGil and CallsPython objects of this thread

/// Whether the interpreter ends and this is not the thread that ends it.
bool is_left_behind() {
  return stage.load() != Stage::running && pthread_equal(main_thread.load(), pthread_self()) == 0;
}

/// Blocks until the process ends.
[[noreturn]] void wait_for_the_end() {
  for (;;) ::pause();
}

/// Calls take(), which acquires the GIL. Blocks for ever once the interpreter is gone.
template <class Take>
auto enter(const Take& take) {
  entering.fetch_add(1);
  if (stage.load() == Stage::over && is_left_behind()) {
    entering.fetch_sub(1);
    wait_for_the_end();
  }
  const auto state = take();
  entering.fetch_sub(1);
  return state;
}

void raise_if_left_behind() {
  if (!is_left_behind()) return;
  PyErr_SetString(PyExc_SystemExit, "the interpreter ends");
  throw py::error_already_set();
}

/// From here to end_call(), the end of the program waits for this thread. Throws if the program
/// ends already.
void begin_call() {
  raise_if_left_behind();
  scopes.fetch_add(1);
  ++scopes_here;
}

void end_call() {
  scopes.fetch_sub(1);
  --scopes_here;
}

bool wait_until_zero(const std::atomic<int>& count, std::chrono::steady_clock::duration limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (count.load() > 0) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// Called by Python's atexit. enter() stops threads that come later.
void stop_threads() {
  main_thread.store(pthread_self());
  stage.store(Stage::stopping);
  PyThreadState* const state = PyEval_SaveThread();
  wait_until_zero(scopes, kStopLimit);
  stage.store(Stage::over);
  wait_until_zero(entering, kEnterLimit);
  PyEval_RestoreThread(state);
}

}  // namespace

WithGil::WithGil() : state_(enter(PyGILState_Ensure)) {}

WithGil::~WithGil() {
  // CPython unwinds a thread that runs Python code when the interpreter ends.
  if (is_left_behind() && PyGILState_Check() == 0) wait_for_the_end();
  PyGILState_Release(state_);
}

WithoutGil::WithoutGil()
    : state_((begin_call(), PyEval_SaveThread())), signals_([] {
        const WithGil gil;
        check_signals();
      }) {}

void WithoutGil::take() {
  if (state_ == nullptr) return;
  enter([this] {
    PyEval_RestoreThread(std::exchange(state_, nullptr));
    return 0;
  });
  end_call();
}

CallsPython::CallsPython() { begin_call(); }

CallsPython::~CallsPython() {
  // CPython unwinds a thread that runs Python code when the interpreter ends.
  if (is_left_behind() && PyGILState_Check() == 0) wait_for_the_end();
  end_call();
}

void check_signals() {
  raise_if_left_behind();
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

void bind_gil() {
  py::module_::import("atexit").attr("register")(py::cpp_function(&stop_threads));
  // A forked child has one thread, the one that forked, and that thread holds the GIL.
  pthread_atfork(nullptr, nullptr, [] {
    scopes.store(scopes_here);
    entering.store(0);
  });
}

}  // namespace chainrule::python
