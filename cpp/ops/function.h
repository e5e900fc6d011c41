// A function of tensors, described once, in the file of its op: name, meaning, parameters with
// defaults, and what it computes. From it follow the declaration in the public header, the function
// of chainrule.ops with its signature, docstring and errors, the type stub and the reference page,
// what functional models hold where symbols were computed with, and what their files say (compute()
// in chainrule/layers.h).
//
//     std::vector<Function> softmax_functions() {
//       return {function("softmax",
//                        "exp(x) / sum(exp(x)) along an axis.",
//                        softmax,
//                        operand("x", "A floating tensor."),
//                        option("axis", -1, "The axis whose elements sum to 1."))};
//     }
//
// Each file cpp/ops/<stem>.cpp that has functions defines `std::vector<Function>
// <stem>_functions()`; the build makes the table of all (cmake/tables.cmake), and `dev.py generate`
// writes what is text.
#pragma once

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "chainrule/error.h"
#include "chainrule/fields.h"
#include "chainrule/ops.h"

namespace chainrule::inline v0_1 {

/// A parameter of a function: a tensor, or an option, which is plain data.
struct Parameter {
  FieldInfo info;  ///< Python's name and default; the type follows from the C++ function
  bool is_operand = false;
  std::string stored;          ///< an option's name in configurations
  std::optional<Json> absent;  ///< what a configuration without it means, if not the default
  Rule rule;
  /// Replaces null by the value that it stands for; other values stay as they are.
  Json (*settled)(const Json& value) = nullptr;

  // Copies of this parameter, with one thing changed.

  /// With another name in configurations than in Python.
  [[nodiscard]] Parameter stored_as(std::string name) const;
  /// With another meaning of configurations without it than Python's default.
  [[nodiscard]] Parameter if_absent(Json value) const;
  /// With another type for Python's checks than that of the C++ parameter.
  [[nodiscard]] Parameter of_type(std::string type) const;
};

Parameter operand(std::string name, std::string doc);
/// `otherwise` is the default. null stands for an optional without value, for all axes, or for
/// floatx(), by the type of the C++ parameter.
Parameter option(std::string name, Json otherwise, std::string doc, Rule rule = {});
Parameter option(std::string name, Required, std::string doc, Rule rule = {});

/// What a function is called with. If there are operands, at least one of them is a Value. The
/// options are complete, and have the names of configurations.
struct Arguments {
  Graph& graph;
  const std::vector<Operand>& operands;
  const Json& options;

  /// Operand i as a Value. A number becomes a scalar in the type of the first Value among the
  /// operands if that is floating, else in floatx().
  [[nodiscard]] Value value(std::size_t i) const;
  [[nodiscard]] std::vector<Value> values() const;
};

struct Function {
  std::string name;                  ///< in compute() and in files
  std::string python;                ///< its name in Python; empty: it has none there
  std::vector<std::string> aliases;  ///< other names in Python
  std::string doc;                   ///< its meaning
  std::string example;               ///< for Python's docstring: `>>> ...`, or empty
  /// Its result and its parameters as C++ declares them; empty: that has another form there, which
  /// is declared by hand.
  std::vector<std::string> declared;
  std::vector<Parameter> parameters;
  bool takes_list = false;     ///< its one operand is a list of tensors
  bool gives_list = false;     ///< Python gets a list of tensors; else a single tensor
  bool numbers_adapt = false;  ///< plain numbers take the dtype of the other operands
  std::function<std::vector<Value>(const Arguments&)> run;
  /// Sets options that depend on the lengths of the operands, -1 where unknown; may be empty.
  std::function<void(const std::vector<Shape>& operands, Json& options)> complete;

  // Copies of this description, with one thing added.

  [[nodiscard]] Function called(std::string in_python) const;
  [[nodiscard]] Function without_python() const { return called(""); }
  [[nodiscard]] Function without_cpp() const;
  [[nodiscard]] Function also(std::vector<std::string> more) const;
  [[nodiscard]] Function with_example(std::string text) const;
  [[nodiscard]] Function completed_by(void (*with)(const std::vector<Shape>&, Json&)) const;

  /// All options, as configurations hold them. `given` has the names of configurations, or, with
  /// `by_python`, those of Python; defaults are added. Throws InvalidArgument for unknown names
  /// (with the nearest), missing options, wrong types and values that break a rule.
  [[nodiscard]] Json options(const Json& given, bool by_python = false) const;
  /// Appends the function to the graph. Throws InvalidArgument as options() does, and for a wrong
  /// number of operands.
  [[nodiscard]] std::vector<Value> operator()(Graph& graph,
                                              const std::vector<Operand>& operands,
                                              const Json& options) const;
};

// --- descriptions from C++ functions -------------------------------------------------------------

namespace described {

template <class T>
constexpr bool is_operand =
    std::same_as<T, Value> || std::same_as<T, Operand> || std::same_as<T, std::vector<Value>>;

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;

/// A type as the public headers spell it.
template <class T>
std::string spelled() {
  using Plain = std::remove_cvref_t<T>;
  if constexpr (std::is_reference_v<T>) {
    return "const " + spelled<Plain>() + "&";
  } else if constexpr (is_optional<T>) {
    return "std::optional<" + spelled<typename T::value_type>() + ">";
  } else if constexpr (std::same_as<T, Value>) {
    return "Value";
  } else if constexpr (std::same_as<T, Operand>) {
    return "Operand";
  } else if constexpr (std::same_as<T, std::vector<Value>>) {
    return "std::vector<Value>";
  } else if constexpr (std::same_as<T, Axes>) {
    return "Axes";
  } else if constexpr (std::same_as<T, Shape>) {
    return "Shape";
  } else if constexpr (std::same_as<T, DType>) {
    return "DType";
  } else if constexpr (std::same_as<T, std::int64_t>) {
    return "std::int64_t";
  } else if constexpr (std::same_as<T, double>) {
    return "double";
  } else if constexpr (std::same_as<T, bool>) {
    return "bool";
  } else {
    return "";  // only in functions that are declared by hand
  }
}

/// An option's default as C++ writes it. null is what it stands for: no value, all axes, floatx().
template <class T>
std::string spelled_default(const Json& value) {
  if (!value.is_null()) return value.dump();
  return std::same_as<T, DType> ? "floatx()" : "{}";
}

/// What null means as an option of type T.
template <class T>
Json settled(const Json& value) {
  if (!value.is_null()) return value;
  if constexpr (std::same_as<T, DType>) {
    return FieldType<T>::write(floatx());
  } else {
    return FieldType<T>::write(T());
  }
}

/// Completes the description of the parameter number i, which C++ declares as an Arg.
template <class Arg>
void describe(Function& function, std::size_t i) {
  using T = std::remove_cvref_t<Arg>;
  Parameter& parameter = function.parameters[i];
  std::string& declared =
      function.declared.emplace_back(spelled<Arg>() + " " + parameter.info.name);
  if (parameter.is_operand != is_operand<T>) {
    invalid(function.name, parameter.info.name + " is an operand in C++, or an option, not here");
  }
  if constexpr (is_operand<T>) {
    function.takes_list = function.takes_list || std::same_as<T, std::vector<Value>>;
    function.numbers_adapt = function.numbers_adapt || std::same_as<T, Operand>;
    parameter.info.type = std::same_as<T, std::vector<Value>> ? "Sequence[Tensor]" : "Tensor";
  } else {
    parameter.settled = settled<T>;
    std::string& type = parameter.info.type;
    if (type.empty()) type = FieldType<T>::name();
    const bool may_be_none = !parameter.info.required && parameter.info.default_value.is_null();
    if (may_be_none && !type.ends_with(" | None") && type != "Any") type += " | None";
    if (!parameter.info.required)
      declared += " = " + spelled_default<T>(parameter.info.default_value);
  }
}

/// The argument for parameter number i.
template <class T>
T argument(const Arguments& given, const std::vector<Parameter>& parameters, std::size_t i) {
  if constexpr (std::same_as<T, Value>) {
    return given.value(i);
  } else if constexpr (std::same_as<T, Operand>) {
    return given.operands.at(i);
  } else if constexpr (std::same_as<T, std::vector<Value>>) {
    return given.values();
  } else {
    return FieldType<T>::read(given.options.at(parameters[i].stored));
  }
}

inline std::vector<Value> results(Value value) { return {value}; }
inline std::vector<Value> results(std::vector<Value> values) { return values; }

template <class... Args, class Run, std::size_t... kIndex>
void complete(Function& function, Run run, std::index_sequence<kIndex...> /*all*/) {
  (describe<Args>(function, kIndex), ...);
  function.run = [run, parameters = function.parameters](const Arguments& given) {
    return results(
        run(given.graph, argument<std::remove_cvref_t<Args>>(given, parameters, kIndex)...));
  };
}

/// The description of `run`, which takes the graph and arguments of types Args.
template <class Result, class... Args, class Run>
Function make(std::string name, std::string doc, Run run, std::vector<Parameter> parameters) {
  Function result;
  result.name = result.python = std::move(name);
  result.doc = std::move(doc);
  result.parameters = std::move(parameters);
  result.gives_list = std::same_as<Result, std::vector<Value>>;
  result.declared = {spelled<Result>()};
  complete<Args...>(result, run, std::index_sequence_for<Args...>());
  return result;
}

}  // namespace described

/// The description of a function whose first parameter is the graph to append to.
template <class Result, class... Args, std::same_as<Parameter>... Parameters>
Function function(std::string name,
                  std::string doc,
                  Result (*run)(Graph&, Args...),
                  Parameters... parameters) {
  static_assert(sizeof...(Args) == sizeof...(Parameters), "each parameter is described");
  Function result = described::make<Result, Args...>(
      std::move(name), std::move(doc), run, {std::move(parameters)...});
  result.declared.insert(result.declared.begin() + 1, "Graph& graph");
  return result;
}

/// The description of a function of tensors: operands first, then options, in the order of its
/// parameters.
template <class Result, class... Args, std::same_as<Parameter>... Parameters>
Function function(std::string name,
                  std::string doc,
                  Result (*run)(Args...),
                  Parameters... parameters) {
  static_assert(sizeof...(Args) == sizeof...(Parameters), "each parameter is described");
  const auto on_graph = [run](Graph& /*of the operands*/, Args... arguments) {
    return run(std::forward<Args>(arguments)...);
  };
  return described::make<Result, Args...>(
      std::move(name), std::move(doc), on_graph, {std::move(parameters)...});
}

}  // namespace chainrule::inline v0_1
