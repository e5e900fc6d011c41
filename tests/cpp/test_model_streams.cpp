// Models in streams and in memory: what save() writes to a file, read back by the same checks.

#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "chainrule/chainrule.h"
#include "numeric.h"
#include "problem.h"
#include "temporary_directory.h"
#include "test.h"

using namespace chainrule;
using test::Problem;
using test::same_weights;

namespace {

std::unique_ptr<Sequential> trained() {
  set_random_seed(6);
  auto model = std::make_unique<Sequential>(
      std::vector<LayerPtr>{layers::Input({7}), layers::Dense(3), layers::Dense(1)});
  model->compile({.optimizer = "adam", .loss = {"mse"}});
  model->fit(Problem().regression());
  return model;
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Takes so many bytes, then no more.
class Limited final : public std::streambuf {
 public:
  explicit Limited(std::streamsize most) : left_(most) {}

 protected:
  std::streamsize xsputn(const char*, std::streamsize n) override {
    const std::streamsize taken = std::min(n, left_);
    left_ -= taken;
    return taken;
  }
  int_type overflow(int_type c) override { return left_-- > 0 ? c : traits_type::eof(); }

 private:
  std::streamsize left_;
};

template <class Elements>
constexpr bool can_be_viewed =
    requires(Elements&& elements) { view(std::forward<Elements>(elements), Shape{0}); };

/// Fails after the first bytes.
class Failing final : public std::streambuf {
 protected:
  int_type underflow() override { throw std::runtime_error("the connection is gone"); }
};

}  // namespace

TEST("streams: files, streams and memory hold the same bytes") {
  const test::TemporaryDirectory folder;
  const auto model = trained();
  model->save(folder.file("model"));
  std::ifstream file(folder.file("model"), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::ostringstream stream;
  model->save(stream);
  CHECK(stream.str() == bytes);
  CHECK(text_of(model->to_memory()) == bytes);
  CHECK(model->to_bytes() == bytes);
  model->save_weights(folder.file("weights"));
  std::ostringstream weights;
  model->save_weights(weights);
  CHECK(text_of(model->weights_to_memory()) == weights.str());
  std::ifstream weight_file(folder.file("weights"), std::ios::binary);
  CHECK(std::string(std::istreambuf_iterator<char>(weight_file), {}) == weights.str());
}

TEST("streams: a model comes back and trains on, bit for bit") {
  const Problem problem;
  const auto model = trained();
  std::stringstream stream;
  stream << "before";  // the model begins where the stream is
  model->save(stream);
  stream.ignore(6);
  const auto from_stream = load_model(stream);
  const auto from_memory = load_model(std::span<const std::byte>(model->to_memory()));
  model->fit(problem.regression());
  for (const auto& loaded : {from_stream, from_memory}) {
    loaded->fit(problem.regression());
    CHECK(same_weights(*loaded, *model));
  }
  std::stringstream again;
  model->save(again);
  CHECK(!load_model(again, {}, false)->compiled());

  const auto copy = clone_model(*model);
  CHECK(!copy->compiled() && !same_weights(*copy, *model));
  copy->load_weights(model->weights_to_memory());
  CHECK(same_weights(*copy, *model));
  const auto other = clone_model(*model);
  std::stringstream weights;
  model->save_weights(weights);
  other->load_weights(weights);
  CHECK(same_weights(*other, *model));
}

TEST("streams: what is damaged is refused, as in files, and changes nothing") {
  const auto model = trained();
  const std::vector<std::byte> bytes = model->to_memory();
  const auto copy = clone_model(*model);
  const std::vector<Tensor> before = copy->get_weights();
  for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 3) {
    const std::span part = std::span(bytes).first(size);
    std::istringstream stream(text_of(part));
    CHECK_THROWS(load_model(part), "[load]");
    CHECK_THROWS(load_model(stream), "[load]");
    CHECK_THROWS(copy->load_weights(part), "[load]");
  }
  std::stringstream longer(text_of(bytes) + "more");
  CHECK_THROWS(load_model(longer), "the file must end with the data of its last tensor");
  std::istringstream weights(text_of(model->weights_to_memory()));
  CHECK_THROWS(load_model(weights),
               "[load_model] the file holds weights alone: use load_weights of a model. Received: "
               "from=a stream");
  Sequential narrow({layers::Input({7}), layers::Dense(2), layers::Dense(1)});
  CHECK_THROWS(narrow.load_weights(bytes), "must be float32 (7, 2)");
  CHECK(test::same_bits(copy->get_weights()[0], before[0]));
}

TEST("streams: those that fail are errors of the library, also where they throw") {
  const auto model = trained();
  for (const bool throws : {false, true}) {
    Limited some(100);
    std::ostream full(&some);
    if (throws) full.exceptions(std::ios::badbit | std::ios::failbit);
    CHECK_THROWS(model->save(full), "[save] writing to the stream failed");
    std::ofstream closed;
    if (throws) closed.exceptions(std::ios::badbit);
    CHECK_THROWS(model->save_weights(closed), "[save] writing to the stream failed");
    Failing broken;
    std::istream in(&broken);
    if (throws) in.exceptions(std::ios::badbit);
    CHECK_THROWS(load_model(in), "[load] the stream must be read to its end: it has failed");
    std::ifstream missing("/no/such/file");
    CHECK_THROWS(model->load_weights(missing), "[load] the stream must be read to its end");
    std::stringstream whole;
    if (throws) whole.exceptions(std::ios::eofbit | std::ios::failbit);
    model->save(whole);
    CHECK(same_weights(*load_model(whole), *model));
  }
}

TEST("view: type and length are checked") {
  const std::vector<double> numbers = {1, 2, 3, 4, 5, 6};
  const ArrayView all = view(numbers, {3, 2});
  CHECK(all.dtype == DType::float64 && all.data == numbers.data() && all.shape == (Shape{3, 2}));
  CHECK(view(std::span(numbers).first(4), {2, 2}).shape == (Shape{2, 2}));
  const std::int32_t labels[3] = {1, 2, 3};
  CHECK(view(labels, {3}).dtype == DType::int32);
  CHECK_THROWS(view(numbers, {3, 3}),
               "[view] the number of elements must be that of the shape. Received: elements=6, "
               "shape=(3, 3)");
  CHECK_THROWS(view(std::span<const float>(), {1}), "[view]");
  CHECK_EQ(view(std::span<const float>(), {0, 4}).shape.size(), 0);
  CHECK(can_be_viewed<const std::vector<float>&>);
  CHECK(!can_be_viewed<std::vector<float>>);  // a temporary
  CHECK(!can_be_viewed<const std::vector<bool>&>);
}
