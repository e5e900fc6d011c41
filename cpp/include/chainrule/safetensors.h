// The safetensors file format (https://github.com/huggingface/safetensors): named tensors and a map
// of strings in one file. It knows nothing of models.
//
//   8 bytes   length of the header, little-endian, at most 100 MB
//   header    JSON: {"__metadata__": {string: string},
//                    name: {"dtype", "shape", "data_offsets"}, ...}
//   data      the tensors' bytes, row-major and little-endian, without gaps
#pragma once

#include <cstddef>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chainrule/tensor.h"

namespace chainrule::inline v0_1 {

/// What a file holds. Names, and keys of the metadata, are each unique; both keep their order.
struct TensorFile {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;
};

/// Writes a file, or replaces one: at every moment, and after a crash, the path holds the whole old
/// file or the whole new one. A symbolic link is followed. Throws InvalidArgument for names that
/// are not unique or not UTF-8, the reserved name "__metadata__", and tensors without memory;
/// FileError when the file system refuses (the old file then stays; nothing else is left behind). A
/// file that exists keeps its permissions.
void write_safetensors(const std::string& path, const TensorFile& file);
/// The same bytes to a stream, which should be binary. Throws RuntimeError when it fails.
void write_safetensors(std::ostream& stream, const TensorFile& file);
/// The same bytes in memory.
std::string safetensors_bytes(const TensorFile& file);
std::vector<std::byte> safetensors_memory(const TensorFile& file);

/// Reads a file into memory of its own. Everything that the file claims is checked before memory is
/// allocated for it. Throws InvalidArgument for a file that is not valid, or has element types
/// other than F32, F64, I32, I64, U8, BOOL; FileError when it cannot be read, RuntimeError when
/// memory does not suffice.
TensorFile read_safetensors(const std::string& path);
/// The same from a stream, from where it is to its end, which must be that of the file. Throws
/// RuntimeError when it fails.
TensorFile read_safetensors(std::istream& stream);
/// The same from memory.
TensorFile parse_safetensors(std::span<const std::byte> bytes);
TensorFile parse_safetensors(std::string_view bytes);

}  // namespace chainrule::inline v0_1
