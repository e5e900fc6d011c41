// Describe a thing once: a layer, loss, metric, optimizer or initializer lists its fields in one
// function, and from that list come get_config, from_config, repr, the Python signature and
// docstring, and the errors.
//
//     void Dropout::fields(Fields& f) {
//       f("rate", rate, "Fraction of the inputs to drop.", unit_interval);
//     }
#pragma once

// Objects are asked for their class, and classes of a program's own are derived from those here.
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

/// What can be described by fields, and so saved, printed and made from a configuration.
class Configurable {
 public:
  Configurable() = default;
  Configurable(const Configurable&) = default;
  Configurable& operator=(const Configurable&) = default;
  virtual ~Configurable() = default;

  /// The name under which the class is registered, Keras's: "Dense", "Adam".
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

/// Shows fields to a reader, a writer or a lister, which all see them as JSON.
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
  /// `set` checks a new value and stores it; throws InvalidArgument without having changed
  /// anything.
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
/// fields, wrong types and values that break a rule throw InvalidArgument; then some fields may
/// have been set, so do this to a new object.
void configure(Configurable& object, const Json& config);

/// Checks an object whose fields were set in C++ as configure() checks those it sets: their rules,
/// then validate(). Throws InvalidArgument.
void check_fields(Configurable& object);

// --- the catalog --------------------------------------------------------------------------------

/// What kinds of things there are: KIND(name, base class). Names are Keras's modules. This is the
/// one list of them.
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

/// One class that can be made by name.
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
  /// By class name, its snake_case form, or an alias; also what register_class() has added. Throws
  /// InvalidArgument naming the nearest.
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

/// Makes a class of the program's own known by its class_name(): to load_model, clone_model and
/// everything that takes a name or a configuration. T() must work; its fields are set afterwards.
/// Once for the process; the same class again is fine. Throws InvalidArgument when the library, or
/// another class of the program's own, has the name.
///
///     register_class<SignDescent>();
///     model.compile({.optimizer = "sign_descent", .loss = {"mse"}});
template <class T>
void register_class();
/// The same for a class that is made otherwise. `type` says which class it is.
void register_class(Kind kind, const std::type_info& type, ClassInfo info);

template <class T>
void register_class() {
  static_assert(std::is_default_constructible_v<T>, "T() makes the object whose fields are set");
  register_class(
      kind_of<T>, typeid(T), {T().class_name(), {}, "", [] { return std::make_shared<T>(); }});
}

/// An object that is given as an option: by pointer, by name, or as a plain object of a class of
/// the library's or one's own, which is moved or copied. Reads as the pointer.
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
