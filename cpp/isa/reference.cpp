// The plain kernels: the meaning of all others. Built with the compiler's baseline, and small.
// Nothing is fused, so that they give the same numbers on all architectures. No vectors: what GCC
// 12 makes of a row of two elements reads two more, beyond the end of the last row.
//
// Processors: .*
// Flags: -ffp-contract=off -O2 -fno-tree-vectorize -fno-tree-slp-vectorize
#define CHAINRULE_ISA reference
#define CHAINRULE_VECTOR_BYTES 0
#define CHAINRULE_REGISTERS 0
#define CHAINRULE_FREE_MASKS 0
#define CHAINRULE_TILE_ROWS 4
#include "isa/kernels.inl"
