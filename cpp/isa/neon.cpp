// For AArch64: 32 registers of 4 floats.
#define CHAINRULE_ISA neon
#define CHAINRULE_VECTOR_BYTES 16
#define CHAINRULE_TILE_ROWS 12
#include "isa/kernels.inl"
