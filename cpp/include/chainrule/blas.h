// Matrices and vectors with the syntax of Eigen, computed by the engine's kernels; docs/blas.md is
// the guide.
//
//     namespace blas = chainrule::blas;
//     blas::Matrix<float> A(64, 32), B(64, 32), C(64, 64);
//     C.noalias() += 0.5 * A * B.transpose();           // one product, no temporary
//     C = A * B.transpose() + C;                         // the same engine call, beta = 1
//     C.rowwise() -= C.colwise().mean();
//     B = (A.array() * 2 + 1).tanh();                    // one pass
//     blas::MatrixMap<float> M(pointer, rows, cols, stride);  // someone else's memory
//
// Types: Matrix, Vector (a column), RowVector own their elements, row by row; MatrixMap, VectorMap,
// RowVectorMap and ColumnMajorMap refer to memory of others. Elements are float or double.
//
// Operands of an assignment may overlap its destination: a temporary is made if one does. None is
// needed for an operand of element-wise functions that is exactly the destination. noalias() throws
// instead of making one.
//
// Shapes are checked when an expression is built or assigned: InvalidArgument, before anything has
// changed. Positions in A(i, j) are not checked.
//
// Products, and functions such as exp, use memory of the calling thread, which grows to what the
// largest expression asked for and is kept until the thread ends. Large expressions are spread over
// threads (see Threads); results do not depend on how many. In large ones denormal numbers may be
// taken for zero.
#pragma once

#include "chainrule/blas/assign.h"
#include "chainrule/blas/engine.h"
#include "chainrule/blas/expression.h"
#include "chainrule/blas/matrix.h"
#include "chainrule/blas/operators.h"
