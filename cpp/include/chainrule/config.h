// Describe a thing once: a layer, loss, metric, optimizer or initializer lists its fields in one
// function, and from that list come get_config, from_config, repr, the Python signature and
// docstring, and the errors.
//
//     void Dropout::fields(Fields& f) {
//       f("rate", rate, "Fraction of the inputs to drop.", unit_interval);
//     }
#pragma once

// Chainrule asks objects for their class at run time, those of a program's own classes among them.
#if defined(__GNUC__) && !defined(__GXX_RTTI) || defined(_MSC_VER) && !defined(_CPPRTTI)
#error "Chainrule's models need run-time type information: compile without -fno-rtti"
#endif

#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "chainrule/error.h"
#include "chainrule/fields.h"
#include "chainrule/json.h"

namespace chainrule::inline v0_1 {

class Fields;

/// An object that is described by its fields. So it can be saved, printed, and made from a
/// configuration.
class Configurable {
 public:
  Configurable() = default;
  Configurable(const Configurable&) = default;
  Configurable& operator=(const Configurable&) = default;
  virtual ~Configurable() = default;

  /// The name under which the class is registered, that of Keras: "Dense", "Adam".
  [[nodiscard]] virtual std::string class_name() const = 0;
  /// Shows every field to `f`, in the order of the constructor's arguments.
  virtual void fields(Fields& f) = 0;
  /// Checks that need more than one field. Throws InvalidArgument. Called once all fields are set.
  virtual void validate() {}

  /// Field names and values: the argument of from_config.
  [[nodiscard]] virtual Json config() const;
  /// {"class_name": ..., "config": {...}}: what deserialize() reads.
  [[nodiscard]] Json serialize() const;
  /// `Dense(units=10, activation='relu')`: the fields that differ from their defaults.
  [[nodiscard]] std::string repr() const;
};

/// A visitor of fields, which lists them or sets them. It sees all values as JSON.
class Fields {
 public:
  virtual ~Fields() = default;

  template <class T>
  void operator()(std::string_view name, T& member, std::string_view doc, Rule rule = {}) {
    field(name, member, doc, rule, false);
  }
  template <class T>
  void operator()(
      std::string_view name, T& member, Required, std::string_view doc, Rule rule = {}) {
    field(name, member, doc, rule, true);
  }

 protected:
  /// `set` checks a new value and stores it. If it throws InvalidArgument, nothing has changed.
  virtual void visit(const FieldInfo& info, const std::function<void(const Json&)>& set) = 0;

 private:
  template <class T>
  void field(std::string_view name, T& member, std::string_view doc, Rule rule, bool is_required) {
    visit({std::string(name),
           FieldType<T>::name(),
           std::string(doc),
           is_required,
           FieldType<T>::write(member),
           rule},
          [&](const Json& value) {
            rule.check(name, name, value);
            member = FieldType<T>::read(value);
          });
  }
};

/// The fields of an object with its present values as defaults.
std::vector<FieldInfo> list_fields(Configurable& object);

/// Sets fields from a JSON object. Unknown names (with the nearest valid ones), missing required
/// fields, wrong types and values that break a rule throw InvalidArgument. Some fields may have
/// been set by then, so use it on new objects only.
void configure(Configurable& object, const Json& config);

/// Checks an object whose fields were set in C++, as configure() does: the rules of its fields,
/// then validate(). Throws InvalidArgument.
void check_fields(Configurable& object);

// --- the catalog --------------------------------------------------------------------------------

/// The one list of all kinds of configurable classes: KIND(name, base class). The names are those
/// of Keras's modules, where Keras has one.
#define CHAINRULE_KINDS(KIND)     \
  KIND(layers, Layer)             \
  KIND(losses, Loss)              \
  KIND(metrics, Metric)           \
  KIND(optimizers, Optimizer)     \
  KIND(initializers, Initializer) \
  KIND(training_steps, TrainingStep)

#define CHAINRULE_KIND(name, Base) name,
enum class Kind : std::uint8_t { CHAINRULE_KINDS(CHAINRULE_KIND) };
#undef CHAINRULE_KIND

std::string_view name_of(Kind kind);  ///< "layers"
std::span<const Kind> kinds();        ///< all of them

/// A class that can be made by name.
struct ClassInfo {
  std::string name;                  ///< "GlorotUniform"; "glorot_uniform" is accepted, too
  std::vector<std::string> aliases;  ///< "mse"
  std::string doc;                   ///< meaning, shapes, source; without the fields
  std::function<std::shared_ptr<Configurable>()> make;
};

/// The library's classes, by kind. Filled on first use from every file of cpp/nn/<kind> (see
/// cmake/tables.cmake).
class Catalog {
 public:
  void add(Kind kind, ClassInfo info);
  /// A class by its name, the name's snake_case form, or an alias; it may be one that
  /// register_class() has added. Throws InvalidArgument, with the nearest names.
  [[nodiscard]] const ClassInfo& find(Kind kind, std::string_view name) const;
  [[nodiscard]] const std::vector<ClassInfo>& classes(Kind kind) const;

 private:
  std::map<Kind, std::vector<ClassInfo>> classes_;
};
const Catalog& catalog();

/// "GlorotUniform" -> "glorot_uniform", as Keras writes it.
std::string snake_case(std::string_view class_name);

/// Makes an object from a name ("adam") or from {"class_name": ..., "config": {...}}.
std::shared_ptr<Configurable> deserialize(Kind kind, const Json& spec);

// --- classes of a program's own -----------------------------------------------------------------

#define CHAINRULE_KIND(name, Base) class Base;
CHAINRULE_KINDS(CHAINRULE_KIND)
#undef CHAINRULE_KIND

namespace internal {
template <class T>
consteval Kind kind_by_base() {
#define CHAINRULE_KIND(name, Base)                                 \
  if constexpr (std::is_base_of_v<Base, T>) { /* complete types */ \
    return Kind::name;                                             \
  } else
  CHAINRULE_KINDS(CHAINRULE_KIND) {
    static_assert(sizeof(T) == 0, "T must derive from a base class of CHAINRULE_KINDS");
  }
#undef CHAINRULE_KIND
}
}  // namespace internal

/// The kind of a class, by its base.
template <class T>
constexpr Kind kind_of = internal::kind_by_base<T>();

/// Registers a class of the program's own by its class_name(): for load_model, clone_model and
/// everything that takes a name or a configuration. T() must work; its fields are set afterwards.
/// Once for the process; to register the same class again does nothing. Throws InvalidArgument when
/// a class of the library, or another one of the program's own, has the name.
///
///     register_class<SignDescent>();
///     model.compile({.optimizer = "sign_descent", .loss = {"mse"}});
template <class T>
void register_class();
/// The same for a class that is not made by T(). `type` identifies the class.
void register_class(Kind kind, const std::type_info& type, ClassInfo info);

template <class T>
void register_class() {
  static_assert(std::is_default_constructible_v<T>, "T() makes the object whose fields are set");
  register_class(
      kind_of<T>, typeid(T), {T().class_name(), {}, "", [] { return std::make_shared<T>(); }});
}

/// An object that is given as an option: by pointer, by name, or by value, which is moved or
/// copied. It is used like the pointer.
///
///     {.optimizer = optimizers::Adam()}    {.optimizer = "adam"}    {.optimizer = SignDescent()}
template <class Base>
struct Option : std::shared_ptr<Base> {
  using std::shared_ptr<Base>::shared_ptr;
  Option() = default;
  Option(std::shared_ptr<Base> object) : std::shared_ptr<Base>(std::move(object)) {}  // NOLINT
  /// Throws InvalidArgument for an unknown name, with the nearest ones.
  Option(const char* name)  // NOLINT(google-explicit-constructor)
      : Option(std::static_pointer_cast<Base>(deserialize(kind_of<Base>, Json(name)))) {}
  template <class T>
    requires std::derived_from<std::remove_cvref_t<T>, Base>
  Option(T&& object)  // NOLINT(google-explicit-constructor)
      : Option(std::shared_ptr<Base>(
            std::make_shared<std::remove_cvref_t<T>>(std::forward<T>(object)))) {}
};

}  // namespace chainrule::inline v0_1
