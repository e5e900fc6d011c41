// The safetensors codec: what it writes, and what it refuses to read.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "chainrule/json.h"
#include "chainrule/safetensors.h"
#include "temporary_directory.h"
#include "test.h"

namespace chainrule {
namespace {

using test::TemporaryDirectory;

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A file with this header and data.
std::string file_of(const std::string& header, const std::string& data = "") {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + data;
}

// The entry of a tensor.
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TensorFile sample() {
  TensorFile file;
  file.tensors = {{"dense/kernel", Tensor::of<float>({2, 3}, {1, -2, 3.5F, 0, 1e-30F, 6})},
                  {"mask", Tensor::of<bool>({3}, {true, false, true})},
                  {"step", Tensor::scalar<std::int64_t>(-5)},
                  {"empty", Tensor({0, 4}, DType::float64)},
                  {"pixels \u20ac", Tensor::of<std::uint8_t>({5}, {0, 1, 2, 254, 255})},
                  {"doubles", Tensor::of<double>({1, 2}, {0.1, -1e300})},
                  {"ids", Tensor::of<std::int32_t>({2}, {7, -7})}};
  file.metadata = {{"config", R"({"layers":[1,2]})"}, {"format", "pt"}, {"", "\n"}};
  return file;
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.type() == b.type() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

bool equal(const TensorFile& a, const TensorFile& b) {
  if (a.metadata != b.metadata || a.tensors.size() != b.tensors.size()) return false;
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    if (a.tensors[i].first != b.tensors[i].first) return false;
    if (!equal(a.tensors[i].second, b.tensors[i].second)) return false;
  }
  return true;
}

std::size_t entries_in(const TemporaryDirectory& directory) {
  const std::filesystem::directory_iterator files(directory.path());
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

// Whether the file loads; an error of the library counts as no, anything else leaves this function.
bool loads(const std::string& path) {
  try {
    (void)read_safetensors(path);
    return true;
  } catch (const Error& e) {
    const std::string message = e.message();
    CHECK(message.starts_with("[load] "));
    CHECK(message.ends_with("Received: path='" + path + "'"));
    return false;
  }
}

// A file of this content must be refused with this message.
void check_refused(const std::string& bytes, const char* message) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("bad.safetensors");
  write_bytes(path, bytes);
  CHECK_THROWS(read_safetensors(path), message);
  CHECK_THROWS(read_safetensors(path), "Received: path='" + path + "'");
}

}  // namespace

TEST("safetensors: round trip of every dtype, names, order and metadata") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("m.safetensors");
  write_safetensors(path, sample());
  CHECK(equal(read_safetensors(path), sample()));
  CHECK_EQ(entries_in(directory), 1);
  write_safetensors(path, TensorFile{});
  CHECK(equal(read_safetensors(path), TensorFile{}));
  CHECK_EQ(entries_in(directory), 1);
}

TEST("safetensors: the bytes in memory are those of the file") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("m");
  write_safetensors(path, sample());
  const std::string bytes = safetensors_bytes(sample());
  CHECK_EQ(bytes, read_bytes(path));
  CHECK(equal(parse_safetensors(bytes), sample()));
  for (std::size_t i = 0; i < bytes.size(); ++i)
    CHECK_THROWS(parse_safetensors(std::string_view(bytes).substr(0, i)), "Received: bytes=");
}

TEST("safetensors: the header is padded and data is aligned to its elements") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("m.safetensors");
  write_safetensors(path, sample());
  const std::string bytes = read_bytes(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  CHECK_EQ(length % 8, 0);
  const Json header = Json::parse(std::string_view(bytes).substr(8, length));
  CHECK_EQ(header.at("__metadata__").at("format").as_string(), "pt");
  for (const auto& [name, tensor] : sample().tensors) {
    const std::int64_t begin = header.at(name).at("data_offsets").as_array()[0].as_int();
    CHECK_EQ(static_cast<std::size_t>(begin) % size_of(tensor.dtype()), 0);
  }
}

TEST("safetensors: a known file, byte for byte") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("m.safetensors");
  write_safetensors(path, {{{"x", Tensor::of<std::uint8_t>({2}, {65, 66})}}, {}});
  const std::string expected =
      file_of(R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}   )", "AB");
  CHECK_EQ(read_bytes(path), expected);
}

TEST("safetensors: valid files of other writers") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("m.safetensors");
  // Members in another order, data not in the order of the header, an empty tensor between.
  write_bytes(path,
              file_of(R"({"b":{"data_offsets":[1,3],"shape":[2],"dtype":"U8"},"__metadata__":{},)"
                      R"("z":{"dtype":"F32","shape":[0],"data_offsets":[1,1]},)"
                      R"("a":{"shape":[],"dtype":"BOOL","data_offsets":[0,1]}} )",
                      std::string("\1xy")));
  const TensorFile file = read_safetensors(path);
  REQUIRE(file.tensors.size() == 3);
  CHECK_EQ(file.tensors[0].first, "b");
  CHECK_EQ(file.tensors[0].second.data<std::uint8_t>()[1], std::uint8_t{'y'});
  CHECK_EQ(file.tensors[1].second.size(), 0);
  CHECK_EQ(file.tensors[2].second.shape(), Shape());
  CHECK_EQ(file.tensors[2].second.data<bool>()[0], true);
}

TEST("safetensors: damaged headers") {
  check_refused("", "[load] a safetensors file has at least 8 bytes");
  check_refused("1234567", "has at least 8 bytes");
  check_refused(std::string(8, '\xff'), "the header of a safetensors file has at most 100 MB");
  check_refused(std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10), "has at most 100 MB");
  check_refused(std::string("\x03\0\0\0\0\0\0\0{}", 10), "the header must end inside the file");
  check_refused(file_of(""), "must begin with '{'");
  check_refused(file_of(" {}"), "must begin with '{'");
  check_refused(file_of("[]"), "must begin with '{'");
  check_refused(file_of("{"), "the header must be valid JSON: [json] a key in quotes was expected");
  check_refused(file_of("{}x"), "the text must end after the value");
  check_refused(file_of(std::string("{}\0", 3)), "the text must end after the value");
  check_refused(file_of("{\"\xff\":1}"), "strings must be valid UTF-8");
  check_refused(file_of("{\"a\":" + std::string(100000, '[')), "nested deeper than 256");
  check_refused(file_of("{}", "x"), "the file must end with the data of its last tensor");
}

TEST("safetensors: damaged metadata") {
  check_refused(file_of(R"({"__metadata__":[]})"), "the metadata must be an object");
  check_refused(file_of(R"({"__metadata__":{"a":1}})"), "the value of 'a' in the metadata");
  check_refused(file_of(R"({"__metadata__":{"a":"1","a":"2"}})"), "keys must be different");
}

TEST("safetensors: damaged entries") {
  const std::string data(8, '\1');
  const auto refused = [&](const std::string& value, const char* message) {
    check_refused(file_of("{\"x\":" + value + "}", data), message);
  };
  refused("1", "the entry of tensor 'x' must have dtype, shape and data_offsets only");
  refused("{}", "must have dtype, shape and data_offsets only");
  refused(R"({"dtype":"U8","shape":[8]})", "must have dtype, shape and data_offsets only");
  refused(R"({"dtype":"U8","shape":[8],"offsets":[0,8]})", "data_offsets only");
  refused(R"({"dtype":"U8","shape":[8],"data_offsets":[0,8],"a":1})", "data_offsets only");
  refused(entry("\"F16\"", "[4]", "[0,8]"), "the dtype of tensor 'x' must be one of F32, F64");
  refused(entry("\"f32\"", "[2]", "[0,8]"), "the dtype of tensor 'x' must be one of");
  refused(entry("1", "[2]", "[0,8]"), "the dtype of tensor 'x' must be one of");
  refused(entry("\"F32\"", "2", "[0,8]"), "the shape of tensor 'x' must be an array");
  refused(entry("\"F32\"", "[2.0]", "[0,8]"), "the shape of tensor 'x' must hold integers");
  refused(entry("\"F32\"", "[-2]", "[0,8]"), "integers that are not negative");
  refused(entry("\"F32\"", "[\"2\"]", "[0,8]"), "the shape of tensor 'x' must hold integers");
  refused(entry("\"U8\"", "[8,1,1,1,1,1,1,1,1]", "[0,8]"), "must have at most 8 axes");
  refused(entry("\"F32\"", "[3]", "[0,8]"), "must have the size of its shape and dtype");
  refused(entry("\"F32\"", "[]", "[0,8]"), "must have the size of its shape and dtype");
  // Products that wrap around to the right size in 64 bits, with and without a zero.
  refused(entry("\"U8\"", "[4294967296,4294967296]", "[0,0]"), "must fit memory");
  refused(entry("\"F64\"", "[2305843009213693953]", "[0,8]"), "must fit memory");
  refused(entry("\"F64\"", "[0,4611686018427387904,4]", "[0,0]"), "must fit memory");
  refused(entry("\"U8\"", "[99999999999999999999]", "[0,8]"), "must hold integers");
  refused(entry("\"U8\"", "[8]", "8"), "the data_offsets of tensor 'x' must be an array");
  refused(entry("\"U8\"", "[8]", "[0,8,8]"), "must be a begin and an end");
  refused(entry("\"U8\"", "[8]", "[8,0]"), "must be a begin and an end");
  refused(entry("\"U8\"", "[8]", "[-8,0]"), "integers that are not negative");
  refused(entry("\"U8\"", "[9]", "[0,9]"), "the data of tensor 'x' must end inside the file");
  refused(entry("\"U8\"", "[1099511627776]", "[0,1099511627776]"), "must end inside the file");
  refused(entry("\"U8\"", "[7]", "[0,7]"), "the file must end with the data of its last tensor");
  refused(entry("\"U8\"", "[7]", "[1,8]"), "the data of tensor 'x' must follow without a gap");
}

TEST("safetensors: overlaps, gaps, duplicates, bytes that are no bool") {
  const auto refused = [](const std::string& a, const std::string& b, const char* message) {
    check_refused(file_of(R"({"a":)" + a + R"(,"b":)" + b + "}", "\1\1\2\1"), message);
  };
  const std::string first = entry("\"U8\"", "[2]", "[0,2]");
  refused(
      first, entry("\"U8\"", "[3]", "[1,4]"), "the data of tensor 'b' must not overlap another's");
  refused(first, first, "must not overlap another's");
  refused(entry("\"U8\"", "[4]", "[0,4]"), entry("\"U8\"", "[0]", "[2,2]"), "must not overlap");
  refused(
      first, entry("\"U8\"", "[1]", "[3,4]"), "the data of tensor 'b' must follow without a gap");
  refused(first, entry("\"BOOL\"", "[2]", "[2,4]"), "tensor 'b', dtype BOOL, must be 0 or 1");
  check_refused(file_of("{\"a\":" + first + ",\"a\":" + first + "}", "xy"),
                "keys must be different");
}

TEST("safetensors: truncated at every byte, or with a byte too many") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("m");
  write_safetensors(path, sample());
  const std::uintmax_t size = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, size + 1);
  CHECK(!loads(path));
  std::filesystem::resize_file(path, size);
  CHECK(loads(path));
  for (std::uintmax_t length = size; length-- > 0;) {
    std::filesystem::resize_file(path, length);
    CHECK(!loads(path));
  }
}

TEST("safetensors: any flipped bit of the header gives an error or a valid file") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("m");
  write_safetensors(path, sample());
  const std::string bytes = read_bytes(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  const auto put = [&](std::size_t i, int byte) {
    file.seekp(static_cast<std::streamoff>(i)).put(static_cast<char>(byte)).flush();
  };
  int refused = 0, loaded = 0;
  for (std::size_t i = 0; i < 8 + length; ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      put(i, bytes[i] ^ (1 << bit));
      ++(loads(path) ? loaded : refused);
    }
    put(i, bytes[i]);
  }
  CHECK(refused > loaded);  // what loads has a letter of a name or of the metadata changed
  CHECK(loaded > 0);
  CHECK(equal(read_safetensors(path), sample()));
}

TEST("safetensors: what is no file") {
  const TemporaryDirectory directory;
  CHECK_THROWS(read_safetensors(directory.file("none")),
               "[load] the file could not be opened: No such file or directory. Received: path='");
  CHECK_THROWS(read_safetensors(directory.path().string()),
               "[load] the path must name a file: Is a directory");
  CHECK_THROWS(read_safetensors(""), "[load] a path must have characters");
  CHECK_THROWS(read_safetensors(std::string("a\0b", 3)), "none of them zero");
  CHECK_THROWS(write_safetensors(directory.path().string(), {}),
               "[save] the path must name a file: Is a directory");
  CHECK_THROWS(write_safetensors("/dev/null", {}), "[save] the path must name a regular file");
  CHECK_THROWS(write_safetensors(directory.file("no/m"), {}), "the directory could not be opened");
  CHECK_THROWS(write_safetensors("", {}), "[save] a path must have characters");
  CHECK_EQ(entries_in(directory), 0);
}

TEST("safetensors: what cannot be saved") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("m");
  const Tensor x = Tensor::scalar(1.0F);
  std::string long_text;
  long_text.resize(100'000'000, 'x');
  CHECK_THROWS(write_safetensors(path, {{{"x", x}, {"x", x}}, {}}),
               "names of tensors must be unique");
  CHECK_THROWS(write_safetensors(path, {{{"__metadata__", x}}, {}}),
               "this name of a tensor is reserved");
  CHECK_THROWS(write_safetensors(path, {{{"x", Tensor()}}, {}}), "must have been given a shape");
  CHECK_THROWS(write_safetensors(path, {{}, {{"a", "1"}, {"a", "2"}}}), "keys of the metadata");
  CHECK_THROWS(write_safetensors(path, {{{"\xff", x}}, {}}), "valid UTF-8");
  CHECK_THROWS(write_safetensors(path, {{}, {{"a", long_text}}}), "a header of 100 MB");
  CHECK_EQ(entries_in(directory), 0);
}

TEST("safetensors: when the disk refuses, the old file stays and nothing else") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("m");
  write_safetensors(path, sample());
  const std::string before = read_bytes(path);

  // Writing beyond the limit fails with EFBIG, once its signal is ignored.
  rlimit old_limit{};
  ::getrlimit(RLIMIT_FSIZE, &old_limit);
  auto* const old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old_limit;
  small.rlim_cur = 4096;
  ::setrlimit(RLIMIT_FSIZE, &small);
  CHECK_THROWS(write_safetensors(path, {{{"x", Tensor({5000}, DType::float32)}}, {}}),
               "[save] the file could not be written: File too large. Received: path='");
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);

  CHECK_EQ(read_bytes(path), before);
  CHECK_EQ(entries_in(directory), 1);
}

TEST("safetensors: a symbolic link is followed") {
  const TemporaryDirectory directory;
  const std::string target = directory.file("target"), link = directory.file("link");
  write_safetensors(target, {});
  std::filesystem::create_symlink(target, link);
  write_safetensors(link, sample());
  CHECK(std::filesystem::is_symlink(link));
  CHECK(equal(read_safetensors(target), sample()));
  CHECK_EQ(entries_in(directory), 2);
}

}  // namespace chainrule
