// The matrix expressions that bench_expressions measures, written with Eigen and with Chainrule.
#pragma once

#include <cstdint>
#include <memory>

namespace peers {

/// Row-major n x n matrices and vectors of n elements.
struct Operands {
  std::int64_t n;
  float *a, *b, *c, *x, *y;
};

class Expressions {
 public:
  virtual ~Expressions() = default;
  virtual void product() = 0;
  virtual void product_update() = 0;
  virtual void product_transposed() = 0;
  virtual void product_alias() = 0;
  virtual void matrix_vector() = 0;
  virtual void transposed_vector() = 0;
  virtual void outer() = 0;
  virtual float dot() = 0;
  virtual float sum() = 0;
  virtual float norm() = 0;
  virtual float max() = 0;
  virtual void row_sums() = 0;
  virtual void column_sums() = 0;
  virtual void add_row() = 0;
  virtual void linear() = 0;
  virtual void add() = 0;
  virtual void axpy() = 0;
  virtual void copy() = 0;
  virtual void transpose() = 0;
  virtual void exp() = 0;
  virtual void tanh() = 0;
  virtual void chain() = 0;
  virtual float square_difference() = 0;
};

/// The same statements in either library: Matrix and Vector are its views of float memory.
template <class Matrix, class Vector>
class Statements : public Expressions {
 public:
  explicit Statements(const Operands& o)
      : A(o.a, o.n, o.n),
        B(o.b, o.n, o.n),
        C(o.c, o.n, o.n),
        x(o.x, o.n),
        y(o.y, o.n),
        u(o.a, o.n * o.n),
        v(o.b, o.n * o.n) {}
  void product() override { C.noalias() = A * B; }
  void product_update() override { C.noalias() += 0.5F * A * B.transpose(); }
  void product_transposed() override { C.noalias() = A.transpose() * B; }
  void product_alias() override { C = A * B; }
  void matrix_vector() override { y.noalias() = A * x; }
  void transposed_vector() override { y.noalias() = A.transpose() * x; }
  void outer() override { C.noalias() = x * y.transpose(); }
  float dot() override { return u.dot(v); }
  float sum() override { return A.sum(); }
  float norm() override { return A.norm(); }
  float max() override { return A.maxCoeff(); }
  void row_sums() override { y = A.rowwise().sum(); }
  void column_sums() override { y.transpose() = A.colwise().sum(); }
  void add_row() override { C = A.rowwise() + x.transpose(); }
  void linear() override { C = A + 2 * B - C; }
  void add() override { C = A + B; }
  void axpy() override { C += 0.5F * A; }
  void copy() override { C = A; }
  void transpose() override { C = A.transpose(); }
  void exp() override { C = A.array().exp(); }
  void tanh() override { C = A.array().tanh(); }
  void chain() override { C = (A.array() * B.array() + 1).tanh() * A.array().exp(); }
  float square_difference() override { return (A - B).squaredNorm(); }

 private:
  Matrix A, B, C;
  Vector x, y, u, v;
};

/// Keeps the compiler from dropping a computation whose result is not used.
inline void keep(float value) { asm volatile("" ::"x"(value) : "memory"); }

struct Case {
  const char* name;
  void (*run)(Expressions&);
};

constexpr Case kCases[] = {
    {"C.noalias() = A * B", [](Expressions& e) { e.product(); }},
    {"C.noalias() += 0.5 * A * B^T", [](Expressions& e) { e.product_update(); }},
    {"C.noalias() = A^T * B", [](Expressions& e) { e.product_transposed(); }},
    {"C = A * B", [](Expressions& e) { e.product_alias(); }},
    {"y.noalias() = A * x", [](Expressions& e) { e.matrix_vector(); }},
    {"y.noalias() = A^T * x", [](Expressions& e) { e.transposed_vector(); }},
    {"C.noalias() = x * y^T", [](Expressions& e) { e.outer(); }},
    {"u.dot(v)", [](Expressions& e) { keep(e.dot()); }},
    {"A.sum()", [](Expressions& e) { keep(e.sum()); }},
    {"A.norm()", [](Expressions& e) { keep(e.norm()); }},
    {"A.maxCoeff()", [](Expressions& e) { keep(e.max()); }},
    {"y = A.rowwise().sum()", [](Expressions& e) { e.row_sums(); }},
    {"y^T = A.colwise().sum()", [](Expressions& e) { e.column_sums(); }},
    {"C = A.rowwise() + x^T", [](Expressions& e) { e.add_row(); }},
    {"C = A + 2 * B - C", [](Expressions& e) { e.linear(); }},
    {"C = A + B", [](Expressions& e) { e.add(); }},
    {"C += 0.5 * A", [](Expressions& e) { e.axpy(); }},
    {"C = A", [](Expressions& e) { e.copy(); }},
    {"C = A^T", [](Expressions& e) { e.transpose(); }},
    {"C = A.array().exp()", [](Expressions& e) { e.exp(); }},
    {"C = A.array().tanh()", [](Expressions& e) { e.tanh(); }},
    {"C = (A*B + 1).tanh() * A.exp()", [](Expressions& e) { e.chain(); }},
    {"(A - B).squaredNorm()", [](Expressions& e) { keep(e.square_difference()); }},
};

/// The expressions with Eigen; null if the program was compiled without it.
std::unique_ptr<Expressions> eigen_expressions(const Operands& operands, int threads);

}  // namespace peers
