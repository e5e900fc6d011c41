// Taking and giving up the GIL, also while the interpreter shuts down.
//
// A daemon thread may be in the engine when the main thread ends. If it then asks for the GIL,
// CPython unwinds its stack, which C++ code does not survive. So at exit the module asks running
// work to stop and gives it some seconds. A thread that asks for the GIL after that is blocked
// until the process ends.
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

/// Gives up the GIL until take() or the end of the scope. Long runs check for signals meanwhile.
/// Raises SystemExit in other threads once the main thread is ending the program.
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

/// For calls into the module that call Python: while it lives, the end of the program waits for
/// the call. Raises SystemExit in other threads once the main thread is ending the program.
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

/// Raises what signal handlers raise (KeyboardInterrupt), and SystemExit in a daemon thread of a
/// program that ends. The caller holds the GIL.
void check_signals();

/// Registers the handlers for the end of the interpreter and for forks.
void bind_gil();

}  // namespace chainrule::python
