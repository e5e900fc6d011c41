// For x86-64 with SSE4.2: 16 registers of 4 floats. What tests/additions.py adds as an instruction
// set.
//
// Processors: x86_64|AMD64|amd64
// Flags: -msse4.2
#define CHAINRULE_ISA sse4
#define CHAINRULE_VECTOR_BYTES 16
#define CHAINRULE_REGISTERS 16
#define CHAINRULE_FREE_MASKS 0
#define CHAINRULE_TILE_ROWS 4
#include "isa/kernels.inl"
