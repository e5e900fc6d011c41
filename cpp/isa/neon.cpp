// For AArch64: 32 registers of 4 floats. The compiler keeps a register for the element of A of
// every row, so a tile of 8 rows takes 16 + 2 + 8; with 12 rows it spills accumulators.
//
// Processors: aarch64|arm64|ARM64
// Flags: none
#define CHAINRULE_ISA neon
#define CHAINRULE_VECTOR_BYTES 16
#define CHAINRULE_REGISTERS 32
#define CHAINRULE_FREE_MASKS 0
#define CHAINRULE_TILE_ROWS 8
#include "isa/kernels.inl"
