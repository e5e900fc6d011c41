"""Who may include whom: the rooms of cpp/ and the order they stand in."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
CPP = ROOT / "cpp"
PUBLIC = CPP / "include" / "chainrule"

# Room -> the other rooms whose headers it may include.
MAY_INCLUDE = {
    "base": set(),
    "parallel": {"base"},
    "isa": {"base"},
    "blas": {"parallel", "isa"},
    "kernels": {"base", "parallel", "isa"},
    "expressions": {"base", "parallel", "isa", "blas", "kernels"},
    "graph": {"base"},
    "ops": {"base", "parallel", "isa", "blas", "kernels", "graph"},
    "transform": {"base", "graph", "ops"},
    "runtime": {"base", "parallel", "kernels", "graph", "transform"},
    "nn": {"base", "graph", "ops"},
    "train": {"base", "parallel", "kernels", "graph", "ops", "runtime", "nn"},
    "io": {"base", "train"},
}
MAY_INCLUDE["everything"] = set(MAY_INCLUDE)  # chainrule.h
MAY_INCLUDE["bindings"] = set(MAY_INCLUDE)
# Single headers that one more room may include.
EXCEPTIONS = {("graph", "parallel/exec.h")}  # an op's instructions run in an execution context

# Room -> the public headers that it implements.
PUBLIC_HEADERS = {
    "base": "device_memory.h elementwise.def error.h fields.h fork_lock.h json.h random.h shape.h"
    " tensor.h version.h",
    "parallel": "threads.h",
    "isa": "blas/vector_parts.inl",
    "expressions": "blas.h blas/assign.h blas/dense_base.h blas/engine.h blas/expression.h"
    " blas/fused.h blas/fused_loops.inl blas/matrix.h blas/operators.h eigen.h",
    "graph": "device.h graph.h",
    "ops": "control_flow.h ops.h own_op.h",
    "runtime": "program.h",
    "nn": "activations.h config.h dtype_policy.h initializers.h layers.h losses.h metrics.h"
    " optimizers.h",
    "train": "callbacks.h inspection.h model.h snapshot.h training_step.h",
    "io": "safetensors.h",
    "everything": "chainrule.h",
}
ROOM_OF_PUBLIC = {name: room for room, names in PUBLIC_HEADERS.items() for name in names.split()}

SUFFIXES = {".h", ".cpp", ".def", ".inl"}
MAX_LINES = 450


def room_of(path):
    """The room of an include path (`graph/op.h`, `chainrule/graph.h`); None for foreign headers."""
    first, _, rest = path.partition("/")
    if first == "chainrule":
        assert rest in ROOM_OF_PUBLIC, f"give {path} a room in PUBLIC_HEADERS"
        return ROOM_OF_PUBLIC[rest]
    return first if first in MAY_INCLUDE else None


def complaint(includer, included):
    """Why `includer` may not include `included` (both as include paths); None when it may."""
    if re.fullmatch(r"Python\.h|pybind11/.*", included) and room_of(includer) != "bindings":
        return f"{includer} includes {included}: nothing under cpp/ knows Python"
    source, target = room_of(includer), room_of(included)
    if target is None:
        return None
    if includer.startswith("chainrule/") and not included.startswith("chainrule/"):
        return f"{includer} is public and includes the private {included}"
    if source == target or target in MAY_INCLUDE[source] or (source, included) in EXCEPTIONS:
        return None
    return f"{includer} ({source}) may not include {included} ({target})"


def sources():
    """(include path, file) of every C++ file of the engine and the bindings."""
    for folder, base in ((CPP, CPP), (ROOT / "bindings", ROOT)):
        for file in sorted(folder.rglob("*")):
            if file.suffix in SUFFIXES:
                path = file.relative_to(base).as_posix()
                yield path.removeprefix("include/"), file


def includes(file):
    return re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', file.read_text(), re.MULTILINE)


def test_every_include_goes_down():
    found = list(sources())
    assert len(found) > 10
    complaints = [complaint(path, name) for path, file in found for name in includes(file)]
    assert [c for c in complaints if c] == []


def test_every_permission_is_used():
    used = {(room_of(path), room_of(name)) for path, file in sources() for name in includes(file)}
    needless = [
        f"{room} may include {other}"
        for room, others in MAY_INCLUDE.items()
        for other in sorted(others)
        if room not in ("bindings", "everything") and (room, other) not in used
    ]
    assert needless == []
    assert [
        f"{room} may include {name}"
        for room, name in EXCEPTIONS
        if not any(room_of(path) == room and name in includes(file) for path, file in sources())
    ] == []


def test_every_public_header_is_there():
    assert [name for name in ROOM_OF_PUBLIC if not (PUBLIC / name).is_file()] == []
    there = {file.relative_to(PUBLIC).as_posix() for file in PUBLIC.rglob("*") if file.is_file()}
    assert there - set(ROOM_OF_PUBLIC) == set()


def test_every_source_is_in_a_room():
    assert [path for path, _ in sources() if room_of(path) is None] == []


def test_quoted_includes_exist():
    """A quoted include names its header from the include root, so that its room can be read."""
    missing = [
        f"{path}: {name}"
        for path, file in sources()
        for name in re.findall(r'^#include "([^"]+)"', file.read_text(), re.MULTILINE)
        if not any((root / name).is_file() for root in (CPP, CPP / "include", ROOT))
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("includer", "included"),
    [
        ("base/json.cpp", "graph/op.h"),
        ("kernels/softmax.cpp", "chainrule/graph.h"),
        ("graph/graph.cpp", "parallel/parallel_for.h"),
        ("nn/layers/dense.cpp", "kernels/gemm.h"),
        ("chainrule/graph.h", "graph/op.h"),
        ("chainrule/shape.h", "chainrule/graph.h"),
        ("ops/matmul.cpp", "Python.h"),
    ],
)
def test_the_check_sees_violations(includer, included):
    assert complaint(includer, included) is not None


@pytest.mark.parametrize(
    ("includer", "included"),
    [
        ("graph/op.h", "parallel/exec.h"),
        ("ops/matmul.cpp", "kernels/gemm.h"),
        ("nn/layers/dense.cpp", "chainrule/ops.h"),
        ("bindings/module.cpp", "pybind11/pybind11.h"),
        ("base/shape.cpp", "vector"),
    ],
)
def test_the_check_lets_pass(includer, included):
    assert complaint(includer, included) is None


def test_examples_include_public_headers_only():
    private = [
        f"{file.name}: {name}"
        for folder in ("examples/cpp", "tests/install")
        for file in (ROOT / folder).glob("*.cpp")
        for name in includes(file)
        if room_of(name) and not name.startswith("chainrule/")
    ]
    assert private == []


def test_passes_ask_ops_for_properties_not_for_names():
    asked = [
        f"{file.relative_to(ROOT)}:{number}"
        for room in ("transform", "runtime")
        for file in sorted((CPP / room).glob("*.cpp"))
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.search(r"\bname\s*[=!]=|string_view\(\"", line)
    ]
    assert asked == []


def test_everything_is_in_the_inline_namespace_of_the_version():
    version = re.search(
        r"project\(chainrule VERSION (\d+)\.(\d+)", (ROOT / "CMakeLists.txt").read_text()
    )
    expected = f"chainrule::inline v{version[1]}_{version[2]}"
    files = [ROOT / "cmake" / "tables.cmake"]
    files += [file for file in CPP.rglob("*") if file.suffix in SUFFIXES]
    others = [
        f"{file.relative_to(ROOT)}: {line}"
        for file in files
        for line in file.read_text().splitlines()
        if re.match(r"namespace chainrule\b", line) and not line.startswith(f"namespace {expected}")
    ]
    assert others == []


def test_files_stay_small():
    folders = ("cpp", "bindings", "python", "tests", "benchmarks", "examples", "cmake")
    long = {
        file.relative_to(ROOT).as_posix(): lines
        for folder in folders
        for file in (ROOT / folder).rglob("*")
        if file.suffix in SUFFIXES | {".py", ".cmake"}
        and (lines := len(file.read_text().splitlines())) > MAX_LINES
    }
    assert long == {}
