#include "ops/function.h"

#include <algorithm>

#include "graph/op.h"

namespace chainrule::inline v0_1 {

Parameter Parameter::stored_as(std::string name) const {
  Parameter result = *this;
  result.stored = std::move(name);
  return result;
}

Parameter Parameter::if_absent(Json value) const {
  Parameter result = *this;
  result.absent = std::move(value);
  return result;
}

Parameter Parameter::of_type(std::string type) const {
  Parameter result = *this;
  result.info.type = std::move(type);
  return result;
}

Parameter operand(std::string name, std::string doc) {
  Parameter result;
  result.info = {std::move(name), "", std::move(doc), true, {}};
  result.is_operand = true;
  return result;
}

Parameter option(std::string name, Json otherwise, std::string doc, Rule rule) {
  Parameter result;
  result.stored = name;
  result.info = {std::move(name), "", std::move(doc), false, std::move(otherwise)};
  result.rule = rule;
  return result;
}

Parameter option(std::string name, Required, std::string doc, Rule rule) {
  Parameter result = option(std::move(name), Json(), std::move(doc), rule);
  result.info.required = true;
  return result;
}

// --- arguments -----------------------------------------------------------------------------------

Value Arguments::value(std::size_t i) const {
  const Operand& operand = operands.at(i);
  if (!operand.is_number()) return operand.value();
  const auto first = std::find_if(
      operands.begin(), operands.end(), [](const Operand& x) { return !x.is_number(); });
  const DType type = first->value().dtype();
  return graph.scalar(operand.number(), is_floating(type) ? type : floatx());
}

std::vector<Value> Arguments::values() const {
  std::vector<Value> result;
  for (std::size_t i = 0; i < operands.size(); ++i) result.push_back(value(i));
  return result;
}

// --- descriptions --------------------------------------------------------------------------------

Function Function::called(std::string in_python) const {
  Function result = *this;
  result.python = std::move(in_python);
  return result;
}

Function Function::also(std::vector<std::string> more) const {
  Function result = *this;
  result.aliases = std::move(more);
  return result;
}

Function Function::without_cpp() const {
  Function result = *this;
  result.declared.clear();
  return result;
}

Function Function::with_example(std::string text) const {
  Function result = *this;
  result.example = std::move(text);
  return result;
}

Function Function::completed_by(void (*with)(const std::vector<Shape>&, Json&)) const {
  Function result = *this;
  result.complete = with;
  return result;
}

namespace {

/// A given option as configurations hold it.
Json normal(const std::string& where, const Parameter& parameter, const Json& given) {
  const std::string& name = parameter.info.name;
  const auto wrong = [&](const std::string& must) {
    invalid(where, name + " must be " + must, {{name, shown(given)}});
  };
  if (given.is_null() && parameter.info.type.ends_with(" | None")) return parameter.settled(given);
  std::string_view type = parameter.info.type;
  if (type.ends_with(" | None")) type.remove_suffix(std::string_view(" | None").size());
  if (type == "float" || type == "Number") {  // unlike a field, an option may be infinite
    if (given.kind() != Json::Kind::number && given.kind() != Json::Kind::integer)
      wrong("a number");
  } else if (type == "DType") {
    if (given.kind() != Json::Kind::string) wrong("the name of an element type");
    dtype_from_name(given.as_string());
  }
  Json result = type == "float" ? given : fitted(where, name, type, given);
  parameter.rule.check(where, name, result);
  return result;
}

}  // namespace

Json Function::options(const Json& given, bool by_python) const {
  const std::string& where = by_python ? python : name;
  Json result = Json::object();
  std::vector<std::string> known;
  for (const Parameter& parameter : parameters) {
    if (parameter.is_operand) continue;
    known.push_back(by_python ? parameter.info.name : parameter.stored);
    const Json* found = given.is_null() ? nullptr : given.find(known.back());
    if (found == nullptr && parameter.info.required) {
      invalid(where, "the option '" + known.back() + "' is required");
    }
    const Json& otherwise =
        parameter.absent && !by_python ? *parameter.absent : parameter.info.default_value;
    // Configurations hold no axes for None, so that Python's () must not mean something else.
    const bool none = by_python && found != nullptr && found->kind() == Json::Kind::array &&
                      found->as_array().empty();
    if (none && parameter.info.type.ends_with(" | None")) {
      invalid(where,
              parameter.info.name + " must not be empty; None stands for the default",
              {{parameter.info.name, "()"}});
    }
    result.set(parameter.stored, normal(where, parameter, found == nullptr ? otherwise : *found));
  }
  for (const auto& [key, value] : given.is_null() ? Json::Object() : given.as_object()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      invalid(where,
              "there is no option '" + key + "'" + did_you_mean(key, known),
              {{key, shown(value)}});
    }
  }
  return result;
}

std::vector<Value> Function::operator()(Graph& graph,
                                        const std::vector<Operand>& operands,
                                        const Json& given) const {
  const auto wanted = static_cast<std::size_t>(std::count_if(
      parameters.begin(), parameters.end(), [](const Parameter& p) { return p.is_operand; }));
  if (takes_list ? operands.empty() : operands.size() != wanted) {
    invalid(name,
            takes_list ? "at least one operand is needed"
                       : "there must be " + std::to_string(wanted) + " operands",
            {{"operands", std::to_string(operands.size())}});
  }
  Json all = options(given);
  if (complete) {
    std::vector<Shape> shapes;
    for (const Operand& operand : operands)
      shapes.push_back(operand.is_number() ? Shape() : operand.value().shape());
    complete(shapes, all);
  }
  return run({graph, operands, all});
}

}  // namespace chainrule::inline v0_1
