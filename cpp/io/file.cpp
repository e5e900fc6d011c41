#include "io/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <system_error>

#include "base/utf8.h"
#include "chainrule/error.h"

namespace chainrule::inline v0_1 {
namespace {

constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;  // some systems refuse 2 GB in one call
constexpr mode_t kPermissions = 07777;

[[noreturn]] void fail_with_errno(std::string_view where,
                                  std::string_view rule,
                                  const std::string& path) {
  throw FileError(where, rule, errno, path);
}

// The system would read the path only up to a zero byte, and so mean another file.
const char* checked(const std::string& path, std::string_view where) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    invalid(where, "a path must have characters, none of them zero", {{"path", in_quotes(path)}});
  }
  return path.c_str();
}

int open_again(const char* path, int flags, mode_t mode = 0) {
  int fd = -1;
  do fd = ::open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
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

void require_regular(mode_t mode, const std::string& path, std::string_view where) {
  if (S_ISDIR(mode)) throw FileError(where, "the path must name a file", EISDIR, path);
  if (!S_ISREG(mode))
    invalid(where, "the path must name a regular file", {{"path", in_quotes(path)}});
}

// --- the file to replace -------------------------------------------------------------------------

// Follows symbolic links until the last part of the path is none. The file need not exist.
std::filesystem::path without_links(const std::string& path, std::string_view where) {
  constexpr int kMostLinks = 40;  // as Linux
  std::filesystem::path target = checked(path, where);
  for (int i = 0; i < kMostLinks; ++i) {
    std::error_code error;
    const auto status = std::filesystem::symlink_status(target, error);
    if (status.type() == std::filesystem::file_type::none)
      throw FileError(where, "the file could not be written", error.value(), path);
    if (status.type() != std::filesystem::file_type::symlink) return target;
    const std::filesystem::path link = std::filesystem::read_symlink(target, error);
    if (error) throw FileError(where, "the link could not be followed", error.value(), path);
    target = target.parent_path() / link;  // an absolute link replaces the whole
  }
  throw FileError(where, "the link could not be followed", ELOOP, path);
}

// --- temporaries ---------------------------------------------------------------------------------
//
// A temporary is called .<name>.tmp-<16 hexadecimal digits>, beside the file. Its writer holds a
// lock on it, which ends with the process; so whoever gets the lock of a temporary knows that its
// writer is dead.

constexpr std::size_t kDigits = 16;
constexpr std::size_t kLongestName = 200;  // a temporary's must fit the usual 255 bytes

std::string hexadecimal(std::uint64_t number) {
  std::string digits(kDigits, '0');
  for (std::size_t i = kDigits; i-- > 0; number >>= 4U)
    digits[i] = "0123456789abcdef"[number & 15U];
  return digits;
}

// What the names of a file's temporaries begin with. Long names are hashed.
std::string temporary_prefix(const std::string& name) {
  if (name.size() <= kLongestName) return "." + name + ".tmp-";
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return "." + hexadecimal(hash) + ".tmp-";
}

bool is_temporary(std::string_view name, std::string_view prefix) {
  return name.size() == prefix.size() + kDigits && name.starts_with(prefix) &&
         name.find_first_not_of("0123456789abcdef", prefix.size()) == std::string_view::npos;
}

// Whether an open file still is the one that its directory calls `name`.
bool is_named(int fd, int directory, const char* name) {
  struct stat open{}, named{};
  return ::fstat(fd, &open) == 0 && ::fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

// Removes the temporaries of dead writers. What cannot be read, locked or removed stays.
void remove_abandoned(int directory, const std::string& prefix) {
  const int fd = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fd < 0 ? nullptr : ::fdopendir(fd), ::closedir);
  if (!entries) {
    if (fd >= 0) ::close(fd);
    return;
  }
  while (const dirent* entry = ::readdir(entries.get())) {
    const char* name = entry->d_name;
    if (!is_temporary(name, prefix)) continue;
    const Descriptor file(
        ::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (file.get() < 0 || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) continue;
    if (is_named(file.get(), directory, name)) ::unlinkat(directory, name, 0);
  }
}

// A new file, which this writer has locked. It is removed unless it is renamed.
class Temporary {
 public:
  Temporary(int directory, const std::string& prefix, mode_t mode) : directory_(directory) {
    std::random_device random;
    do {
      name_ = prefix + hexadecimal(std::uint64_t{random()} << 32U | random());
      int fd = -1;
      do fd = ::openat(directory, name_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
      while (fd < 0 && errno == EINTR);
      file_.emplace(fd);
      if (fd < 0 && errno != EEXIST) return;
      // On a file system without locks no other writer takes it for abandoned, either.
      while (fd >= 0 && ::flock(fd, LOCK_EX) != 0 && errno == EINTR) {
      }
      // Before it was locked, another writer may have taken it for abandoned.
    } while (file_->get() < 0 || !is_named(file_->get(), directory, name_.c_str()));
    exists_ = true;
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (exists_) ::unlinkat(directory_, name_.c_str(), 0);
  }

  /// -1: it was not made; errno says why.
  [[nodiscard]] int get() const { return file_ ? file_->get() : -1; }
  bool rename(const char* name) {
    if (::renameat(directory_, name_.c_str(), directory_, name) != 0) return false;
    exists_ = false;
    return true;
  }

 private:
  int directory_;
  std::string name_;
  std::optional<Descriptor> file_;
  bool exists_ = false;
};

// Gives a new file the owner and permissions of the one that it replaces. A process that may not
// give files away drops the set-user-ID and set-group-ID bits: they would name the wrong owner.
bool copy_permissions(int fd, const struct stat& old) {
  struct stat own{};
  if (::fstat(fd, &own) != 0) return false;
  mode_t mode = old.st_mode & kPermissions;
  const bool same_owner = own.st_uid == old.st_uid && own.st_gid == old.st_gid;
  if (!same_owner && ::fchown(fd, old.st_uid, old.st_gid) != 0) {
    mode &= ~static_cast<mode_t>(S_ISUID | S_ISGID);
    (void)!::fchown(fd, static_cast<uid_t>(-1), old.st_gid);
  }
  return ::fchmod(fd, mode) == 0;
}

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
  require_regular(status.st_mode, path, where);
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
      fail(where_, "the file became shorter while it was read", {{"path", in_quotes(path_)}});
    out = out.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

void InputMemory::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (out.empty()) return;
  if (offset > bytes_.size() || out.size() > bytes_.size() - offset)
    fail("load", "the bytes end too early", {{"bytes", std::to_string(bytes_.size())}});
  std::memcpy(out.data(), bytes_.data() + offset, out.size());
}

void replace_file(const std::string& path,
                  std::span<const std::span<const std::byte>> pieces,
                  std::string_view where) {
  const std::filesystem::path target = without_links(path, where);
  const std::string folder = target.has_parent_path() ? target.parent_path().string() : ".";
  const std::string name = target.filename().string();
  const Descriptor directory(open_again(folder.c_str(), O_RDONLY | O_DIRECTORY));
  if (directory.get() < 0) fail_with_errno(where, "the directory could not be opened", path);
  if (name.empty()) throw FileError(where, "the path must name a file", EISDIR, path);

  struct stat old{};
  const bool exists = ::fstatat(directory.get(), name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0;
  if (exists) {
    require_regular(old.st_mode, path, where);
    if (::faccessat(directory.get(), name.c_str(), W_OK, AT_EACCESS) != 0)
      fail_with_errno(where, "the file may not be written", path);
  }
  const std::string prefix = temporary_prefix(name);
  remove_abandoned(directory.get(), prefix);

  const mode_t only_owner = S_IRUSR | S_IWUSR;  // until it has the permissions of the old file
  Temporary file(directory.get(), prefix, exists ? only_owner : 0666);
  if (file.get() < 0) fail_with_errno(where, "the file could not be created", path);
  const bool written =
      (!exists || copy_permissions(file.get(), old)) &&
      std::all_of(pieces.begin(),
                  pieces.end(),
                  [&](std::span<const std::byte> piece) { return write_all(file.get(), piece); }) &&
      ::fsync(file.get()) == 0 && file.rename(name.c_str());
  if (!written) fail_with_errno(where, "the file could not be written", path);
  if (!flush_directory(directory.get())) {
    fail_with_errno(where, "the file is written, but its directory could not be flushed", path);
  }
}

}  // namespace chainrule::inline v0_1
