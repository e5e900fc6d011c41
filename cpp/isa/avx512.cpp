// For x86-64 with AVX-512 F, BW, DQ and VL: 32 registers of 16 floats.
//
// Processors: x86_64|AMD64|amd64
// Flags: -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512
#define CHAINRULE_ISA avx512
#define CHAINRULE_VECTOR_BYTES 64
#define CHAINRULE_REGISTERS 32
#define CHAINRULE_FREE_MASKS 1
#define CHAINRULE_TILE_ROWS 14
#include "isa/kernels.inl"
