// All of Chainrule: include this, link chainrule::chainrule.
#pragma once

#include "chainrule/version.h"

#if __cplusplus >= 202002L  // else version.h has said what is wrong

#include "chainrule/activations.h"
#include "chainrule/blas.h"
#include "chainrule/callbacks.h"
#include "chainrule/config.h"
#include "chainrule/control_flow.h"
#include "chainrule/device.h"
#include "chainrule/device_memory.h"
#include "chainrule/dtype_policy.h"
#include "chainrule/error.h"
#include "chainrule/fork_lock.h"
#include "chainrule/graph.h"
#include "chainrule/initializers.h"
#include "chainrule/inspection.h"
#include "chainrule/json.h"
#include "chainrule/layers.h"
#include "chainrule/losses.h"
#include "chainrule/metrics.h"
#include "chainrule/model.h"
#include "chainrule/ops.h"
#include "chainrule/optimizers.h"
#include "chainrule/own_op.h"
#include "chainrule/program.h"
#include "chainrule/random.h"
#include "chainrule/safetensors.h"
#include "chainrule/shape.h"
#include "chainrule/snapshot.h"
#include "chainrule/tensor.h"
#include "chainrule/threads.h"
#include "chainrule/training_step.h"

#endif
