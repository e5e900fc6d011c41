// The GIL between the engine and Python, also when the interpreter ends.
//
// A daemon thread may be in the engine when the main thread ends. CPython ends a thread that asks
// for the GIL then by unwinding its stack, which C++ does not survive. So the module asks running
// work to stop before the interpreter goes, and gives it some seconds; a thread that comes later
// waits in take() until the process is gone.
#pragma once

#include <pybind11/pybind11.h>

#include "chainrule/threads.h"

namespace chainrule::python {

namespace py = pybind11;

/// Holds the GIL while it lives, whether or not the thread had it before.
class WithGil {
 public:
  WithGil();
  ~WithGil();
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  PyGILState_STATE state_;
};

/// Gives up the GIL until take() or the end of the scope; raises SystemExit in threads that the end
/// of the program does not wait for. Long runs meanwhile look for signals.
class WithoutGil {
 public:
  WithoutGil();
  ~WithoutGil() { take(); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  void take();

 private:
  PyThreadState* state_;
  Interruptible signals_;
};

/// For calls into the module that call Python, while it lives: the end of the program waits for
/// them, and raises SystemExit in threads that begin one.
class CallsPython {
 public:
  CallsPython();
  ~CallsPython();
  CallsPython(const CallsPython&) = delete;
  CallsPython& operator=(const CallsPython&) = delete;
};

template <class Function>
auto without_gil(Function&& function) {
  const WithoutGil released;
  return function();
}

/// With the GIL: raises what signal handlers raise (KeyboardInterrupt), and SystemExit in a daemon
/// thread of a program that ends.
void check_signals();

/// Registers what the end of the interpreter and forks need.
void bind_gil();

}  // namespace chainrule::python
