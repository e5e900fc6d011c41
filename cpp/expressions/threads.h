// How many threads an expression may use.
#pragma once

namespace chainrule::inline v0_1::blas::detail {

/// The number set by a blas::Threads on this thread, else default_threads().
int threads();

}  // namespace chainrule::inline v0_1::blas::detail
