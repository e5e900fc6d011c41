// How layers are made from C++ options.
#pragma once

#include <memory>
#include <utility>

#include "chainrule/layers.h"

namespace chainrule::inline v0_1 {

/// A layer of class Made, from the options of its C++ form, which it keeps as `options`. Name and
/// type, which all layers have, are its own.
template <class Made, class Options>
LayerPtr layer_with(Options options) {
  auto made = std::make_shared<Made>();
  made->name = options.name;
  made->dtype = options.dtype;
  made->options = std::move(options);
  check_fields(*made);
  return LayerPtr(made);
}

}  // namespace chainrule::inline v0_1
