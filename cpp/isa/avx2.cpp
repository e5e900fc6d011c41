// For x86-64 with AVX2 and FMA: 16 registers of 8 floats.
//
// Processors: x86_64|AMD64|amd64
// Flags: -mavx2 -mfma
#define CHAINRULE_ISA avx2
#define CHAINRULE_VECTOR_BYTES 32
#define CHAINRULE_REGISTERS 16
#define CHAINRULE_FREE_MASKS 0
#define CHAINRULE_TILE_ROWS 6
#include "isa/kernels.inl"
