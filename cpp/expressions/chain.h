// The element-wise chains of chainrule/blas.h as programs of kernels/elementwise.h.
#pragma once

#include <memory>

#include "chainrule/blas/engine.h"
#include "expressions/threads.h"
#include "isa/functions.h"
#include "kernels/elementwise_run.h"

namespace chainrule::inline v0_1::blas::detail {

/// A chain as a program, not yet prepared. Chains come and go with each assignment: the thread
/// keeps a program for them, and making one allocates nothing once there was one as long.
class ChainProgram {
 public:
  template <class T>
  ChainProgram(const Chain<T>& chain, bool by_columns);
  ~ChainProgram();
  ChainProgram(const ChainProgram&) = delete;
  ChainProgram& operator=(const ChainProgram&) = delete;

  kernels::ElementwiseProgram* operator->() { return program_; }
  [[nodiscard]] const kernels::ElementwiseProgram& operator*() const { return *program_; }
  /// The register of the chain's elements.
  [[nodiscard]] int result() const { return result_; }

 private:
  kernels::ElementwiseProgram* program_;
  std::unique_ptr<kernels::ElementwiseProgram> own_;  ///< where the thread's is at work
  int result_ = 0;
};

/// With as many threads as `work` additions may use.
inline Exec exec_for(Index work) {
  return {.threads = work < 2 * isa::kParallelAdditions ? 1 : threads()};
}

}  // namespace chainrule::inline v0_1::blas::detail
