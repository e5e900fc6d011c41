// The element-wise chains of chainrule/blas.h as programs of kernels/elementwise.h.
#pragma once

#include <memory>

#include "chainrule/blas/engine.h"
#include "expressions/threads.h"
#include "isa/functions.h"
#include "kernels/elementwise_run.h"

namespace chainrule::inline v0_1::blas::detail {

/// A chain as a program, not yet prepared. It borrows a program that the thread keeps, so that an
/// assignment allocates nothing once the thread has seen a chain as long.
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
  std::unique_ptr<kernels::ElementwiseProgram> own_;  ///< if the thread's is in use
  int result_ = 0;
};

/// As many threads as `work` additions may use.
inline Exec exec_for(Index work) {
  return {.threads = work < 2 * isa::kParallelAdditions ? 1 : threads()};
}

}  // namespace chainrule::inline v0_1::blas::detail
