// How files are replaced: permissions, links, long names, what killed writers leave, and the
// system's errors.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/utf8.h"
#include "chainrule/error.h"
#include "io/file.h"
#include "temporary_directory.h"
#include "test.h"

namespace chainrule {
namespace {

namespace fs = std::filesystem;
using test::TemporaryDirectory;

void replace(const std::string& path, const std::string& content) {
  const std::span<const std::byte> piece = std::as_bytes(std::span(content));
  replace_file(path, {&piece, 1}, "save");
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void put(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::vector<std::string> names_in(const TemporaryDirectory& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory.path()))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

mode_t mode_of(const std::string& path) {
  struct stat status{};
  ::stat(path.c_str(), &status);
  return status.st_mode & 07777;
}

/// The code of the FileError that `run` throws; 0: it threw none.
template <class F>
int code_of(const F& run) {
  try {
    run();
  } catch (const FileError& error) {
    return error.code();
  }
  return 0;
}

}  // namespace

TEST("files: one that exists keeps its permissions, a new one gets those of the umask") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("m");
  const mode_t mask = ::umask(027);
  replace(path, "new");
  CHECK_EQ(mode_of(path), 0640);
  for (const mode_t mode : {0600, 0644, 0666, 0640, 0700}) {
    ::chmod(path.c_str(), mode);
    replace(path, "again");
    CHECK_EQ(mode_of(path), mode);
  }
  ::umask(mask);
  CHECK_EQ(content_of(path), "again");
}

TEST("files: links are followed, also in chains and to what is not there yet") {
  const TemporaryDirectory directory;
  fs::create_directory(directory.path() / "far");
  fs::create_symlink("far/target", directory.path() / "near");
  fs::create_symlink(directory.path() / "near", directory.path() / "link");
  for (const char* content : {"first", "second"}) {
    replace(directory.file("link"), content);
    CHECK_EQ(content_of(directory.file("far/target")), content);
    CHECK(fs::is_symlink(directory.path() / "link"));
    CHECK(fs::is_symlink(directory.path() / "near"));
  }
  fs::create_symlink("round", directory.path() / "round");
  CHECK_EQ(code_of([&] { replace(directory.file("round"), "x"); }), ELOOP);
  fs::create_symlink("nowhere/target", directory.path() / "lost");
  CHECK_EQ(code_of([&] { replace(directory.file("lost"), "x"); }), ENOENT);
}

TEST("files: names may have all of the 255 bytes that a directory takes") {
  const TemporaryDirectory directory;
  for (const std::size_t length : {199U, 200U, 201U, 234U, 255U}) {
    const std::string name(length, 'n');
    replace(directory.file(name), name);
    CHECK_EQ(content_of(directory.file(name)), name);
  }
  CHECK_EQ(names_in(directory).size(), 5);
  CHECK_EQ(code_of([&] { replace(directory.file(std::string(256, 'n')), "x"); }), ENAMETOOLONG);
}

TEST("files: what killed writers left is removed by the next of that name, and nothing else is") {
  const TemporaryDirectory directory;
  const std::string digits = "0123456789abcdef";
  const std::string kept[] = {".m.tmp-0123456789abcdeg",
                              ".m.tmp-0123456789abcde",
                              ".m.tmp-0123456789abcdef0",
                              "m.tmp-" + digits,
                              ".m2.tmp-" + digits,
                              ".m.tmp-" + digits + ".tmp-" + digits,
                              ".m.tmp-" + std::string(16, 'f')};
  for (const std::string& other : kept) put(directory.file(other), "kept");
  put(directory.file(".m.tmp-" + digits), "left");
  put(directory.file(".m.tmp-0000000000000000"), "left");
  // As a writer at work holds it: locked.
  const Descriptor at_work(::open(directory.file(kept[6]).c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(::flock(at_work.get(), LOCK_EX | LOCK_NB) == 0);

  replace(directory.file("m"), "content");
  std::vector<std::string> expected(std::begin(kept), std::end(kept));
  expected.emplace_back("m");
  std::ranges::sort(expected);
  CHECK(names_in(directory) == expected);
}

TEST("files: writers of one name at once, in many threads, leave one whole file") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("m");
  std::vector<std::thread> threads;
  for (const char letter : {'a', 'b', 'c', 'd'}) {
    threads.emplace_back([&path, letter] {
      for (int i = 0; i < 25; ++i) replace(path, std::string(20'000, letter));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string content = content_of(path);
  CHECK_EQ(content, std::string(20'000, content.at(0)));
  CHECK_EQ(names_in(directory).size(), 1);
}

TEST("files: errors of the system have their code and their path") {
  const TemporaryDirectory directory;
  const std::string absent = directory.file("absent");
  CHECK_EQ(code_of([&] { InputFile(absent, "load"); }), ENOENT);
  CHECK_EQ(code_of([&] { InputFile(directory.path().string(), "load"); }), EISDIR);
  CHECK_EQ(code_of([&] { replace(directory.path().string(), "x"); }), EISDIR);
  CHECK_EQ(code_of([&] { replace(directory.path().string() + "/", "x"); }), EISDIR);
  CHECK_EQ(code_of([&] { replace(absent + "/m", "x"); }), ENOENT);
  put(directory.file("file"), "");
  CHECK_EQ(code_of([&] { replace(directory.file("file/m"), "x"); }), ENOTDIR);
  CHECK_EQ(code_of([&] { replace("/dev/full/m", "x"); }), ENOTDIR);
  try {
    const InputFile file(absent, "load");
    CHECK(false);
  } catch (const FileError& error) {
    CHECK_EQ(error.path(), absent);
    CHECK_EQ(error.reason(), "[load] the file could not be opened: No such file or directory");
    CHECK_EQ(std::string(error.what()), error.reason() + ". Received: path='" + absent + "'");
  }
  if (::geteuid() == 0) return;  // who may do everything
  fs::permissions(directory.path() / "file", fs::perms::owner_read);
  CHECK_EQ(code_of([&] { replace(directory.file("file"), "x"); }), EACCES);
  fs::permissions(directory.path(), fs::perms::owner_read | fs::perms::owner_exec);
  CHECK_EQ(code_of([&] { replace(directory.file("new"), "x"); }), EACCES);
  fs::permissions(directory.path(), fs::perms::owner_all);
}

TEST("files: a path that is no UTF-8 is shown with the bytes that are none") {
  CHECK_EQ(in_quotes("a\xff\n\u00e9"), "'a\\xff\\x0a\u00e9'");
  const TemporaryDirectory directory;
  replace(directory.file("\xff"), "x");
  CHECK_EQ(content_of(directory.file("\xff")), "x");
  CHECK_THROWS(InputFile(directory.file("\xfe"), "load"), "\\xfe'");
}

}  // namespace chainrule
