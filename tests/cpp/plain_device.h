// A device made of the plain interpreter: memory that the host cannot touch, and each op computed
// by loops in double and rounded to its type where it is stored.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/device.h"

namespace chainrule::test {

/// Its memory lies in pages without access, which are opened only within its own copies and steps,
/// where they touch them: whoever else looks there dies at once. Copies are counted by their size.
/// Integers beyond 2^53 are refused.
class PlainDevice : public Device {
 public:
  /// `missing`: ops that it is to have no lowerings of.
  explicit PlainDevice(std::set<std::string> missing = {}) : missing_(std::move(missing)) {}

  [[nodiscard]] std::string name() const override { return "plain"; }
  [[nodiscard]] std::shared_ptr<std::byte> allocate(std::size_t bytes) override;
  void upload(std::byte* to, const std::byte* from, std::size_t bytes) override;
  void download(std::byte* to, const std::byte* from, std::size_t bytes) override;
  void copy(std::byte* to, const std::byte* from, std::size_t bytes) override;
  [[nodiscard]] PreparedCall prepare(const Node& node) override;
  [[nodiscard]] bool all_finite(const Exec& exec, std::span<const DeviceArray> values) override;
  void synchronize() override {}

  /// How many copies there were of each number of bytes.
  using Counts = std::map<std::size_t, int>;
  Counts uploads, downloads;
  std::int64_t steps = 0;  ///< of ops, not of copies
  /// Blocks that are there now.
  [[nodiscard]] std::size_t blocks();

 private:
  using Ranges = std::vector<std::pair<const std::byte*, std::size_t>>;
  /// Access to ranges of the device's memory, each inside a block, while it lives.
  class Open {
   public:
    Open(PlainDevice& device, const Ranges& ranges);
    ~Open();
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

   private:
    [[nodiscard]] bool protect(int access) const;
    const std::lock_guard<std::mutex> guard_;
    Ranges pages_;
  };

  std::set<std::string> missing_;
  std::mutex mutex_;  // guards what is below, the counts, and access
  std::map<const std::byte*, std::size_t> blocks_;
};

}  // namespace chainrule::test
