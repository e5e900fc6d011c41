// For x86-64 with AVX2 and FMA: 16 registers of 8 floats.
#define CHAINRULE_ISA avx2
#define CHAINRULE_VECTOR_BYTES 32
#define CHAINRULE_TILE_ROWS 6
#include "isa/kernels.inl"
