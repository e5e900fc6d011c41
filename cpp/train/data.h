// From borrowed arrays to batches: what fit, evaluate and predict check and copy.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "chainrule/losses.h"
#include "chainrule/model.h"
#include "kernels/batch.h"
#include "parallel/exec.h"

namespace chainrule {

/// Samples [begin, end) of an array.
ArrayView rows(const ArrayView& array, std::int64_t begin, std::int64_t end);
/// Samples [begin, end) of every array.
Data rows(const Data& data, std::int64_t begin, std::int64_t end);

/// Index of the first of `arrays` that is the same memory, read in the same way; their number if
/// none is.
std::size_t find_array(const ArrayView& array, std::span<const ArrayView> arrays);

/// Copies samples into `batch` (count, ...), converting to its dtype as C++ does. Samples have
/// equal sizes in both (checked when the fit began). Returns whether the batch is finite.
bool gather_samples(const Exec& exec,
                    const ArrayView& source,
                    const kernels::Batch& which,
                    const Tensor& batch);

/// The number of samples, at least 1 and equal in all arrays; throws InvalidArgument in the name of
/// `where`.
std::int64_t count_samples(const Data& data, std::string_view where);
std::int64_t count_samples(std::span<const ArrayView> x, std::string_view where);

/// Throws InvalidArgument unless there is one array for each expected type, and each sample has the
/// expected shape: unknown lengths match any, and a last axis of length 1 may be missing or too
/// many.
void check_arrays(std::span<const ArrayView> arrays,
                  const std::vector<TensorType>& expected,
                  const std::vector<std::string>& names,
                  std::string_view what,
                  std::string_view where);

/// Weights of the samples: sample_weight times class_weight[label]. `y` are integer labels, (n,) or
/// (n, 1), or one-hot rows. A label without entry weighs 1. Empty when both are absent.
std::vector<float> sample_weights(const Data& data,
                                  const std::map<std::int64_t, double>& class_weight,
                                  std::string_view where);

/// For the error message after a step that was not finite: the first NaN, infinity or number beyond
/// float32 in a floating array among the given samples, as "x[0] of sample 17 holds nan"; empty if
/// there is none.
std::string find_nonfinite(const Data& data,
                           const std::int64_t* order,
                           std::int64_t first,
                           std::int64_t count);

}  // namespace chainrule
