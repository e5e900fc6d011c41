// How long reductions to few results are cut into pieces, which threads share.
#pragma once

#include <cstdint>

namespace chainrule::inline v0_1::kernels {

constexpr std::int64_t kMaxPieces = 32;
constexpr std::int64_t kFewResults = 64;    // more give threads enough to do without pieces
constexpr std::int64_t kLeastPiece = 4096;  // elements of a piece, at least

/// Whether a reduction over n slices of `inner` elements is cut. It depends on sizes alone, as do
/// the places of the cuts: results do not depend on the number of threads.
inline bool is_cut(std::int64_t results, std::int64_t n, std::int64_t inner) {
  return results <= kFewResults && n >= kMaxPieces * kLeastPiece / inner;
}

/// [0, n) in `count` pieces of `length`, the last of which may be shorter.
struct Pieces {
  explicit Pieces(std::int64_t n)
      : length((n + kMaxPieces - 1) / kMaxPieces), count((n + length - 1) / length) {}

  std::int64_t length, count;
};

}  // namespace chainrule::inline v0_1::kernels
