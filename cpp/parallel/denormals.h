// Denormal numbers as zero: they carry no information in training, and cost a hundred cycles each.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace chainrule::inline v0_1 {

/// While it lives, denormal operands and results are zero on this thread. parallel_for holds one on
/// every thread it uses; a caller that runs many kernels holds one around all of them.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(_mm_getcsr()) {
    if ((saved_ & kFlags) != kFlags) _mm_setcsr(saved_ | kFlags);
  }
  ~FlushDenormals() {
    if ((saved_ & kFlags) != kFlags) _mm_setcsr(saved_);
  }

 private:
  static constexpr unsigned kFlags = 0x8040;  // flush to zero, denormals are zero
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    if ((saved_ & kFlag) == 0) asm volatile("msr fpcr, %0" ::"r"(saved_ | kFlag));
  }
  ~FlushDenormals() {
    if ((saved_ & kFlag) == 0) asm volatile("msr fpcr, %0" ::"r"(saved_));
  }

 private:
  static constexpr unsigned long kFlag = 1UL << 24;  // FZ
  unsigned long saved_ = 0;
#else
  FlushDenormals() {}
  ~FlushDenormals() {}
#endif

 public:
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

}  // namespace chainrule::inline v0_1
