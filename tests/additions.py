"""Adds ops, a function, an activation, a class of each kind, a kind and an instruction set to a
copy of the tree, each by what docs/architecture.md says is to be touched, and checks that all of
the rest follows:

    python tests/additions.py             Python and C++, some ten minutes
    python tests/additions.py --python    the module, its stubs and reference page alone
    python tests/additions.py --cpp       the generated and the new C++ cases alone

Needs a checkout in which `python3 dev.py demo` has run. The copy is build/additions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "tests" / "additions"
COPY = ROOT / "build" / "additions"
SITE = ROOT / "build" / "additions_site"
BIN = ROOT / ".venv" / "bin"
SECONDS = 7200  # of one build

# (file, a line of it, what is added before that line)
LINES = [
    (
        "cpp/include/chainrule/elementwise.def",
        "UNARY(sqrt,",
        "UNARY(cube, kNumeric, kSame, 1, 2, x * x * x, dy * 3.0 * x * x, -2.0, 2.0,"
        ' "x to the power 3.")\n',
    ),
    (
        "cpp/nn/activations.cpp",
        "Value log_sigmoid(Value x) {",
        "Value lisht(Value x) { return x * chainrule::tanh(x); }\n\n",
    ),
    (
        "cpp/nn/activations.cpp",
        '      activation("log_sigmoid",',
        '      activation("lisht", "x tanh(x) (Roy et al. 2019).", activations::lisht),\n',
    ),
    ("tests/golden/cases.py", '    _activation("celu", alpha=0.5)', '    _activation("lisht"),\n'),
    (
        "cpp/include/chainrule/config.h",
        "  KIND(training_steps, TrainingStep)",
        "  KIND(regularizers, Regularizer) \\\n",
    ),
    (
        "cpp/include/chainrule/chainrule.h",
        '#include "chainrule/safetensors.h"',
        '#include "chainrule/regularizers.h"\n',
    ),
    (
        "tests/python/test_layering.py",
        '    " optimizers.h",',
        '    " regularizers.h"\n',
    ),
    (
        "cpp/isa/sets.def",
        "#elif defined(__aarch64__)",
        'SET(sse4, __builtin_cpu_supports("sse4.2"))\n',
    ),
    (
        "tests/cpp/op_cases_reduce.cpp",
        "  add_softmaxes(cases);\n",
        '  cases.push_back({"cumsum", "(3, 5)", {{{3, 5}}},\n'
        "                   [](const auto& v) { return cumsum(v[0]); },\n"
        "                   [](const std::vector<Array>& v) {\n"
        "                     return make({3, 5}, [&](const Index& at) {\n"
        "                       double total = 0;\n"
        "                       for (std::int64_t j = 0; j <= at[1]; ++j)\n"
        "                         total += v[0]({at[0], j});\n"
        "                       return total;\n"
        "                     });\n"
        "                   },\n"
        "                   5});\n",
    ),
    (
        "tests/golden/cases.py",
        '    _layer("flatten",',
        '    _layer("unit_normalization", "UnitNormalization", (5, 4)),\n',
    ),
    (
        "tests/golden/cases_losses.py",
        '    ("mse", ',
        '    ("log_cosh", "LogCosh", "real", "real", {}),\n',
    ),
    ("tests/golden/cases.py", '    _optimizer("sgd", ', '    _optimizer("lion", "Lion"),\n'),
    (
        "tests/golden/cases.py",
        '    _initializer("zeros", ',
        '    _initializer("half", "Half", (3, 4)),\n',
    ),
    (
        "tests/golden/cases_losses.py",
        '    _metric("binary_crossentropy", ',
        '    _metric("log_cosh_error", "LogCoshError", "real", "real"),\n',
    ),
]
NEW_FILES = {
    "cumsum.cpp": "cpp/ops",
    "logaddexp.cpp": "cpp/ops",
    "unit_normalization.cpp": "cpp/nn/layers",
    "log_cosh.cpp": "cpp/nn/losses",
    "lion.cpp": "cpp/nn/optimizers",
    "log_cosh_error.cpp": "cpp/nn/metrics",
    "half.cpp": "cpp/nn/initializers",
    "regularizers.h": "cpp/include/chainrule",
    "l2.cpp": "cpp/nn/regularizers",
    "sse4.cpp": "cpp/isa",
    "test_additions.cpp": "tests/cpp",
}
GENERATED = {
    "python/chainrule/ops.pyi": "def cube(x: Tensor) -> Any: ...",
    "docs/api/ops.md": "| `cube(x)` | x to the power 3. Element-wise. |",
}
ALSO_GENERATED = {
    "cpp/include/chainrule/ops.h": "/// exclusive: Whether the element itself is left out.\n"
    "Value cumsum(Value x, bool exclusive = false);\n",
    "cpp/include/chainrule/activations.h": "Value lisht(Value x);\n",
    "python/chainrule/ops.pyi": "def cumsum(x: Tensor, exclusive: bool = ...) -> Any: ...",
    "docs/api/ops.md": "## `cumsum(x, exclusive: bool = False)`",
    "python/chainrule/layers.pyi": "class UnitNormalization(Layer):",
    "docs/api/layers.md": "UnitNormalization",
    "docs/api/losses.md": "LogCosh",
    "docs/api/optimizers.md": "Lion",
    "docs/api/metrics.md": "LogCoshError",
    "docs/api/initializers.md": "Half",
    "docs/api/activations.md": "lisht",
}


def run(*command: str | Path, cwd: Path = COPY, **env: str) -> None:
    print("$", *(str(part).replace(f"{ROOT}/", "") for part in command), flush=True)
    subprocess.run(
        list(map(str, command)), cwd=cwd, env={**os.environ, **env}, check=True, timeout=SECONDS
    )


def make_copy() -> None:
    """The files of the checkout, those not yet committed among them; a build in it is kept."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for name in listed.stdout.splitlines():
        if not (ROOT / name).is_file():
            continue
        target = COPY / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)


def add() -> None:
    for name, before, text in LINES:
        path = COPY / name
        old = path.read_text()
        if old.count(before) != 1:
            raise SystemExit(f"additions: {name} no longer holds once: {before}")
        path.write_text(old.replace(before, text + before))
        print(f"{name}: {text.count(chr(10))} line{'s'[: text.count(chr(10)) != 1]} added")
    for name, folder in NEW_FILES.items():
        (COPY / folder).mkdir(exist_ok=True)
        shutil.copy2(FILES / name, COPY / folder / name)
        print(f"{folder}/{name}: added")


def generate() -> None:
    """What `dev.py generate` writes of ops and classes, from the module of the copy."""
    shutil.rmtree(SITE, ignore_errors=True)
    pip = [BIN / "python", "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps"]
    run(*pip, "--target", SITE, ".")
    for tool in ("make_headers", "make_stubs", "make_docs"):
        run(BIN / "python", f"tools/{tool}.py", PYTHONPATH=str(SITE))
    for expected in (GENERATED, ALSO_GENERATED):
        for name, text in expected.items():
            if text not in (COPY / name).read_text():
                raise SystemExit(f"additions: {name} lacks: {text}")
            print(f"{name} has: {text}")


def check_python() -> None:
    tests = ["tests/additions/check.py"]
    tests += [
        f"tests/python/test_{name}.py"
        for name in ("functions", "headers", "ops", "coverage", "reference", "stubs", "layering")
    ]
    run(
        BIN / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, PYTHONPATH=str(SITE)
    )


def check_cpp() -> None:
    build = COPY / "build" / "release"
    run(BIN / "cmake", "--preset", "release")
    run(BIN / "cmake", "--build", build, "--target", "chainrule_tests")
    run(build / "chainrule_tests")
    run(build / "chainrule_tests", CHAINRULE_ISA="sse4")


def main(arguments: list[str]) -> int:
    make_copy()
    add()
    generate()
    if "--cpp" not in arguments:
        check_python()
    if "--python" not in arguments:
        check_cpp()
    print("additions: all that follows from them is there")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
