// For x86-64 with AVX-512 F, BW, DQ and VL: 32 registers of 16 floats.
#define CHAINRULE_ISA avx512
#define CHAINRULE_VECTOR_BYTES 64
#define CHAINRULE_TILE_ROWS 14
#include "isa/kernels.inl"
