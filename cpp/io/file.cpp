#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "chainrule/error.h"

namespace chainrule {
namespace {

constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;  // some systems refuse 2 GB in one call

std::string quoted(const std::string& path) { return "'" + path + "'"; }

[[noreturn]] void fail_with_errno(std::string_view where,
                                  std::string_view rule,
                                  const std::string& path) {
  const std::string reason = std::generic_category().message(errno);
  fail(where, std::string(rule) + ": " + reason, {{"path", quoted(path)}});
}

// The system would read the path only up to a zero byte, and so mean another file.
const char* checked(const std::string& path, std::string_view where) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    invalid(where, "a path must have characters, none of them zero", {{"path", quoted(path)}});
  }
  return path.c_str();
}

int open_again(const char* path, int flags, mode_t mode = 0) {
  int fd = -1;
  do fd = ::open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

std::string directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

// Creates a file that nobody else has, beside `target`, with the permissions that the process gives
// new files; returns its descriptor and sets its path.
int create_beside(const std::string& target, std::string& path) {
  static std::atomic<unsigned> count = 0;
  int fd = -1;
  do {
    path = target + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
    fd = open_again(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666);
  } while (fd < 0 && errno == EEXIST);
  return fd;
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), std::min(bytes.size(), kMaxTransfer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

// Some file systems have no flush of directories and say so by EINVAL.
bool flush_directory(int fd) { return ::fsync(fd) == 0 || errno == EINVAL; }

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

InputFile::InputFile(const std::string& path, std::string_view where)
    : path_(path),
      where_(where),
      // O_NONBLOCK: opening a pipe must not wait for its writer.
      descriptor_(open_again(checked(path, where), O_RDONLY | O_NONBLOCK)) {
  struct stat status{};
  if (descriptor_.get() < 0 || ::fstat(descriptor_.get(), &status) != 0) {
    fail_with_errno(where, "the file could not be opened", path);
  }
  if (!S_ISREG(status.st_mode)) {
    invalid(where, "the path must name a regular file", {{"path", quoted(path)}});
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

void InputFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t n = ::pread(descriptor_.get(),
                              out.data(),
                              std::min(out.size(), kMaxTransfer),
                              static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_with_errno(where_, "the file could not be read", path_);
    if (n == 0)
      fail(where_, "the file became shorter while it was read", {{"path", quoted(path_)}});
    out = out.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

void replace_file(const std::string& path,
                  std::span<const std::span<const std::byte>> pieces,
                  std::string_view where) {
  std::error_code error;
  const std::filesystem::path existing = std::filesystem::canonical(checked(path, where), error);
  const std::string target = error ? path : existing.string();
  if (!error && !std::filesystem::is_regular_file(existing)) {
    invalid(where, "the path must name a regular file, or none", {{"path", quoted(path)}});
  }
  const Descriptor directory(open_again(directory_of(target).c_str(), O_RDONLY | O_DIRECTORY));
  if (directory.get() < 0) fail_with_errno(where, "the directory could not be opened", path);

  std::string temporary;
  const Descriptor file(create_beside(target, temporary));
  if (file.get() < 0) fail_with_errno(where, "the file could not be created", path);
  const bool written =
      std::all_of(pieces.begin(),
                  pieces.end(),
                  [&](std::span<const std::byte> piece) { return write_all(file.get(), piece); }) &&
      ::fsync(file.get()) == 0 && ::rename(temporary.c_str(), target.c_str()) == 0;
  if (!written) {
    const int reason = errno;
    ::unlink(temporary.c_str());
    errno = reason;
    fail_with_errno(where, "the file could not be written", path);
  }
  if (!flush_directory(directory.get())) {
    fail_with_errno(where, "the file is written, but its directory could not be flushed", path);
  }
}

}  // namespace chainrule
