// From borrowed arrays to batches: what fit, evaluate and predict check and copy.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "chainrule/losses.h"
#include "chainrule/model.h"
#include "chainrule/program.h"
#include "kernels/batch.h"
#include "parallel/exec.h"

namespace chainrule::inline v0_1 {

/// Whether it stands for no array: for outputs that need no target, or have no weights of their
/// own.
inline bool is_absent(const ArrayView& array) {
  return array.data == nullptr && array.shape.rank() == 0;
}

/// Samples [begin, end) of an array.
ArrayView rows(const ArrayView& array, std::int64_t begin, std::int64_t end);
/// Samples [begin, end) of every array.
Data rows(const Data& data, std::int64_t begin, std::int64_t end);

/// Index of the first of `arrays` that is the same memory, read in the same way; arrays.size() if
/// there is none.
std::size_t find_array(const ArrayView& array, std::span<const ArrayView> arrays);

/// Copies samples into `batch` (count, ...), converting to its dtype as C++ does. Samples have
/// equal sizes in both (checked when the fit began).
void gather_samples(const Exec& exec,
                    const ArrayView& source,
                    const kernels::Batch& which,
                    const Tensor& batch);

/// All arrays, x before y before sample_weight: what StepGraph::sources counts.
std::vector<ArrayView> arrays_of(const Data& data);
/// Fills the inputs of a step's program, input i with samples of arrays[sources[i]].
void gather_inputs(const Exec& exec,
                   const std::vector<ArrayView>& arrays,
                   const std::vector<std::size_t>& sources,
                   const kernels::Batch& which,
                   const Program& program);

/// The number of samples, at least 1 and equal in all arrays; throws InvalidArgument in the name of
/// `where`.
std::int64_t count_samples(const Data& data, std::string_view where);
std::int64_t count_samples(std::span<const ArrayView> x, std::string_view where);

/// Throws InvalidArgument unless each sample has the expected shape: unknown lengths match any, and
/// a last axis of length 1 may be missing or too many.
void check_array(const ArrayView& array,
                 const Shape& expected,
                 std::string_view name,
                 std::string_view what,
                 std::string_view where);
/// Throws InvalidArgument unless there are as many arrays as names.
void check_number(std::span<const ArrayView> arrays,
                  const std::vector<std::string>& names,
                  std::string_view what,
                  std::string_view where);
/// Does check_number(), then check_array() and check_integers() for each array.
void check_arrays(std::span<const ArrayView> arrays,
                  const std::vector<TensorType>& expected,
                  const std::vector<std::string>& names,
                  std::string_view what,
                  std::string_view where);

/// Throws InvalidArgument, naming the sample, for elements that `dtype` cannot hold if it is an
/// integer type: a conversion would wrap or cut them. Looks at elements only where this may happen.
void check_integers(const ArrayView& array,
                    DType dtype,
                    std::string_view what,
                    std::string_view where);

/// Throws InvalidArgument unless sample_weight is none, one array for all outputs or one for each,
/// with a weight for each sample, or for each position of the outputs' samples.
void check_sample_weights(const Data& data,
                          const std::vector<TensorType>& outputs,
                          const std::vector<std::string>& names,
                          std::string_view where);

/// The weights of samples whose classes have weights: sample_weight times class_weight[label]. The
/// result has the floating `type`, and the shape of sample_weight, or (samples,) if there is none.
/// y are integer labels, (n,) or (n, 1), or one-hot rows. A label without entry weighs 1. Throws
/// InvalidArgument for several outputs.
Tensor class_weights(const Data& data,
                     const std::map<std::int64_t, double>& class_weight,
                     DType type,
                     std::string_view where);

/// For the error message after a step that was not finite: "x of sample 17 holds nan", or
/// "x['ids'] of sample 17 holds nan" if the model has several inputs; so for y and its outputs.
/// This is the first element of floating arrays, among the given samples, that is NaN or infinite,
/// or beyond the type that it is read as; empty if there is none. `read_as` has a type for each
/// array of arrays_of(data). `offset` is the number of the data's first sample in the caller's
/// arrays.
std::string nonfinite_sample(const Model& model,
                             const Data& data,
                             const std::vector<DType>& read_as,
                             const std::int64_t* order,
                             std::int64_t first,
                             std::int64_t count,
                             std::int64_t offset);

}  // namespace chainrule::inline v0_1
