// Matrices and vectors with the syntax of Eigen, computed by the engine's kernels.
#pragma once

#include "chainrule/blas/assign.h"
#include "chainrule/blas/engine.h"
#include "chainrule/blas/expression.h"
#include "chainrule/blas/matrix.h"
#include "chainrule/blas/operators.h"
