#include "op_cases.h"

#include <algorithm>

namespace chainrule::test {

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> all = [] {
    std::vector<OpCase> cases;
    add_elementwise_cases(cases);
    add_reduction_cases(cases);
    add_matrix_cases(cases);
    add_shape_cases(cases);
    add_index_cases(cases);
    add_update_cases(cases);
    add_control_flow_cases(cases);
    return cases;
  }();
  return all;
}

std::vector<Tensor> operands_of(const OpCase& test, DType floating) {
  Random random(std::hash<std::string>{}(test.name()));
  std::vector<Tensor> data;
  for (const Domain& domain : test.inputs) {
    const Tensor tensor = draw(random, domain);
    data.push_back(domain.dtype == DType::float32 ? tensor.cast(floating) : tensor);
  }
  return data;
}

BuiltCase::BuiltCase(const OpCase& test, DType floating) : data(operands_of(test, floating)) {
  for (const Tensor& each : data) inputs.push_back(graph->input(each.type(), "x"));
  value = test.build(inputs);
}

bool has_gradient(const OpCase& test) {
  return test.differentiable && std::any_of(test.inputs.begin(),
                                            test.inputs.end(),
                                            [](const Domain& d) { return is_floating(d.dtype); });
}

}  // namespace chainrule::test
