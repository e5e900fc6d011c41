// Model::summary: a table of layers, output shapes and parameters.

#include <algorithm>

#include "chainrule/model.h"

namespace chainrule::inline v0_1 {
namespace {

std::string with_commas(std::int64_t n) {
  std::string text = std::to_string(n);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

std::string size_text(std::int64_t bytes) {
  constexpr const char* units[] = {"B", "KB", "MB", "GB"};
  auto value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1024 && unit < 3; ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %s", value, units[unit]);
  return text;
}

std::string cell(std::string text, std::size_t width) {
  if (text.size() > width) text = text.substr(0, width - 3) + "...";
  return text + std::string(width - text.size(), ' ');
}

struct Count {
  std::int64_t parameters = 0, bytes = 0;
  [[nodiscard]] std::string str() const {
    return with_commas(parameters) + " (" + size_text(bytes) + ")";
  }
};

Count count(const std::vector<VariablePtr>& variables) {
  Count total;
  for (const VariablePtr& variable : variables) {
    total.parameters += variable->value.size();
    total.bytes += static_cast<std::int64_t>(variable->value.bytes());
  }
  return total;
}

}  // namespace

std::string Model::summary(int width) const {
  struct Row {
    std::string layer, shape, parameters, from;
  };
  const auto* sequential = dynamic_cast<const Sequential*>(this);
  std::vector<Row> rows;
  for (const LayerPtr& layer : sequential != nullptr ? sequential->chain() : layers_) {
    Row row{layer->name + " (" + layer->class_name() + ")",
            "?",
            layer->built() ? with_commas(layer->count_params()) : "0 (unbuilt)",
            ""};
    for (const auto& layer_call : calls_) {
      if (layer_call->layer != layer) continue;
      if (layer_call->inputs.empty()) {
        for (const Symbol& input : inputs_) {
          if (input.call == layer_call) row.shape = input.type.shape.str();
        }
        continue;
      }
      for (const Symbol& input : layer_call->inputs) {
        row.from += (row.from.empty() ? "" : ", ") + input.call->layer->name;
      }
      const std::vector<TensorType>& outputs = layer_call->outputs;
      row.shape = outputs.empty() ? "" : outputs[0].shape.str();
    }
    rows.push_back(row);
  }

  const bool connected = sequential == nullptr;
  const auto total = static_cast<std::size_t>(std::max(width, 60));
  const std::size_t columns = connected ? 4 : 3;
  const std::size_t each = total / columns;
  const std::size_t first = total - each * (columns - 1);
  const auto line = [&](const Row& row) {
    std::string text = cell(row.layer, first - 1) + " " + cell(row.shape, each - 1) + " " +
                       cell(row.parameters, each - 1);
    if (connected) text += " " + cell(row.from, each - 1);
    return text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  };
  std::string text = "Model: \"" + name + "\"\n" + std::string(total, '_') + "\n";
  text += line({"Layer (type)", "Output Shape", "Param #", "Connected to"}) +
          std::string(total, '=') + "\n";
  for (const Row& row : rows) text += line(row);
  text += std::string(total, '=') + "\n";

  const Count all = count(weights());
  const Count trained = count(trainable_weights());
  const Count frozen{all.parameters - trained.parameters, all.bytes - trained.bytes};
  text += "Total params: " + all.str() + "\n";
  text += "Trainable params: " + trained.str() + "\n";
  text += "Non-trainable params: " + frozen.str() + "\n";
  return text;
}

}  // namespace chainrule::inline v0_1
