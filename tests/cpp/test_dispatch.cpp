// The choice of a kernel table, that the chosen one is what runs, and that training gives the same
// numbers with each.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/graph.h"
#include "chainrule/model.h"
#include "chainrule/ops.h"
#include "chainrule/program.h"
#include "isa/table.h"
#include "problem.h"
#include "test.h"
#include "tolerance.h"

using namespace chainrule;

namespace {

/// Runs the test "the table in use is the expected one" in a new process under CHAINRULE_ISA.
int run_forced(const char* isa) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(120);  // ends a child that hangs, also what it becomes
    if (std::freopen("/dev/null", "w", stdout) == nullptr) _exit(126);
    setenv("CHAINRULE_ISA", isa, 1);
    setenv("CHAINRULE_TEST_EXPECTED_ISA", isa, 1);
    execl("/proc/self/exe", "tests", "the table in use is the expected one", nullptr);
    _exit(127);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// How often a program has called a slot of a table.
enum Slot { kMatmul, kExp, kSum, kSlots };
std::array<int, kSlots> calls;

/// Puts a function before the one in a slot that counts its calls.
template <Slot kSlot, class Result, class... Arguments>
void count_calls(Result (*&slot)(Arguments...)) {
  static Result (*counted)(Arguments...);
  counted = std::exchange(slot, [](Arguments... arguments) {
    ++calls[kSlot];
    return counted(arguments...);
  });
}

/// Losses and weights of a small network: three epochs, dropout and a last, smaller batch.
constexpr int kSteps = 39;
constexpr double kRate = 0.05;

std::vector<float> trained_numbers() {
  const test::Problem problem;
  set_random_seed(11);
  Sequential model({layers::Input({7}),
                    layers::Dense(33, {.activation = "tanh"}),
                    layers::Dropout(0.25),
                    layers::Dense(3)});
  model.compile({.optimizer = optimizers::SGD({.learning_rate = kRate}),
                 .loss = {losses::SparseCategoricalCrossentropy({.from_logits = true})}});
  const History history =
      model.fit(problem.classification(), {.batch_size = 16, .epochs = kSteps / 13});
  std::vector<float> numbers;
  for (const double loss : history["loss"]) numbers.push_back(static_cast<float>(loss));
  for (const Tensor& weight : model.get_weights()) {
    const auto values = weight.data<float>();
    numbers.insert(numbers.end(), values.begin(), values.end());
  }
  return numbers;
}

/// Four standard deviations of what roundings add up to: a step rounds every weight, of order 1,
/// and moves it by the rate times a gradient of order 1 whose longest sum has 33 terms.
constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
const double kTrainedTolerance = 4 * std::sqrt(kSteps) * (1 + kRate * std::sqrt(33)) * kEpsilon / 2;

void check_numbers(const std::string& what,
                   const std::vector<float>& numbers,
                   const std::vector<float>& expected) {
  REQUIRE(numbers.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const double error = std::abs(static_cast<double>(numbers[i]) - expected[i]);
    if (test::is_worse(error, worst)) worst = error;
  }
  if (!(worst <= kTrainedTolerance)) {
    test::report({__FILE__, __LINE__, "trained numbers"},
                 what + " differs by " + test::describe(worst) + ", allowed is " +
                     test::describe(kTrainedTolerance));
  }
}

}  // namespace

TEST("the table in use is the expected one") {
  const char* expected = std::getenv("CHAINRULE_TEST_EXPECTED_ISA");
  if (expected == nullptr) return;
  CHECK_EQ(std::string(isa::table().name), expected);
  CHECK(&isa::table() == &isa::find_table(expected));
}

TEST("CHAINRULE_ISA selects, and an unknown name fails") {
  for (const char* name : isa::available()) CHECK_EQ(run_forced(name), 0);
  CHECK_EQ(run_forced("mmx"), 1);
  CHECK_EQ(std::string(isa::find_table("reference").name), "reference");
  CHECK_EQ(std::string(isa::find_table("").name), isa::available().front());
  CHECK_THROWS(isa::find_table("mmx"), "[CHAINRULE_ISA] unknown instruction set; available here: ");
  CHECK_THROWS(isa::find_table("mmx"), "reference. Received: CHAINRULE_ISA='mmx'");
}

TEST("every table has kernels and a tile of its own") {
  const std::vector<const isa::KernelTable*> tables = isa::available_tables();
  for (const isa::KernelTable* a : tables) {
    for (const isa::KernelTable* b : tables) {
      if (a == b) continue;
      CHECK(a->f32.gemm_tile != b->f32.gemm_tile);
      CHECK(a->f32.sum != b->f32.sum);
      CHECK(a->elementwise[isa::exp_code][0] != b->elementwise[isa::exp_code][0]);
      CHECK(a->philox != b->philox);
      CHECK(std::pair(a->f32.mr, a->f32.nr) != std::pair(b->f32.mr, b->f32.nr));
    }
  }
}

TEST("a program runs the kernels of the table in use") {
  for (const isa::KernelTable* table : isa::available_tables()) {
    isa::KernelTable counted = *table;
    count_calls<kMatmul>(counted.f32.gemm_tile);
    count_calls<kExp>(counted.elementwise[isa::exp_code][0]);
    count_calls<kSum>(counted.f32.sum);
    const isa::UseTable use(counted);
    calls = {};
    Graph g;
    const Value a = g.input({{24, 40}, DType::float32}, "a");
    const Value b = g.input({{40, 32}, DType::float32}, "b");
    Program program(g, {a, b}, {sum(exp(matmul(a, b)))});
    for (int i = 0; i < 2; ++i) {
      const Tensor& input = program.input(i);
      std::memset(input.raw(), 0, input.bytes());
    }
    CHECK_EQ(calls, decltype(calls){});
    program.run(1);
    CHECK_EQ(program.output(0).data<float>()[0], 24.0F * 32.0F);
    for (const int count : calls) CHECK(count > 0);
  }
}

// CHAINRULE_TEST_WRITE_NUMBERS and CHAINRULE_TEST_READ_NUMBERS name a file that takes the numbers
// of one machine to another.
TEST("training gives the same numbers on every instruction set") {
  std::vector<float> expected;
  {
    const isa::UseTable use(isa::reference_table());
    expected = trained_numbers();
  }
  CHECK(expected.front() > expected[kSteps / 13 - 1]);  // the loss falls
  if (const char* path = std::getenv("CHAINRULE_TEST_WRITE_NUMBERS")) {
    std::ofstream file(path);
    file.precision(std::numeric_limits<float>::max_digits10);
    for (const float number : expected) file << number << '\n';
    REQUIRE(file.flush().good());
  }
  std::vector<float> elsewhere = expected;
  if (const char* path = std::getenv("CHAINRULE_TEST_READ_NUMBERS")) {
    std::ifstream file(path);
    elsewhere.clear();
    for (float number = 0; file >> number;) elsewhere.push_back(number);
  }
  for (const isa::KernelTable* table : isa::available_tables()) {
    const isa::UseTable use(*table);
    const std::vector<float> numbers = trained_numbers();
    check_numbers(std::string(table->name) + " against the reference", numbers, expected);
    check_numbers(std::string(table->name) + " against another machine", numbers, elsewhere);
  }
}
