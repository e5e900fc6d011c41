// One table of kernels per instruction set. Kernels above it (cpp/blas, cpp/kernels) are loops
// around these functions, so a new instruction set is one more file here and a line of sets.def.
//
// isa/kernels.inl is the one source of all of them. Each isa/<name>.cpp includes it with its own
// flags and namespace.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "chainrule/shape.h"

namespace chainrule::inline v0_1::isa {

/// Element-wise codes, one per line of chainrule/elementwise.def.
enum Elementwise : int {
#define UNARY(name, ...) name##_code,
#define BINARY(name, ...) name##_code,
#define TERNARY(name, ...) name##_code,
#include "chainrule/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  kElementwiseCount
};

/// out[i] = f(a[i], b[i], c[i]) for i in [0, n); unused operands are null. All operands are
/// contiguous; out may be exactly a, b or c.
using ElementwiseFn =
    void (*)(std::int64_t n, const void* a, const void* b, const void* c, void* out);

/// Where C lies, for a tile to read and write it fast. No value depends on it.
enum class CPlace : std::uint8_t {
  near,   ///< in the first two caches
  far,    ///< farther away: its lines are prefetched
  beyond  ///< in no cache: rows that begin on a cache line are written past them. Other threads see
          ///< C only after order_stores().
};

/// Orders this thread's stores past the caches before its later stores, above all the one that says
/// that its task is done. Ordinary stores need no such fence.
inline void order_stores() {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}

/// C (m x n) = alpha * sum_i A_i B_i + beta * C: every matrix product is made of these.
///
/// Element (r, p) of A_i is a[a_offsets[i] + r * a_row + p * a_col], one of the two strides being
/// 1; row p of B_i is at b + b_offsets[i] + p * ldb and contiguous. Null offsets are 0. With beta =
/// 0, C is not read. Nothing outside these elements is read or written.
template <class T>
struct GemmTile {
  std::int64_t m, n, k;  ///< of each of the `reduce` products
  std::int64_t reduce = 1;
  const std::int64_t *a_offsets = nullptr, *b_offsets = nullptr;
  const T* a;
  std::int64_t a_row, a_col;
  const T* b;
  std::int64_t ldb;
  T* c;
  std::int64_t ldc;
  T alpha, beta;
  CPlace c_place = CPlace::near;
};

/// One step of Adam: m += (g - m) * first, v += (g^2 - v) * second, p -= m alpha / (sqrt(v) +
/// epsilon). g^2 is at most the largest finite number; p does not change where the divisor is 0.
template <class T>
struct AdamRates {
  T alpha, first, second, epsilon;
};
template <class T>
struct AdamArrays {
  const T *parameter, *gradient, *m, *v;
};
template <class T>
struct AdamResults {
  T *parameter, *m, *v;
};

/// Random words that one uniform or normal number takes.
template <class T>
constexpr int kWordsPerElement = static_cast<int>(sizeof(T) / sizeof(std::uint32_t));

/// The kernels of one floating type.
template <class T>
struct FloatKernels {
  /// The tile in registers: at most mr x nr at a time. What is computed for an element of C does
  /// not depend on the tile it is in.
  int mr, nr;
  bool writes_past_caches;  ///< if told to (CPlace::beyond)
  void (*gemm_tile)(const GemmTile<T>&);
  /// The same with op(B) = B^T for few rows, as dot products of contiguous rows: row j of B is at
  /// b + j * ldb. Only for reduce = 1 and a_col = 1.
  void (*gemm_dot)(const GemmTile<T>&);
  /// The same for one row of A, where reading B takes the time: a small B is read by strips of
  /// columns, a large one in the order in which it lies. Only for reduce = 1 and m = 1.
  void (*gemm_row)(const GemmTile<T>&);
  /// sums[j] = (first ? 0 : sums[j]) + sum over p of b[p * ldb + j]; B is k x n.
  void (*column_sums)(
      std::int64_t k, std::int64_t n, const T* b, std::int64_t ldb, bool first, T* sums);
  /// dst (rows x cols, rows ldd apart) = src (rows lds apart).
  void (*copy_rows)(std::int64_t rows,
                    std::int64_t cols,
                    const T* src,
                    std::int64_t lds,
                    T* dst,
                    std::int64_t ldd);
  /// dst (cols x rows, rows ldd apart) = src^T, src (rows x cols, rows lds apart).
  void (*transpose)(std::int64_t rows,
                    std::int64_t cols,
                    const T* src,
                    std::int64_t lds,
                    T* dst,
                    std::int64_t ldd);
  /// Sum of n elements, from several partial sums in fixed blocks, so that the rounding error grows
  /// with the logarithm of n.
  T (*sum)(std::int64_t n, const T* x);
  /// Mean of n >= 1 elements and the sum of squares of their differences from it; in fixed blocks,
  /// each read twice while it is in cache.
  void (*moments)(std::int64_t n, const T* x, T* mean, T* squares);
  /// The same for `count` columns, whose elements are `step` apart.
  void (*moments_columns)(
      std::int64_t n, std::int64_t step, std::int64_t count, const T* x, T* mean, T* squares);
  /// n elements; a result may be exactly one of the arrays.
  void (*adam)(std::int64_t n, const AdamRates<T>&, const AdamArrays<T>&, AdamResults<T>);
  /// Largest (smallest) element, NaN if there is one; n >= 1.
  T (*max)(std::int64_t n, const T* x);
  T (*min)(std::int64_t n, const T* x);
  /// Index of the first element that equals `value`, or is NaN if `value` is; n if there is none.
  std::int64_t (*find)(std::int64_t n, const T* x, T value);
  /// For each of `lines` contiguous lines of n >= 1 elements, sum = sum of exp(x - shift); unless
  /// out is null, out becomes exp(x - shift) / sum. out may be x. shift becomes the largest
  /// element, NaN if there is one, but 0 for a line of -infinity. What is computed for a line does
  /// not depend on the others.
  void (*softmax_lines)(std::int64_t lines, std::int64_t n, const T* x, T* out, T* shift, T* sum);
  /// The same for `count` lines that lie side by side, their elements `step` apart.
  void (*softmax_columns)(
      std::int64_t n, std::int64_t step, std::int64_t count, const T* x, T* out, T* shift, T* sum);
  /// out = (x - shift) - log for such lines, with each line's shift and the logarithm of its sum.
  /// out may be x.
  void (*log_softmax_lines)(
      std::int64_t lines, std::int64_t n, const T* x, const T* shift, const T* log, T* out);
  void (*log_softmax_columns)(std::int64_t n,
                              std::int64_t step,
                              std::int64_t count,
                              const T* x,
                              const T* shift,
                              const T* log,
                              T* out);
  /// Sum of weight[i] ((x[i] - shift) - log); a weight of 0 adds 0, whatever its x.
  T (*cross_sum)(std::int64_t n, const T* x, T shift, T log, const T* weight);
  /// Random arrays from words of philox, kWordsPerElement<T> for each element:
  /// low + (high - low) u, u uniform in [0, 1).
  void (*uniform)(std::int64_t n, const std::uint32_t* words, T low, T high, T* out);
  /// mean + stddev z, z standard normal. Elements 2 i and 2 i + 1 share their words: for an odd n
  /// there are words for n + 1.
  void (*normal)(std::int64_t n, const std::uint32_t* words, T mean, T stddev, T* out);
  /// 1 where the word, always one for an element, is below `limit` <= 2^32; else 0.
  void (*bernoulli)(std::int64_t n, const std::uint32_t* words, std::uint64_t limit, T* out);
  /// Whether all elements are finite: at the speed at which they can be read.
  bool (*all_finite)(std::int64_t n, const T* x);
};

struct KernelTable {
  const char* name;  ///< as in isa/sets.def
  int vector_bytes;  ///< of a register; 0: plain scalars
  /// By code and by the dtype of the data operands (all but the condition, operand a, of `where`):
  /// null where the op does not take that dtype.
  ElementwiseFn elementwise[kElementwiseCount][kDTypeCount];
  /// cast[from][to]. Floats to integers truncate and saturate, NaN becomes 0; to boolean: x != 0.
  ElementwiseFn cast[kDTypeCount][kDTypeCount];
  FloatKernels<float> f32;
  FloatKernels<double> f64;
  /// `blocks` blocks of Philox4x32-10: out[4 i .. 4 i + 3] at counter (first + i, stream, step)
  /// under `key`.
  void (*philox)(std::int64_t blocks,
                 std::uint64_t key,
                 std::uint64_t first,
                 std::uint32_t stream,
                 std::uint32_t step,
                 std::uint32_t* out);
};

/// kernels<float>(table) is table.f32, kernels<double>(table) table.f64.
template <class T>
const FloatKernels<T>& kernels(const KernelTable& table) {
  if constexpr (sizeof(T) == 4) {
    return table.f32;
  } else {
    return table.f64;
  }
}

/// The table in use: the best one that this CPU runs, or the one that CHAINRULE_ISA names; chosen
/// at first use. Throws InvalidArgument when CHAINRULE_ISA names none, or one that this CPU cannot
/// run.
inline const KernelTable& table();
/// The table of that name, the best one for ""; throws as table() does.
const KernelTable& find_table(std::string_view name);
/// The plain one: the meaning of every other.
const KernelTable& reference_table();
/// The tables that this CPU runs, best first; the last is the reference.
std::vector<const KernelTable*> available_tables();
/// Their names.
std::vector<const char*> available();

/// Makes table() give another table while it lives: for tests, which compile and run programs
/// inside. No other thread may run kernels meanwhile.
class UseTable {
 public:
  explicit UseTable(const KernelTable& table);
  ~UseTable();
  UseTable(const UseTable&) = delete;
  UseTable& operator=(const UseTable&) = delete;

 private:
  const KernelTable* saved_;
};

/// What table() gives; null before its first call.
extern std::atomic<const KernelTable*> table_in_use;
/// Chooses it.
const KernelTable& first_table();

inline const KernelTable& table() {
  const KernelTable* const chosen = table_in_use.load(std::memory_order_acquire);
  return chosen != nullptr ? *chosen : first_table();
}

}  // namespace chainrule::inline v0_1::isa
