#include "chainrule/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <exception>
#include <ios>
#include <istream>
#include <new>
#include <numeric>
#include <ostream>
#include <streambuf>
#include <string_view>
#include <unordered_set>

#include "base/utf8.h"
#include "chainrule/error.h"
#include "chainrule/json.h"
#include "io/file.h"

namespace chainrule::inline v0_1 {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMegabyte = 1'000'000;
constexpr std::uint64_t kMaxHeader = 100 * kMegabyte;
constexpr const char* kMetadata = "__metadata__";

std::string max_header_text() { return std::to_string(kMaxHeader / kMegabyte) + " MB"; }

/// What the format calls an element type.
std::string_view code_of(DType type) {
  switch (type) {
    case DType::float32:
      return "F32";
    case DType::float64:
      return "F64";
    case DType::int32:
      return "I32";
    case DType::int64:
      return "I64";
    case DType::uint8:
      return "U8";
    case DType::boolean:
      return "BOOL";
  }
  return "";
}

// ---- writing ----

void check_names(const TensorFile& file) {
  std::unordered_set<std::string_view> names;
  for (const auto& [name, tensor] : file.tensors) {
    const std::vector<Received> received = {{"name", "'" + name + "'"}};
    if (name == kMetadata) invalid("save", "this name of a tensor is reserved", received);
    if (!names.insert(name).second) invalid("save", "names of tensors must be unique", received);
    if (!tensor.defined()) invalid("save", "a tensor must have been given a shape", received);
  }
  names.clear();
  for (const auto& [key, value] : file.metadata) {
    if (!names.insert(key).second) {
      invalid("save", "keys of the metadata must be unique", {{"key", "'" + key + "'"}});
    }
  }
}

Json entry_of(const Tensor& tensor, std::uint64_t begin) {
  Json::Array shape;
  for (const std::int64_t length : tensor.shape().dims()) shape.emplace_back(length);
  const auto end = static_cast<std::int64_t>(begin + tensor.bytes());
  return Json::object({{"dtype", code_of(tensor.dtype())},
                       {"shape", std::move(shape)},
                       {"data_offsets", Json::array({static_cast<std::int64_t>(begin), end})}});
}

// ---- reading ----

struct Entry {
  std::string name;
  TensorType type;
  std::uint64_t begin, end;  // bytes in the data section
};

// The bytes of a file, and the error for a file that is damaged.
struct Source {
  const Input& file;
  std::vector<Received> received;  // where the bytes are from

  [[noreturn]] void damaged(const std::string& rule) const { invalid("load", rule, received); }
  void require(bool condition, const std::string& rule) const {
    if (!condition) damaged(rule);
  }
};

std::uint64_t read_header_length(const Source& source) {
  source.require(source.file.size() >= kLengthBytes, "a safetensors file has at least 8 bytes");
  std::uint64_t length = 0;
  source.file.read(0, std::as_writable_bytes(std::span(&length, 1)));
  source.require(length <= kMaxHeader,
                 "the header of a safetensors file has at most " + max_header_text());
  source.require(length <= source.file.size() - kLengthBytes,
                 "the header must end inside the file: the file is truncated or damaged");
  return length;
}

Json read_header(const Source& source, std::uint64_t length) {
  std::string text(length, '\0');
  source.file.read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  source.require(text.starts_with('{'), "the header of a safetensors file must begin with '{'");
  try {
    return Json::parse(text);
  } catch (const InvalidArgument& e) {
    source.damaged(std::string("the header must be valid JSON: ") + e.what());
  }
}

// The integers of an array, none of them negative.
std::vector<std::int64_t> read_lengths(const Source& source,
                                       const Json& value,
                                       const std::string& what) {
  std::vector<std::int64_t> lengths;
  source.require(value.kind() == Json::Kind::array, what + " must be an array");
  for (const Json& item : value.as_array()) {
    if (item.kind() != Json::Kind::integer || item.as_int() < 0) {
      source.damaged(what + " must hold integers that are not negative");
    }
    lengths.push_back(item.as_int());
  }
  return lengths;
}

Entry read_entry(const Source& source,
                 const std::string& name,
                 const Json& value,
                 std::uint64_t data_bytes) {
  const std::string of = " of tensor '" + name + "'";
  const bool complete = value.kind() == Json::Kind::object && value.as_object().size() == 3 &&
                        value.find("dtype") != nullptr && value.find("shape") != nullptr &&
                        value.find("data_offsets") != nullptr;
  source.require(complete, "the entry" + of + " must have dtype, shape and data_offsets only");

  const Json& dtype = value.at("dtype");
  const std::string code = dtype.kind() == Json::Kind::string ? dtype.as_string() : "";
  Entry entry{name, {}, 0, 0};
  std::string codes;
  bool known = false;
  for (int i = 0; i < kDTypeCount && !known; ++i) {
    entry.type.dtype = static_cast<DType>(i);
    known = code_of(entry.type.dtype) == code;
    codes += (i == 0 ? "" : ", ") + std::string(code_of(entry.type.dtype));
  }
  source.require(known, "the dtype" + of + " must be one of " + codes);

  const auto lengths = read_lengths(source, value.at("shape"), "the shape" + of);
  try {
    entry.type.shape = Shape(lengths);
  } catch (const InvalidArgument& e) {
    source.damaged("the shape" + of + " must be possible: " + e.what());
  }
  const auto offsets = read_lengths(source, value.at("data_offsets"), "the data_offsets" + of);
  source.require(offsets.size() == 2 && offsets[0] <= offsets[1],
                 "the data_offsets" + of + " must be a begin and an end");
  entry.begin = static_cast<std::uint64_t>(offsets[0]);
  entry.end = static_cast<std::uint64_t>(offsets[1]);
  source.require(entry.end <= data_bytes,
                 "the data" + of + " must end inside the file: the file is truncated or damaged");
  source.require(entry.end - entry.begin == entry.type.bytes(),
                 "the data" + of + " must have the size of its shape and dtype");
  return entry;
}

// Data must fill the file from its first byte to its last, each byte belonging to one tensor.
void check_layout(const Source& source, std::vector<Entry> entries, std::uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t end = 0;
  for (const Entry& entry : entries) {
    source.require(entry.begin >= end,
                   "the data of tensor '" + entry.name + "' must not overlap another's");
    source.require(entry.begin == end,
                   "the data of tensor '" + entry.name + "' must follow without a gap");
    end = entry.end;
  }
  source.require(end == data_bytes, "the file must end with the data of its last tensor");
}

TensorFile read(const Source& source) {
  const std::uint64_t header_bytes = read_header_length(source);
  const std::uint64_t data_begin = kLengthBytes + header_bytes;
  const std::uint64_t data_bytes = source.file.size() - data_begin;

  TensorFile result;
  std::vector<Entry> entries;
  const Json header = read_header(source, header_bytes);
  for (const auto& [name, value] : header.as_object()) {
    if (name != kMetadata) {
      entries.push_back(read_entry(source, name, value, data_bytes));
      continue;
    }
    source.require(value.kind() == Json::Kind::object, "the metadata must be an object");
    for (const auto& [key, text] : value.as_object()) {
      source.require(text.kind() == Json::Kind::string,
                     "the value of '" + key + "' in the metadata must be a string");
      result.metadata.emplace_back(key, text.as_string());
    }
  }
  check_layout(source, entries, data_bytes);

  for (const Entry& entry : entries) {
    const Tensor tensor(entry.type);
    const std::span<std::byte> bytes(tensor.raw(), tensor.bytes());
    source.file.read(data_begin + entry.begin, bytes);
    if (entry.type.dtype == DType::boolean) {
      source.require(
          std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b <= std::byte{1}; }),
          "the bytes of tensor '" + entry.name + "', dtype BOOL, must be 0 or 1");
    }
    result.tensors.emplace_back(entry.name, tensor);
  }
  return result;
}

// The whole file: its first eight bytes, the header, and the tensors' bytes where they are.
struct Layout {
  std::uint64_t header_bytes = 0;
  std::string header;
  std::vector<std::span<const std::byte>> data;

  [[nodiscard]] std::vector<std::span<const std::byte>> pieces() const {
    std::vector<std::span<const std::byte>> all{std::as_bytes(std::span(&header_bytes, 1)),
                                                std::as_bytes(std::span(header))};
    all.insert(all.end(), data.begin(), data.end());
    return all;
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto piece : pieces()) sum += piece.size();
    return sum;
  }
};

Layout layout_of(const TensorFile& file) {
  check_names(file);
  // Larger elements first: then all data is aligned to its elements, and readers may map the file.
  std::vector<std::size_t> order(file.tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return size_of(file.tensors[a].second.dtype()) > size_of(file.tensors[b].second.dtype());
  });
  Layout result;
  std::vector<std::uint64_t> begins(order.size());
  std::uint64_t end = 0;
  for (const std::size_t i : order) {
    const Tensor& tensor = file.tensors[i].second;
    result.data.emplace_back(tensor.read(), tensor.bytes());
    begins[i] = end;
    end += tensor.bytes();
  }

  Json::Object members;
  if (!file.metadata.empty()) {
    Json::Object metadata(file.metadata.begin(), file.metadata.end());
    members.emplace_back(kMetadata, std::move(metadata));
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto& [name, tensor] = file.tensors[i];
    members.emplace_back(name, entry_of(tensor, begins[i]));
  }
  result.header = Json(std::move(members)).dump();
  result.header.append((kLengthBytes - result.header.size() % kLengthBytes) % kLengthBytes, ' ');
  result.header_bytes = result.header.size();
  if (result.header_bytes > kMaxHeader) {
    invalid("save",
            "names and metadata must fit a header of " + max_header_text(),
            {{"header", std::to_string(result.header_bytes) + " bytes"}});
  }
  return result;
}

TensorFile read_or_fail(const Source& source) {
  try {
    return read(source);
  } catch (const std::bad_alloc&) {
    fail("load", "memory must suffice for the file", source.received);
  }
}

/// Whether `use` succeeded with the buffer of a stream. An exception of the buffer is a failure.
/// The flags of the stream, which may be set to throw, are left alone.
template <class F>
bool with_buffer(const std::ios& stream, const F& use) {
  if (!stream.good() || stream.rdbuf() == nullptr) return false;
  try {
    return use(*stream.rdbuf());
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

void write_safetensors(const std::string& path, const TensorFile& file) {
  replace_file(path, layout_of(file).pieces(), "save");
}

void write_safetensors(std::ostream& stream, const TensorFile& file) {
  const Layout layout = layout_of(file);
  const bool written = with_buffer(stream, [&](std::streambuf& buffer) {
    for (const auto piece : layout.pieces()) {
      const auto size = static_cast<std::streamsize>(piece.size());
      if (buffer.sputn(reinterpret_cast<const char*>(piece.data()), size) != size) return false;
    }
    return buffer.pubsync() == 0;
  });
  if (!written) fail("save", "writing to the stream failed");
}

std::string safetensors_bytes(const TensorFile& file) {
  const Layout layout = layout_of(file);
  std::string bytes;
  bytes.reserve(layout.bytes());
  for (const auto piece : layout.pieces())
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  return bytes;
}

std::vector<std::byte> safetensors_memory(const TensorFile& file) {
  const Layout layout = layout_of(file);
  std::vector<std::byte> bytes;
  bytes.reserve(layout.bytes());
  for (const auto piece : layout.pieces()) bytes.insert(bytes.end(), piece.begin(), piece.end());
  return bytes;
}

TensorFile read_safetensors(const std::string& path) {
  const InputFile file(path, "load");
  return read_or_fail({file, {{"path", in_quotes(path)}}});
}

TensorFile read_safetensors(std::istream& stream) {
  std::vector<std::byte> bytes;  // grows with what comes, not with what the header claims
  const bool whole = with_buffer(stream, [&](std::streambuf& buffer) {
    std::array<char, 1 << 16> block;
    for (;;) {
      const std::streamsize read = buffer.sgetn(block.data(), block.size());
      if (read <= 0) return true;
      const auto part = std::as_bytes(std::span(block)).first(static_cast<std::size_t>(read));
      bytes.insert(bytes.end(), part.begin(), part.end());
    }
  });
  if (!whole) fail("load", "the stream must be read to its end: it has failed");
  return parse_safetensors(bytes);
}

TensorFile parse_safetensors(std::span<const std::byte> bytes) {
  const InputMemory memory(bytes);
  return read_or_fail({memory, {{"bytes", std::to_string(bytes.size())}}});
}

TensorFile parse_safetensors(std::string_view bytes) {
  return parse_safetensors(std::as_bytes(std::span(bytes)));
}

}  // namespace chainrule::inline v0_1
