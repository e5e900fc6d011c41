// The plain kernels: the meaning of all others. Built with the compiler's baseline.
#define CHAINRULE_ISA reference
#define CHAINRULE_VECTOR_BYTES 0
#define CHAINRULE_TILE_ROWS 4
#include "isa/kernels.inl"
