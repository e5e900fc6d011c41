// Random models: one step of each is compared with the plain interpreter in double, on every table
// of kernels and on a device made of that interpreter (plain_device.h), and each with the first.
//
// A model is a function of its seed alone. Some are in double precision: then the interpreter is
// held to as many digits as those of a program. Everything it is made of comes from tables in
// random_makers.cpp, which have a line for every class of layers, losses, metrics and optimizers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chainrule/model.h"
#include "chainrule/random.h"
#include "isa/table.h"

namespace chainrule::test {

/// Draws of one seed.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : random_(seed, 77) {}
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(n)));
  }
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  double uniform(double low, double high) { return low + (high - low) * random_.uniform_double(); }
  double normal() { return random_.normal(); }
  bool chance(double p) { return random_.uniform_double() < p; }
  template <class T>
  T pick(const std::vector<T>& choices) {
    return choices[static_cast<std::size_t>(below(static_cast<std::int64_t>(choices.size())))];
  }

 private:
  Random random_;
};

/// A compiled model and its data: a full batch, and after it a smaller one in half of the cases.
struct RandomModel {
  std::shared_ptr<Model> model;
  std::int64_t batch = 0;
  std::vector<Tensor> x, y;
  bool target_is_input = false;  ///< the one target is the one input itself
  DType dtype = DType::float32;  ///< of inputs, weights and predictions
  /// Float32 (samples,): none, one for all outputs, or one for each, some of them undefined.
  std::vector<Tensor> sample_weight;
  std::map<std::int64_t, double> class_weight;

  [[nodiscard]] std::int64_t samples() const { return x[0].shape()[0]; }
  /// Samples [first, first + count), borrowed.
  [[nodiscard]] Data rows(std::int64_t first, std::int64_t count) const;
  /// Draws new inputs for one sample.
  void redraw(Draw& draw, std::int64_t sample);
  /// What a person needs to see it: layers, losses, metrics, optimizer, batches.
  [[nodiscard]] std::string describe() const;
};
RandomModel make_random_model(Draw& draw);

/// Classes that no line of the makers' tables makes, such as "layers/Dense".
std::vector<std::string> classes_without_maker();

/// What came of one seed.
struct Outcome {
  enum class Kind : std::uint8_t {
    same,
    different,
    rejected,  ///< the model proves nothing: numbers beyond float32, or rounding decides
  };
  Kind kind = Kind::same;
  std::string report;        ///< what differs, of which model; or why it was rejected
  double worst = 0;          ///< largest error, in units of the spread (see kSpreads)
  std::int64_t steps = 0;    ///< training steps compared
  std::int64_t redrawn = 0;  ///< samples drawn again, as a comparison was too close
  /// An element was beyond the bound by the spread of the first roundings: more of them judged it.
  bool second_look = false;
  bool slope = false;  ///< whether the gradient was compared with finite differences, too
};
/// Never throws: an exception of the library is a difference.
Outcome try_random_model(std::uint64_t seed, const std::vector<const isa::KernelTable*>& tables);

}  // namespace chainrule::test
