// All of Chainrule: include this, link chainrule::chainrule.
#pragma once

#include "chainrule/config.h"
#include "chainrule/error.h"
#include "chainrule/graph.h"
#include "chainrule/initializers.h"
#include "chainrule/json.h"
#include "chainrule/layers.h"
#include "chainrule/losses.h"
#include "chainrule/metrics.h"
#include "chainrule/model.h"
#include "chainrule/ops.h"
#include "chainrule/optimizers.h"
#include "chainrule/program.h"
#include "chainrule/random.h"
#include "chainrule/safetensors.h"
#include "chainrule/shape.h"
#include "chainrule/tensor.h"
