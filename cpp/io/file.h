// Files of the operating system (POSIX): descriptors that close themselves, whole reads, and writes
// that replace a file in one step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace chainrule {

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

/// A regular file, open for reading. `where`, a literal such as "load", begins its error messages.
class InputFile {
 public:
  /// Throws RuntimeError when the file cannot be opened, InvalidArgument when it is not a regular
  /// one.
  InputFile(const std::string& path, std::string_view where);
  [[nodiscard]] std::uint64_t size() const { return size_; }  ///< bytes, when it was opened
  /// Fills `out` from `offset` on. Throws RuntimeError when the file ends before.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  std::string path_;
  std::string_view where_;
  Descriptor descriptor_;
  std::uint64_t size_ = 0;
};

/// Writes the pieces, one after the other, as the new content of a file: under a temporary name
/// beside it, flushed to the disk, renamed, the directory flushed. At every moment the path holds
/// the whole old file or the whole new one. A symbolic link is followed. Throws RuntimeError when
/// the system refuses (the old file then stays and the temporary is removed), InvalidArgument when
/// the path names a thing that is no regular file.
void replace_file(const std::string& path,
                  std::span<const std::span<const std::byte>> pieces,
                  std::string_view where);

}  // namespace chainrule
