// Which kernel table this process uses.
#include <cstdlib>
#include <string>
#include <string_view>

#include "chainrule/error.h"
#include "isa/table.h"

namespace chainrule::inline v0_1::isa {

#define SET(name, runs_here)     \
  namespace name {               \
  void fill(KernelTable& table); \
  }
#include "isa/sets.def"
#undef SET

namespace {

struct Candidate {
  const char* name;
  bool (*runs_here)();
  void (*fill)(KernelTable&);
};

// Best first.
constexpr Candidate kCandidates[] = {
#define SET(name, runs_here) {#name, [] { return static_cast<bool>(runs_here); }, name::fill},
#include "isa/sets.def"
#undef SET
};

/// Tables of the instruction sets that this CPU runs, filled once.
struct Tables {
  std::vector<KernelTable> all;
  Tables() {
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
    for (const Candidate& candidate : kCandidates) {
      if (candidate.runs_here()) candidate.fill(all.emplace_back());
    }
  }
};

const Tables& tables() {
  static const Tables made;
  return made;
}

}  // namespace

const KernelTable& find_table(std::string_view name) {
  if (name.empty()) return tables().all.front();
  std::string names;
  for (const KernelTable& each : tables().all) {
    if (name == each.name) return each;
    names += (names.empty() ? "" : ", ") + std::string(each.name);
  }
  bool known = false;
  for (const Candidate& candidate : kCandidates) known |= name == candidate.name;
  invalid("CHAINRULE_ISA",
          std::string(known ? "this CPU does not run that instruction set"
                            : "unknown instruction set") +
              "; available here: " + names,
          {{"CHAINRULE_ISA", "'" + std::string(name) + "'"}});
}

std::atomic<const KernelTable*> table_in_use = nullptr;

const KernelTable& first_table() {
  const char* wanted = std::getenv("CHAINRULE_ISA");
  const KernelTable& found = find_table(wanted == nullptr ? "" : wanted);
  table_in_use.store(&found, std::memory_order_release);
  return found;
}

UseTable::UseTable(const KernelTable& table) : saved_(table_in_use.exchange(&table)) {}

UseTable::~UseTable() { table_in_use.store(saved_); }

const KernelTable& reference_table() { return tables().all.back(); }

std::vector<const KernelTable*> available_tables() {
  std::vector<const KernelTable*> found;
  for (const KernelTable& each : tables().all) found.push_back(&each);
  return found;
}

std::vector<const char*> available() {
  std::vector<const char*> names;
  for (const KernelTable& each : tables().all) names.push_back(each.name);
  return names;
}

}  // namespace chainrule::inline v0_1::isa
