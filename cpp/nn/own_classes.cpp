#include "nn/own_classes.h"

#include <deque>
#include <mutex>
#include <utility>

#include "chainrule/fork_lock.h"

namespace chainrule::inline v0_1 {
namespace {

struct OwnClass {
  Kind kind;
  const std::type_info* type;
  ClassInfo info;
};

struct OwnClasses {
  GlobalLock mutex;
  std::deque<OwnClass> all;  // addresses are stable; none is ever removed
};

OwnClasses& own() {
  static auto* const instance = new OwnClasses;  // threads may outlive main()
  return *instance;
}

bool is_called(const ClassInfo& info, std::string_view name) {
  return name == info.name || name == snake_case(info.name);
}

bool is_library_name(Kind kind, const std::string& name) {
  for (const ClassInfo& info : catalog().classes(kind)) {
    if (snake_case(info.name) == snake_case(name)) return true;
    for (const std::string& alias : info.aliases) {
      if (alias == name || alias == snake_case(name)) return true;
    }
  }
  return kind == Kind::layers && (name == "Sequential" || name == "Functional");
}

}  // namespace

void register_class(Kind kind, const std::type_info& type, ClassInfo info) {
  const auto refuse = [&](const char* rule) {
    invalid("register_class",
            rule,
            {{"class_name", "'" + info.name + "'"}, {"kind", std::string(name_of(kind))}});
  };
  if (info.name.empty()) refuse("class_name() must not be empty");
  if (!info.make) refuse("a function that makes the object is needed");
  if (is_library_name(kind, info.name))
    refuse("the name is that of one of the library's classes: choose another");
  const std::lock_guard lock(own().mutex);
  for (const OwnClass& known : own().all) {
    if (known.kind != kind || snake_case(known.info.name) != snake_case(info.name)) continue;
    if (*known.type == type) return;
    refuse("another class is registered under this name: files could mean either");
  }
  own().all.push_back({kind, &type, std::move(info)});
}

const ClassInfo* find_own_class(Kind kind, std::string_view name) {
  const std::lock_guard lock(own().mutex);
  for (const OwnClass& known : own().all) {
    if (known.kind == kind && is_called(known.info, name)) return &known.info;
  }
  return nullptr;
}

std::vector<std::string> own_class_names(Kind kind) {
  std::vector<std::string> names;
  const std::lock_guard lock(own().mutex);
  for (const OwnClass& known : own().all) {
    if (known.kind != kind) continue;
    names.push_back(known.info.name);
    names.push_back(snake_case(known.info.name));
  }
  return names;
}

}  // namespace chainrule::inline v0_1
