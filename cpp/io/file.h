// Files of the operating system (POSIX): descriptors that close themselves, whole reads, and writes
// that replace a file in one step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace chainrule::inline v0_1 {

/// Owns an open file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;  // -1: none
};

/// Bytes to be read in any order.
class Input {
 public:
  virtual ~Input() = default;
  Input() = default;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Fills `out` from `offset` on. Throws RuntimeError when there are fewer bytes.
  virtual void read(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

/// A regular file, open for reading. `where`, a literal such as "load", begins its error messages.
class InputFile final : public Input {
 public:
  /// Throws FileError when the file cannot be opened, InvalidArgument when it is a pipe or device.
  InputFile(const std::string& path, std::string_view where);
  [[nodiscard]] std::uint64_t size() const override { return size_; }  ///< when it was opened
  void read(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  std::string path_;
  std::string_view where_;
  Descriptor descriptor_;
  std::uint64_t size_ = 0;
};

/// Memory that the caller owns and keeps.
class InputMemory final : public Input {
 public:
  explicit InputMemory(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  void read(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  std::span<const std::byte> bytes_;
};

/// Writes the pieces, one after the other, as the new content of a file: under a temporary name
/// beside it, flushed to the disk, renamed, the directory flushed. At every moment the path holds
/// the whole old file or the whole new one. Symbolic links are followed, also to a file that is not
/// there yet. A file that exists keeps its permissions, and its owner if the process may give files
/// away. Temporaries of the same file are removed if their writers were killed; those of writers at
/// work are not.
///
/// Throws FileError when the system refuses (the old file then stays and the temporary is removed),
/// InvalidArgument when the path names a pipe or device.
void replace_file(const std::string& path,
                  std::span<const std::span<const std::byte>> pieces,
                  std::string_view where);

}  // namespace chainrule::inline v0_1
