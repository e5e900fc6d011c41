#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "base/guards.h"
#include "chainrule/fork_lock.h"
#include "chainrule/tensor.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace chainrule::inline v0_1 {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Bytes of NaN before a buffer and behind it.
std::size_t guard_zone() { return guards_wanted() ? kGuardZone : 0; }

/// Large buffers start on a huge page.
std::align_val_t alignment_of(std::size_t bytes) {
  return std::align_val_t{bytes >= kHugePage / 2 ? kHugePage : kAlignment};
}

}  // namespace

/// The content of a buffer in the memory of a device, and which of the two sides is current.
struct Buffer::Mirror {
  ForkLock lock;  // guards the rest
  DeviceBlock block;
  bool host_is_current = true, device_is_current = false;
  bool only_on_device = false;  // the host has no memory for the content

  /// Makes the host's side current. The caller holds the lock.
  void bring_home(std::byte* data, std::size_t bytes) {
    if (only_on_device) {
      fail("Buffer",
           "memory of a device can be read by its programs alone",
           {{"device", block.device->name()}});
    }
    if (!host_is_current && bytes > 0) block.device->download(data, block.memory.get(), bytes);
    host_is_current = true;
  }
};

std::atomic<int> Buffer::mirrors_{0};

Buffer::Buffer(std::size_t bytes) : bytes_(bytes) {
  const bool large = bytes >= kHugePage / 2;
  const std::size_t zone = guard_zone();
  const std::size_t room =
      (large ? (bytes + kHugePage - 1) / kHugePage * kHugePage : bytes) + 2 * zone;
  auto* const memory =
      static_cast<std::byte*>(::operator new(room, alignment_of(bytes), std::nothrow));
  if (memory == nullptr) {
    fail("memory",
         "the system must have enough memory for the buffer",
         {{"bytes", std::to_string(bytes)}});
  }
#if defined(__linux__)
  // A hint: matrices whose rows lie pages apart would otherwise miss the TLB row by row.
  if (large) (void)madvise(memory, room, MADV_HUGEPAGE);
#endif
  data_ = memory + zone;
  std::memset(memory, 0xff, zone);
  std::memset(data_, 0, bytes);
  std::memset(data_ + bytes, 0xff, zone);
}

Buffer::Buffer(DeviceBlock block, std::size_t bytes)
    : data_(block.memory.get()), bytes_(bytes), owned_(false) {
  Mirror& made = mirror();
  made.block = std::move(block);
  made.host_is_current = false;
  made.device_is_current = made.only_on_device = true;
}

Buffer::~Buffer() {
  if (Mirror* const made = mirror_.load(std::memory_order_acquire)) {
    delete made;
    mirrors_.fetch_sub(1, std::memory_order_relaxed);
  }
  if (owned_) ::operator delete(data_ - guard_zone(), alignment_of(bytes_));
}

// --- devices -------------------------------------------------------------------------------------

Buffer::Mirror& Buffer::mirror() const {
  Mirror* present = mirror_.load(std::memory_order_acquire);
  if (present != nullptr) return *present;
  auto made = std::make_unique<Mirror>();
  mirrors_.fetch_add(1, std::memory_order_relaxed);
  if (mirror_.compare_exchange_strong(present, made.get(), std::memory_order_acq_rel))
    return *made.release();
  mirrors_.fetch_sub(1, std::memory_order_relaxed);  // another thread was faster
  return *present;
}

void Buffer::bring_home(bool to_write) const {
  Mirror& other = mirror();
  const std::lock_guard guard(other.lock);
  other.bring_home(data_, bytes_);
  if (to_write) other.device_is_current = false;
}

bool Buffer::is_on_device_only() const {
  const Mirror* const other = mirror_.load(std::memory_order_acquire);
  return other != nullptr && other->only_on_device;
}

DeviceBlock Buffer::block_on(const std::shared_ptr<DeviceMemory>& device) const {
  Mirror& other = mirror();
  const std::lock_guard guard(other.lock);
  if (other.block.device != device) {
    other.bring_home(data_, bytes_);
    other.block = {device, device->allocate(std::max(bytes_, kAlignment))};
    other.device_is_current = false;
  }
  return other.block;
}

void Buffer::bring_to(const DeviceBlock& block) const {
  Mirror& other = mirror();
  const std::lock_guard guard(other.lock);
  if (other.block != block) {
    other.bring_home(data_, bytes_);
    other.block = block;
    other.device_is_current = false;
  }
  if (!other.device_is_current && bytes_ > 0)
    block.device->upload(block.memory.get(), data_, bytes_);
  other.device_is_current = true;
}

void Buffer::changed_on(const DeviceBlock& block) const {
  Mirror& other = mirror();
  const std::lock_guard guard(other.lock);
  other.block = block;
  other.device_is_current = true;
  other.host_is_current = false;
}

}  // namespace chainrule::inline v0_1
