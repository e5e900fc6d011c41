// The table of op cases: at least one for every op. Five tests and the coverage test read it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "numeric.h"

namespace chainrule::test {

/// What becomes of a case's operands, as a formula in double that shares no code with the library.
using Reference = std::function<Array(const std::vector<Array>&)>;

struct OpCase {
  std::string op;    ///< OpDef::name of the op that it covers
  std::string what;  ///< shapes and attributes, for people
  /// Operands. float32 stands for every floating dtype: such a case runs in float32 and float64.
  std::vector<Domain> inputs;
  Build build;
  Reference reference;      ///< none: what the op computes is checked in a test of its own
  std::int64_t length = 0;  ///< terms that a result element is summed from
  bool differentiable = true;

  [[nodiscard]] std::string name() const { return op + " " + what; }
};

/// All cases, made once.
const std::vector<OpCase>& op_cases();

/// The operands of a case with float32 replaced by `floating`; the same for both but for rounding.
std::vector<Tensor> operands_of(const OpCase& test, DType floating);
/// A case in a graph of its own, with its data.
struct BuiltCase {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  std::vector<Tensor> data;
  std::vector<Value> inputs;
  Value value;

  BuiltCase(const OpCase& test, DType floating);
};
/// Is there a floating operand, so that the case has a gradient to check?
bool has_gradient(const OpCase& test);

// Parts of the table.
void add_elementwise_cases(std::vector<OpCase>& cases);
void add_reduction_cases(std::vector<OpCase>& cases);
void add_matrix_cases(std::vector<OpCase>& cases);
void add_shape_cases(std::vector<OpCase>& cases);
void add_index_cases(std::vector<OpCase>& cases);
void add_update_cases(std::vector<OpCase>& cases);
void add_control_flow_cases(std::vector<OpCase>& cases);

}  // namespace chainrule::test
