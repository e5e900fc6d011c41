// Functions by name, as functional models and their files hold them.

#include <algorithm>

#include "chainrule/layers.h"
#include "nn/functions.h"

namespace chainrule::inline v0_1 {

const std::vector<Function>& functions() {
  static const std::vector<Function> instance = [] {
    std::vector<Function> all = all_functions();
    std::sort(all.begin(), all.end(), [](const Function& a, const Function& b) {
      return a.name < b.name;
    });
    return all;
  }();
  return instance;
}

std::vector<std::string> computed_functions() {
  std::vector<std::string> names;
  for (const Function& function : functions()) names.push_back(function.name);
  return names;
}

const Function& find_function(std::string_view name) {
  const std::vector<Function>& all = functions();
  const auto found =
      std::lower_bound(all.begin(), all.end(), name, [](const Function& a, std::string_view b) {
        return a.name < b;
      });
  if (found != all.end() && found->name == name) return *found;
  invalid(
      "Operation",
      "there is no function '" + std::string(name) + "'" + did_you_mean(name, computed_functions()),
      {{"function", "'" + std::string(name) + "'"}});
}

std::vector<Value> compute(std::string_view function,
                           const std::vector<Operand>& operands,
                           const Json& options) {
  const Function& found = find_function(function);
  const auto first = std::find_if(
      operands.begin(), operands.end(), [](const Operand& x) { return !x.is_number(); });
  if (first == operands.end()) {
    invalid(function,
            "at least one operand is needed that is no plain number",
            {{"operands", std::to_string(operands.size())}});
  }
  return found(first->value().graph(), operands, options);
}

}  // namespace chainrule::inline v0_1
