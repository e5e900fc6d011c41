// Errors, shapes, tensors.
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "chainrule/error.h"
#include "chainrule/shape.h"
#include "chainrule/tensor.h"
#include "test.h"

namespace chainrule {

TEST("error: messages say where, the rule and what was received") {
  CHECK_EQ(error_message("dense", "units must be positive"), "[dense] units must be positive.");
  CHECK_EQ(error_message("dense", "units must be positive", {{"units", "0"}, {"layer", "'d'"}}),
           "[dense] units must be positive. Received: units=0, layer='d'");
  CHECK_EQ(error_message("fit", "unknown option. Did you mean 'x'?", {{"option", "y"}}),
           "[fit] unknown option. Did you mean 'x'? Received: option=y");
}

TEST("error: exceptions are caught as Error and as the standard ones") {
  CHECK_THROWS(invalid("a", "b"), "[a] b.");
  CHECK_THROWS(fail("a", "b"), "[a] b.");
  bool caught = false;
  try {
    invalid("a", "b");
  } catch (const std::invalid_argument& e) {
    caught = std::string(e.what()) == "[a] b.";
  }
  CHECK(caught);
  caught = false;
  try {
    fail("a", "b");
  } catch (const std::runtime_error& e) {
    caught = std::string(e.what()) == "[a] b.";
  }
  CHECK(caught);
}

TEST("error: long messages lose their middle, and no half of a character is left") {
  for (std::size_t size = 1990; size < 2010; ++size) {
    std::string name;
    while (name.size() < size) name += "\u20ac";  // three bytes
    const std::string message = error_message("a", "b", {{"name", name}});
    CHECK(message.size() < 2010);
    CHECK(message.starts_with("[a] b. Received: name=\u20ac"));
    CHECK_EQ((message.size() - message.find("name=") - 5) % 3,
             message.find(" ... ") == std::string::npos ? 0U : 2U);
  }
  CHECK(error_message("a", "b", {{"name", std::string(1'000'000, 'x')}}).size() < 2010);
}

TEST("error: near names are suggested, nearest first") {
  const std::vector<std::string> names = {"adam", "adamw", "sgd", "rmsprop", "Ftrl"};
  CHECK_EQ(did_you_mean("adm", names), ". Did you mean 'adam'?");
  CHECK_EQ(did_you_mean("sdg", names), ". Did you mean 'sgd'?");
  CHECK_EQ(did_you_mean("FTRL", names), ". Did you mean 'Ftrl'?");
  CHECK_EQ(did_you_mean("adamw", names), ". Did you mean 'adamw' or 'adam'?");
  CHECK_EQ(did_you_mean("rmsporp", names), ". Did you mean 'rmsprop'?");
  CHECK_EQ(did_you_mean("lion", names), "");
  CHECK_EQ(did_you_mean("", names), "");
  CHECK_EQ(did_you_mean("ab", {"aa", "ac", "ad", "ae"}), ". Did you mean 'aa', 'ac' or 'ad'?");
}

TEST("dtype: names and sizes") {
  const std::vector<std::string> names = {"float32", "float64", "int32", "int64", "uint8", "bool"};
  const std::vector<int> sizes = {4, 8, 4, 8, 1, 1};
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    const auto k = static_cast<std::size_t>(i);
    CHECK_EQ(name_of(dtype), names[k]);
    CHECK_EQ(dtype_from_name(names[k]), dtype);
    CHECK_EQ(size_of(dtype), sizes[k]);
  }
  CHECK_THROWS(dtype_from_name("float16"), "'int64', 'uint8', 'bool'. Received: dtype='float16'");
}

TEST("shape: lengths, size and text") {
  const Shape shape{2, 3, 5};
  CHECK_EQ(shape.rank(), 3);
  CHECK_EQ(shape.size(), 30);
  CHECK_EQ(shape[0], 2);
  CHECK_EQ(shape[-1], 5);
  CHECK_EQ(shape.back(), 5);
  CHECK_EQ(Shape().size(), 1);
  CHECK_EQ(Shape({0, 4}).size(), 0);
  CHECK_EQ(Shape().str(), "()");
  CHECK_EQ(Shape({5}).str(), "(5,)");
  CHECK_EQ(shape.str(), "(2, 3, 5)");
  CHECK_EQ(Shape({Shape::kUnknown[0], 7, Shape::kUnknown[1]}).str(), "(None, 7, None)");
  CHECK_EQ((TensorType{{32, 10}, DType::float32}.str()), "float32 (32, 10)");
  CHECK_EQ((TensorType{{32, 10}, DType::int64}.bytes()), 2560);
}

TEST("shape: equality is by rank and lengths") {
  CHECK(Shape({2, 3}) == Shape({2, 3}));
  CHECK(Shape({2, 3}) != Shape({3, 2}));
  CHECK(Shape({2}) != Shape({2, 1}));
  CHECK(Shape() != Shape({1}));
}

TEST("shape: impossible ones throw") {
  constexpr std::int64_t big = std::int64_t{1} << 60;
  CHECK_THROWS(Shape({2, -1}), "[shape] lengths must not be negative. Received: shape=(2, -1)");
  CHECK_THROWS(Shape({1, 1, 1, 1, 1, 1, 1, 1, 1}), "must have at most 8 axes");
  CHECK_EQ(Shape({1, 1, 1, 1, 1, 1, 1, 1}).rank(), 8);
  CHECK_EQ(Shape({Shape::kMaxSize}).size(), Shape::kMaxSize);
  CHECK_THROWS(Shape({Shape::kMaxSize + 1}), "must fit memory");
  CHECK_THROWS(Shape({big, big}), "must fit memory");
  CHECK_THROWS(Shape({big, big, 0}), "must fit memory");
  CHECK_THROWS(Shape({0, big, big}), "must fit memory");
}

TEST("shape: axes changed, inserted, removed, sliced, joined") {
  const Shape shape{2, 3, 5};
  CHECK_EQ(shape.with(1, 7), Shape({2, 7, 5}));
  CHECK_EQ(shape.with(-1, 0), Shape({2, 3, 0}));
  CHECK_EQ(shape.inserted(0, 7), Shape({7, 2, 3, 5}));
  CHECK_EQ(shape.inserted(3, 7), Shape({2, 3, 5, 7}));
  CHECK_EQ(shape.inserted(-1, 7), Shape({2, 3, 5, 7}));
  CHECK_EQ(shape.removed(0), Shape({3, 5}));
  CHECK_EQ(shape.removed(-1), Shape({2, 3}));
  CHECK_EQ(Shape({4}).removed(0), Shape());
  CHECK_EQ(shape.slice(1), Shape({3, 5}));
  CHECK_EQ(shape.slice(0, -1), Shape({2, 3}));
  CHECK_EQ(shape.slice(-2, 2), Shape({3}));
  CHECK_EQ(shape.slice(2, 1), Shape());
  CHECK_EQ(shape.slice(-9, 9), shape);
  CHECK_EQ(Shape({2, 3}) + Shape({4}), Shape({2, 3, 4}));
  CHECK_EQ(Shape() + Shape(), Shape());
  CHECK_THROWS(shape.with(3, 1), "[shape] the axis must be in [-3, 3). Received: axis=3, rank=3");
  CHECK_THROWS(shape.inserted(4, 1), "must be in [-4, 4)");
  CHECK_EQ(shape[-3], 2);
  CHECK_EQ(shape.back(), 5);
  for (const int axis : {3, -4, 100, -100})
    CHECK_THROWS(static_cast<void>(shape[axis]), "[shape] there is no such axis. Received: axis=");
  CHECK_THROWS(static_cast<void>(Shape().back()), "Received: axis=-1, shape=()");
  CHECK_THROWS(Shape().removed(0), "a scalar has no axes");
  CHECK_THROWS(Shape({1, 1, 1, 1, 1}) + Shape({1, 1, 1, 1}), "must have at most 8 axes");
}

TEST("shape: broadcasting and axes") {
  CHECK_EQ(broadcast({2, 3}, {3}, "add"), Shape({2, 3}));
  CHECK_EQ(broadcast({3}, {2, 1}, "add"), Shape({2, 3}));
  CHECK_EQ(broadcast({}, {4, 5}, "add"), Shape({4, 5}));
  CHECK_EQ(broadcast({1}, {0}, "add"), Shape({0}));
  CHECK_EQ(broadcast({5, 1, 4}, {2, 1}, "add"), Shape({5, 2, 4}));
  CHECK_THROWS(broadcast({2, 3}, {2}, "add"), "[add] the shapes must broadcast");
  CHECK_THROWS(broadcast({2, 3}, {2}, "add"), "Received: a=(2, 3), b=(2,)");
  CHECK_THROWS(broadcast({0}, {2}, "add"), "must broadcast");
  CHECK_EQ(normalize_axis(-1, 3, "sum"), 2);
  CHECK_EQ(normalize_axis(0, 3, "sum"), 0);
  CHECK_THROWS(normalize_axis(3, 3, "sum"), "[sum] the axis must be in [-3, 3)");
  CHECK_THROWS(normalize_axis(-4, 3, "sum"), "Received: axis=-4, rank=3");
}

TEST("tensor: memory is aligned, zeroed and shared by copies") {
  const Tensor tensor({3, 5}, DType::float32);
  CHECK_EQ(reinterpret_cast<std::uintptr_t>(tensor.raw()) % kAlignment, 0);
  CHECK_EQ(tensor.bytes(), 60);
  for (const float x : tensor.data<float>()) CHECK_EQ(x, 0.0F);
  const Tensor copy = tensor;  // NOLINT(performance-unnecessary-copy-initialization): its test
  const Tensor clone = tensor.clone();
  copy.data<float>()[4] = 2;
  CHECK_EQ(tensor.data<float>()[4], 2.0F);
  CHECK_EQ(clone.data<float>()[4], 0.0F);
  CHECK_EQ(tensor.clone().data<float>()[4], 2.0F);
  CHECK_EQ(Tensor({0, 3}, DType::int64).data<std::int64_t>().size(), 0);
}

TEST("tensor: from values") {
  const Tensor tensor = Tensor::of<std::int32_t>({2, 2}, {1, 2, 3, 4});
  CHECK_EQ(tensor.dtype(), DType::int32);
  CHECK_EQ(tensor.data<std::int32_t>()[3], 4);
  CHECK_EQ(Tensor::scalar(2.5).shape(), Shape());
  CHECK_EQ(Tensor::scalar(2.5).data<double>()[0], 2.5);
  CHECK_EQ(Tensor::of<bool>({2}, {false, true}).data<bool>()[1], true);
  CHECK_THROWS(Tensor::of<float>({3}, {1, 2}), "Received: shape=(3,), values=2");
}

TEST("tensor: wrong access throws") {
  const Tensor tensor({2}, DType::float32);
  CHECK_THROWS(tensor.data<double>(), "Received: asked=float64, tensor=float32 (2,)");
  CHECK_THROWS(Tensor().data<float>(), "must have been given a shape");
  CHECK_THROWS(tensor.reshaped({3}), "Received: tensor=float32 (2,), shape=(3,)");
  CHECK(!Tensor().defined());
  CHECK(!Tensor().clone().defined());
  CHECK(!Tensor().cast(DType::int32).defined());
  CHECK(Tensor().raw() == nullptr);
  CHECK_THROWS(Buffer(std::size_t{1} << 62), "[memory] the system must have enough memory");
}

TEST("tensor: windows into a buffer") {
  const auto buffer = std::make_shared<Buffer>(64);
  const TensorType four_floats{{4}, DType::float32};
  const Tensor last(four_floats, buffer, 48);
  CHECK(last.raw() == buffer->data() + 48);
  const Tensor square = last.reshaped({2, 2});
  CHECK_EQ(square.shape(), Shape({2, 2}));
  CHECK(square.raw() == last.raw());
  CHECK_THROWS(Tensor(four_floats, buffer, 52), "must lie inside the buffer");
  CHECK_THROWS(Tensor(four_floats, buffer, 65), "Received: type=float32 (4,), offset=65");
  CHECK_THROWS(Tensor(four_floats, buffer, 2), "at a multiple of the element size");
  CHECK_THROWS(Tensor(four_floats, nullptr, 0), "buffer=0 bytes");
}

TEST("tensor: casts") {
  const Tensor x = Tensor::of<float>({4}, {-1.5F, 0.0F, 2.75F, 300.0F});
  const auto ints = x.cast(DType::int32);
  const std::vector<int> truncated = {-1, 0, 2, 300};
  const std::vector<bool> nonzero = {true, false, true, true};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK_EQ(ints.data<std::int32_t>()[i], truncated[i]);
    CHECK_EQ(x.cast(DType::boolean).data<bool>()[i], nonzero[i]);
    CHECK_EQ(x.cast(DType::float64).data<double>()[i], double{x.data<float>()[i]});
  }
  CHECK_EQ(Tensor::of<bool>({1}, {true}).cast(DType::float32).data<float>()[0], 1.0F);
  CHECK_EQ(Tensor::scalar<std::int64_t>(256).cast(DType::boolean).data<bool>()[0], true);
  CHECK(x.cast(DType::float32).raw() != x.raw());
}

TEST("tensor: a cast refuses what an integer type cannot hold") {
  const double inf = std::numeric_limits<double>::infinity();
  const Tensor edges = Tensor::of<double>({3}, {-2147483648.0, 2147483647.5, -0.75});
  const auto ints = edges.cast(DType::int32);
  CHECK_EQ(ints.data<std::int32_t>()[0], std::numeric_limits<std::int32_t>::min());
  CHECK_EQ(ints.data<std::int32_t>()[1], std::numeric_limits<std::int32_t>::max());
  CHECK_EQ(ints.data<std::int32_t>()[2], 0);
  CHECK_EQ(Tensor::scalar(-0x1p63).cast(DType::int64).data<std::int64_t>()[0],
           std::numeric_limits<std::int64_t>::min());
  CHECK_EQ(Tensor::scalar(-0.5F).cast(DType::uint8).data<std::uint8_t>()[0], 0);
  for (const double bad : {0x1p31, -0x1p31 - 1, inf, -inf, std::nan("")})
    CHECK_THROWS(Tensor::scalar(bad).cast(DType::int32),
                 "[Tensor::cast] the values must fit int32");
  for (const double bad : {0x1p63, -0x1p64, 1e300})
    CHECK_THROWS(Tensor::scalar(bad).cast(DType::int64), "must fit int64");
  for (const int bad : {-1, 256})
    CHECK_THROWS(Tensor::scalar<std::int32_t>(bad).cast(DType::uint8), "must fit uint8");
  CHECK_THROWS(Tensor::of<std::int64_t>({2}, {7, (std::int64_t{1} << 32) + 1}).cast(DType::int32),
               "Received: value=4294967297, element=1");
  CHECK_THROWS(Tensor().reshaped({1}), "Tensor::reshaped");
}

}  // namespace chainrule
