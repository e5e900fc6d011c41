#include "chainrule/config.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <typeinfo>
#include <utility>

#include "nn/catalog.h"
#include "nn/own_classes.h"

namespace chainrule {

const Rule positive{"the value must be positive", [](const Json& v) { return v.as_double() > 0; }};
const Rule not_negative{"the value must not be negative",
                        [](const Json& v) { return v.as_double() >= 0; }};
const Rule unit_interval{"the value must be in [0, 1)",
                         [](const Json& v) { return v.as_double() >= 0 && v.as_double() < 1; }};
const Rule closed_unit_interval{"the value must be in [0, 1]", [](const Json& v) {
                                  return v.as_double() >= 0 && v.as_double() <= 1;
                                }};

namespace {

std::string python_text(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::null:
      return "None";
    case Json::Kind::boolean:
      return value.as_bool() ? "True" : "False";
    case Json::Kind::string:
      return "'" + value.as_string() + "'";
    case Json::Kind::object:
      if (const Json* name = value.find("class_name")) {
        if (name->as_string() == "DTypePolicy")
          return "'" + value.at("config").at("name").as_string() + "'";
        return name->as_string() + "()";
      }
      return value.dump();
    default:
      return value.dump();
  }
}

/// A value as errors show it.
std::string shown(const Json& value) {
  constexpr std::size_t most = 100;
  if (value.kind() == Json::Kind::number && !std::isfinite(value.as_double()))
    return std::to_string(value.as_double());
  const std::string text = python_text(value);
  return text.size() <= most ? text : text.substr(0, most) + "...";
}

/// A whole number is an integer however it is written: 3.0, which a division gives, is 3.
Json as_integer(const Json& value) {
  if (value.kind() != Json::Kind::number) return value;
  const double number = value.as_double();
  const bool whole = number == std::floor(number) && std::abs(number) < 0x1p63;
  return whole ? Json(static_cast<std::int64_t>(number)) : value;
}

bool is_integer(const Json& value) { return value.kind() == Json::Kind::integer; }

/// Makes the value of a field of a plain type what the type wants; returns what it must be if that
/// cannot be, else null. Other types read themselves.
const char* fit_type(std::string_view type, Json& value) {
  constexpr std::string_view optional = " | None";
  if (type.ends_with(optional)) {
    if (value.is_null()) return nullptr;
    type.remove_suffix(optional.size());
  }
  if (type == "int") {
    value = as_integer(value);
    return is_integer(value) ? nullptr : "an integer";
  }
  if (type == "float") {
    if (value.kind() != Json::Kind::number && !is_integer(value)) return "a number";
    return std::isfinite(value.as_double()) ? nullptr : "finite";
  }
  if (type == "bool") return value.kind() == Json::Kind::boolean ? nullptr : "True or False";
  if (type == "str") return value.kind() == Json::Kind::string ? nullptr : "a string";
  if (type == "tuple[int, ...]") {
    if (value.kind() != Json::Kind::array) value = Json::Array{value};
    Json::Array items = value.as_array();
    for (Json& item : items) item = item.is_null() ? Json(-1) : as_integer(item);  // unknown
    const bool all = std::all_of(items.begin(), items.end(), is_integer);
    value = std::move(items);
    return all ? nullptr : "integers";
  }
  return nullptr;
}

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
    Json fitting = *value;
    if (const char* must = fit_type(info.type, fitting))
      invalid(where_, info.name + " must be " + must, {{info.name, shown(*value)}});
    try {
      set(fitting);
    } catch (const InvalidArgument& error) {
      // The inner message has its own end.
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
  // Listing reads fields only; the interface is shared with the reader, which writes them.
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
    if (typeid(*made) == typeid(*this)) defaults = list_fields(*made);
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

}  // namespace chainrule
