"""The public headers and the package files, as a C++ project outside of this one meets them."""

import re
import shutil
import sys
from pathlib import Path

import processes
import pytest

import chainrule

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "cpp" / "include"
HEADERS = sorted(
    path.relative_to(INCLUDE).as_posix() for path in (INCLUDE / "chainrule").rglob("*.h")
)
OWN = [name for name in HEADERS if name != "chainrule/eigen.h"]  # includes Eigen's
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Woverloaded-virtual -Werror".split()


def compilers():
    """C++ compilers of this machine, one of each kind."""
    found = {}
    for name in ("g++", "clang++", *(f"clang++-{version}" for version in range(22, 13, -1))):
        if path := shutil.which(name):
            found.setdefault(name.partition("-")[0], path)
    return list(found.values())


def compile_text(compiler, text, *options, folder, standard="c++20"):
    source = folder / "own.cpp"
    source.write_text(text)
    command = [compiler, f"-std={standard}", "-fsyntax-only", "-I", INCLUDE, *options, source]
    return processes.run(command, capture_output=True, text=True, timeout=300)


def including(*headers):
    return "".join(f"#include <{header}>\n" for header in headers) + "int main() {}\n"


@pytest.mark.parametrize("compiler", compilers(), ids=lambda path: Path(path).name)
def test_headers_are_free_of_warnings(compiler, tmp_path):
    """Included as one's own, not as a system's, where compilers would say nothing."""
    result = compile_text(compiler, including(*OWN), *WARNINGS, folder=tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("compiler", compilers(), ids=lambda path: Path(path).name)
@pytest.mark.parametrize("example", ["blas.cpp", "own.cpp"])
def test_templates_of_the_headers_are_free_of_warnings(compiler, example, tmp_path):
    text = (ROOT / "examples" / "cpp" / example).read_text()
    result = compile_text(compiler, text, *WARNINGS, folder=tmp_path)
    assert result.returncode == 0, result.stderr


OPTIONS = """
#include <chainrule/chainrule.h>

namespace cr = chainrule;

void use(cr::Sequential& model, const cr::Data& data) {
  namespace callbacks = cr::callbacks;
  model.compile({.optimizer = "sgd"});
  model.compile({.loss = {"mse"}});
  model.compile({.metrics = {{"mae"}}});
  model.fit({.y = data.y}, {.epochs = 2});
  model.fit(data, {.shuffle = false});
  callbacks::EarlyStopping stop({.patience = 2});
  callbacks::ModelCheckpoint save({.save_best_only = true});
  callbacks::ReduceLROnPlateau reduce({.factor = 0.5});
  const auto dense = cr::layers::Dense(2, {.name = "a"});
  const auto masking = cr::layers::Masking({.name = "b"});
  const auto joined = cr::layers::Concatenate({.name = "c"});
  const auto loss = cr::losses::BinaryCrossentropy({.axis = 1});
  const auto sparse = cr::losses::SparseCategoricalCrossentropy({.axis = 1});
  const auto sgd = cr::optimizers::SGD({.momentum = 0.5});
  const auto adam = cr::optimizers::Adam({.beta_1 = 0.5});
  cr::Graph graph;
  const cr::CallContext context{.graph = graph};
  const cr::Value x = graph.input({{3}, cr::DType::float32}, "x");
  const auto loop = cr::scan(
      [](const cr::ScanStep& step) -> cr::ScanResult { return {.carry = step.carry}; },
      {x}, {}, {.length = 3});
  const cr::Program program(graph, {x}, loop.carry, {.fuse = false});
  const cr::NonFinite found{.op = "exp"};
}

int main() {}
"""


@pytest.mark.parametrize("compiler", compilers(), ids=lambda path: Path(path).name)
def test_any_option_may_be_given_alone(compiler, tmp_path):
    """By its name: all the others have defaults, so compilers miss none."""
    result = compile_text(compiler, OPTIONS, *WARNINGS, "-Wno-unused", folder=tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_check_sees_warnings(tmp_path):
    text = including("chainrule/error.h") + "int cut(double x) { return x; }\n"
    result = compile_text(compilers()[0], text, *WARNINGS, folder=tmp_path)
    assert "conversion" in result.stderr
    assert result.returncode != 0


@pytest.mark.parametrize("compiler", compilers(), ids=lambda path: Path(path).name)
def test_an_older_language_is_one_error(compiler, tmp_path):
    text = including("chainrule/chainrule.h")
    result = compile_text(compiler, text, folder=tmp_path, standard="c++17")
    assert len(re.findall(r"\berror: ", result.stderr)) == 1, result.stderr
    assert "Chainrule needs C++20: compile with -std=c++20" in result.stderr


@pytest.mark.parametrize("header", OWN)
def test_an_older_language_is_the_first_error_of_every_header(header, tmp_path):
    result = compile_text(compilers()[0], including(header), folder=tmp_path, standard="c++17")
    errors = [line for line in result.stderr.splitlines() if "error: " in line]
    assert "Chainrule needs C++20" in errors[0], result.stderr


def test_the_version_is_that_of_the_package(tmp_path):
    major, minor, patch = chainrule.__version__.split(".")
    number = int(major) * 10000 + int(minor) * 100 + int(patch)
    text = f"""
#include <chainrule/version.h>
#include <string_view>
static_assert(CHAINRULE_VERSION_MAJOR == {major} && CHAINRULE_VERSION_MINOR == {minor});
static_assert(CHAINRULE_VERSION_PATCH == {patch} && CHAINRULE_VERSION_NUMBER == {number});
static_assert(std::string_view(CHAINRULE_VERSION_STRING) == "{chainrule.__version__}");
int main() {{ return *chainrule::version(); }}
"""
    result = compile_text(compilers()[0], text, folder=tmp_path)
    assert result.returncode == 0, result.stderr


# --- CMake and pkg-config -------------------------------------------------------------------------


def tool(name):
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    assert found, f"{name} is needed: it is among the build requirements of the tests"
    return found


def configure(folder, *options):
    """Configures a project that has this one as a part."""
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.24)\nproject(outer LANGUAGES CXX)\n"
        f"add_subdirectory({ROOT} chainrule)\n"
    )
    command = [tool("cmake"), "-S", folder, "-B", folder / "build", "-G", "Ninja"]
    command += [f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}", *options]
    result = processes.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stderr


def test_a_part_of_another_project_asks_for_a_build_type_and_installs_nothing(tmp_path):
    said = " ".join(configure(tmp_path).split())
    assert "chainrule is compiled without optimisation" in said
    assert "Configure with -DCMAKE_BUILD_TYPE=Release" in said
    install = [tool("cmake"), "--install", tmp_path / "build", "--prefix", tmp_path / "installed"]
    result = processes.run(install, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert not list((tmp_path / "installed").rglob("*chainrule*"))
    assert "chainrule" not in configure(tmp_path, "-DCMAKE_BUILD_TYPE=Release")


def test_pkg_config_knows_the_package(tmp_path):
    """The copy in the Python package, which is where this one is."""
    pc = Path(chainrule.__file__).parent / "lib" / "pkgconfig" / "chainrule.pc"
    assert f"Version: {chainrule.__version__}\n" in pc.read_text()
    if not shutil.which("pkg-config"):
        pytest.skip("no pkg-config here")
    command = ["pkg-config", "--static", "--cflags", "--libs", str(pc)]
    flags = processes.run(command, check=True, capture_output=True, text=True).stdout.split()
    source = tmp_path / "own.cpp"
    source.write_text(
        "#include <chainrule/chainrule.h>\n#include <cstdio>\n"
        'int main() { std::printf("%s", chainrule::version()); }\n'
    )
    build = [shutil.which("c++"), "-std=c++20", source, "-o", tmp_path / "own", *flags]
    result = processes.run(build, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    run = processes.run([tmp_path / "own"], check=True, capture_output=True, text=True)
    assert run.stdout == chainrule.__version__
