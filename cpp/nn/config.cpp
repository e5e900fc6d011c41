#include "chainrule/config.h"

#include <algorithm>
#include <cctype>
#include <typeinfo>
#include <utility>

#include "nn/catalog.h"
#include "nn/own_classes.h"

namespace chainrule::inline v0_1 {

namespace {

class Lister final : public Fields {
 public:
  std::vector<FieldInfo> infos;

 private:
  void visit(const FieldInfo& info, const std::function<void(const Json&)>& set) override {
    (void)set;
    infos.push_back(info);
  }
};

class Reader final : public Fields {
 public:
  Reader(const Json& config, std::string where) : config_(config), where_(std::move(where)) {}

  void finish() const {
    for (const auto& [name, value] : config_.as_object()) {
      if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
        invalid(where_,
                "there is no argument '" + name + "'" + did_you_mean(name, known_),
                {{name, shown(value)}});
      }
    }
  }

 private:
  void visit(const FieldInfo& info, const std::function<void(const Json&)>& set) override {
    known_.push_back(info.name);
    const Json* value = config_.find(info.name);
    if (value == nullptr) {
      if (info.required) invalid(where_, "the argument '" + info.name + "' is required");
      return;
    }
    const Json fitting = fitted(where_, info.name, info.type, *value);
    try {
      set(fitting);
    } catch (const InvalidArgument& error) {
      // The inner message ends with what was received.
      throw InvalidArgument("[" + where_ + "] argument '" + info.name + "': " + error.message());
    }
  }

  const Json& config_;
  std::string where_;
  std::vector<std::string> known_;
};

}  // namespace

std::vector<FieldInfo> list_fields(Configurable& object) {
  Lister lister;
  object.fields(lister);
  return lister.infos;
}

Json Configurable::config() const {
  Json result = Json::object();
  // Listing only reads fields. fields() is not const, because the Reader sets them.
  for (FieldInfo& info : list_fields(const_cast<Configurable&>(*this))) {
    result.set(info.name, std::move(info.default_value));
  }
  return result;
}

Json Configurable::serialize() const {
  return Json::object({{"class_name", class_name()}, {"config", config()}});
}

std::string Configurable::repr() const {
  std::string text;
  std::vector<FieldInfo> defaults;
  const auto look_at = [&](const ClassInfo& info) {
    if (info.name != class_name()) return;
    const std::shared_ptr<Configurable> made = info.make();  // a loss and a metric share names
    Configurable& object = *made;
    if (typeid(object) == typeid(*this)) defaults = list_fields(object);
  };
  for (const Kind kind : kinds()) {
    for (const ClassInfo& info : catalog().classes(kind)) look_at(info);
    if (const ClassInfo* info = find_own_class(kind, class_name())) look_at(*info);
  }
  const Json all = config();
  for (const auto& [name, value] : all.as_object()) {
    const auto same = [&, &name = name, &value = value](const FieldInfo& info) {
      return info.name == name && !info.required && info.default_value == value;
    };
    if (std::any_of(defaults.begin(), defaults.end(), same)) continue;
    text += (text.empty() ? "" : ", ") + name + "=" + python_text(value);
  }
  return class_name() + "(" + text + ")";
}

void configure(Configurable& object, const Json& config) {
  Reader reader(config, object.class_name());
  object.fields(reader);
  reader.finish();
  object.validate();
}

void check_fields(Configurable& object) {
  for (const FieldInfo& info : list_fields(object))
    info.rule.check(object.class_name(), info.name, info.default_value);
  object.validate();
}

// --- catalog -------------------------------------------------------------------------------------

std::string_view name_of(Kind kind) {
#define CHAINRULE_KIND(name, Base) #name,
  constexpr std::string_view names[] = {CHAINRULE_KINDS(CHAINRULE_KIND)};
#undef CHAINRULE_KIND
  return names[static_cast<std::size_t>(kind)];
}

std::span<const Kind> kinds() {
#define CHAINRULE_KIND(name, Base) Kind::name,
  static constexpr Kind all[] = {CHAINRULE_KINDS(CHAINRULE_KIND)};
#undef CHAINRULE_KIND
  return all;
}

void Catalog::add(Kind kind, ClassInfo info) { classes_[kind].push_back(std::move(info)); }

const std::vector<ClassInfo>& Catalog::classes(Kind kind) const {
  static const std::vector<ClassInfo> none;
  const auto it = classes_.find(kind);
  return it == classes_.end() ? none : it->second;
}

const ClassInfo& Catalog::find(Kind kind, std::string_view name) const {
  std::vector<std::string> known;
  for (const ClassInfo& info : classes(kind)) {
    if (name == info.name || name == snake_case(info.name)) return info;
    if (std::find(info.aliases.begin(), info.aliases.end(), name) != info.aliases.end())
      return info;
    known.push_back(info.name);
    if (snake_case(info.name) != info.name) known.push_back(snake_case(info.name));
    known.insert(known.end(), info.aliases.begin(), info.aliases.end());
  }
  if (const ClassInfo* info = find_own_class(kind, name)) return *info;
  const std::vector<std::string> own = own_class_names(kind);
  known.insert(known.end(), own.begin(), own.end());
  invalid(name_of(kind),
          "there is no '" + std::string(name) + "' here" + did_you_mean(name, known),
          {{"name", "'" + std::string(name) + "'"}});
}

const Catalog& catalog() {
  static const Catalog instance = [] {
    Catalog all;
    register_all(all);
    return all;
  }();
  return instance;
}

std::string snake_case(std::string_view class_name) {
  // An underscore goes before each capital that begins a word: "MLPLayer" -> "mlp_layer".
  std::string result;
  for (std::size_t i = 0; i < class_name.size(); ++i) {
    const bool upper = std::isupper(static_cast<unsigned char>(class_name[i])) != 0;
    const bool after_lower =
        i > 0 && std::isupper(static_cast<unsigned char>(class_name[i - 1])) == 0;
    const bool before_lower = i + 1 < class_name.size() &&
                              std::islower(static_cast<unsigned char>(class_name[i + 1])) != 0;
    if (upper && i > 0 && class_name[i - 1] != '_' && (after_lower || before_lower)) result += '_';
    result += static_cast<char>(std::tolower(static_cast<unsigned char>(class_name[i])));
  }
  return result;
}

std::shared_ptr<Configurable> deserialize(Kind kind, const Json& spec) {
  if (spec.kind() == Json::Kind::string) {
    std::shared_ptr<Configurable> object = catalog().find(kind, spec.as_string()).make();
    configure(*object, Json::object());
    return object;
  }
  if (spec.kind() != Json::Kind::object) {
    invalid(name_of(kind),
            "a name or {\"class_name\": ..., \"config\": {...}} is needed",
            {{"kind", std::string(name_of(spec.kind()))}});
  }
  std::shared_ptr<Configurable> object =
      catalog().find(kind, spec.at("class_name").as_string()).make();
  const Json* config = spec.find("config");
  configure(*object, config == nullptr || config->is_null() ? Json::object() : *config);
  return object;
}

}  // namespace chainrule::inline v0_1
