#!/usr/bin/env python3
"""Sets up, tries, tests, checks and formats this checkout.

    python3 dev.py demo      install into .venv and train a first model
    python3 dev.py test      install into .venv, then run the C++ and the Python tests, with every
                             instruction set of this machine forced, and random models; C++ tests
                             and random models also with guards around all memory
                             test [--cpp] [--python] [FILTER]: only these tests, once; with FILTER
                             only those with it in their names (C++: as tests print them; Python:
                             pytest -k)
                             test --random N: only N random models
    python3 dev.py emulate   install into .venv, then run the C++ tests on emulated processors:
                             x86-64 without AVX, without AVX-512, and 64-bit Arm
    python3 dev.py lint      clang-format, clang-tidy, ruff and mypy; changes nothing
    python3 dev.py format    clang-format and ruff, in place
    python3 dev.py generate  install into .venv, then write all generated files: docs/api, type
                             stubs, the tables of docs/performance.md and the README
    python3 dev.py bench     measure training steps and the executor in C++; bench NAME: another
                             program of benchmarks/cpp, such as gemm

Each command prints at its end how long its parts took. Needs Python 3.10 or newer and a C++20
compiler; everything else is installed into the virtual environment. This script imports only the
standard library.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
# The tools of [build-system] in pyproject.toml, and those that they call. They are installed into
# the virtual environment, because an isolated build would compile everything again each time.
BUILD_TOOLS = ("scikit-build-core>=0.11", "pybind11>=3.0", "cmake>=3.24", "ninja>=1.11")

RANDOM_MODELS = 300  # in each `test`; takes half a minute
GUARDED_MODELS = 100  # the first of them once more, with guards


class DevError(Exception):
    """An error that the user can put right; the message says how."""


times: list[tuple[str, float]] = []  # (part of the command, seconds)


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Notes how long a part of a command takes."""
    start = time.monotonic()
    try:
        yield
    finally:
        times.append((part, time.monotonic() - start))


def print_times(command: str) -> None:
    """Prints the times of the parts of a command, and their sum."""
    times.append((f"dev.py {command}", sum(seconds for _, seconds in times)))
    for part, seconds in times:
        print(f"{int(seconds // 60):3d} min {int(seconds % 60):02d} s  {part}")


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Runs a command in the root of the checkout, showing it first; raises when it fails."""
    words = [str(word) for word in command]
    print("+", shlex.join(words), flush=True)
    subprocess.run(words, cwd=ROOT, check=True, env=env)


def require_compiler() -> None:
    """Checks that the compiler that CMake will choose compiles C++20."""
    advice = (
        "Install GCC 11 or Clang 14 or newer, e.g. `sudo apt install g++` or `sudo dnf install "
        "gcc-c++`; or set CXX to your compiler."
    )
    given = os.environ.get("CXX")
    candidates = [shlex.split(given)] if given else [["c++"], ["g++"], ["clang++"]]
    compiler = next((words for words in candidates if shutil.which(words[0])), None)
    if compiler is None:
        looked_for = ", ".join(shlex.join(words) for words in candidates)
        raise DevError(f"no C++ compiler found (looked for {looked_for}). {advice}")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "check.cpp")
        source.write_text("#include <span>\nint main() { return std::span<int>().size(); }\n")
        command = [*compiler, "-std=c++20", str(source), "-o", str(Path(folder, "check"))]
        result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        name = shlex.join(compiler)
        raise DevError(f"{name} does not compile C++20. {advice} It said:\n{result.stderr}")


class Venv:
    """The virtual environment that everything is installed into."""

    def __init__(self, folder: Path, python: str) -> None:
        self.bin = folder / "bin"
        self.python = self.bin / "python"
        # Its tools come first on the path, so that cmake finds its ninja.
        self.env = {**os.environ, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
        check = "import sys; sys.exit(sys.version_info < (3, 10))"
        found = shutil.which(python)
        if found is None or subprocess.run([found, "-c", check]).returncode != 0:
            raise DevError(f"Python 3.10 or newer is needed. Received: --interpreter {python}")
        if not (self.bin / "pip").exists():
            try:
                run(python, "-m", "venv", folder)
            except subprocess.CalledProcessError as error:
                raise DevError(
                    f"{python} could not make a virtual environment in {folder}. On Debian and "
                    "Ubuntu: `sudo apt install python3-venv`."
                ) from error

    def run(self, tool: str, *arguments: str | Path) -> None:
        run(self.bin / tool, *arguments, env=self.env)

    def pip_install(self, *arguments: str | Path) -> None:
        self.run("python", "-m", "pip", "install", "--disable-pip-version-check", *arguments)

    def site_packages(self) -> Path:
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        command = [str(self.python), "-c", ask]
        return Path(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        )

    def instruction_sets(self) -> list[str]:
        """The instruction sets that the installed engine can use here, best first."""
        command = [str(self.bin / "chainrule"), "info"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = re.search(r"^instruction set +\w+ \(of (.*)\)$", said, re.MULTILINE)
        if found is None:
            raise DevError(f"chainrule info does not name the instruction sets: {said}")
        return found[1].split(", ")

    def install_checkout(self, extra: str = "") -> None:
        with timed("install"):
            self.pip_install("--quiet", *BUILD_TOOLS)
            self.pip_install("--no-build-isolation", f"{ROOT}{extra}")


def demo(venv: Venv, options: argparse.Namespace) -> None:
    require_compiler()
    print("Compiling the engine; this takes a minute or two the first time.", flush=True)
    venv.install_checkout()
    with timed("demo"):
        venv.run("chainrule", "demo")


def test(venv: Venv, options: argparse.Namespace) -> None:
    require_compiler()
    if options.random is not None:
        venv.pip_install("--quiet", *BUILD_TOOLS)
        venv.run("cmake", "--preset", "release")
        try_random_models(venv, options.random, options.seed)
        return
    chosen = options.cpp or options.python or options.filter is not None
    cpp = options.cpp or not options.python
    python = options.python or not options.cpp
    print("Compiling the engine and its tests; the first time takes minutes.", flush=True)
    venv.install_checkout("[test]")
    tests = ROOT / "build" / "release" / "chainrule_tests"
    if cpp:
        eigen = venv.site_packages() / "cmeel.prefix"  # where the package cmeel-eigen puts Eigen
        with timed("compile the C++ tests"):
            venv.run(
                "cmake", "--preset", "release",
                "-DCHAINRULE_TEST_EIGEN=ON", f"-DEigen3_DIR={eigen / 'share/eigen3/cmake'}",
            )  # fmt: skip
            targets = ("chainrule_tests", "chainrule_random_models")
            venv.run("cmake", "--build", "--preset", "release", "--target", *targets)
        with timed("C++ tests"):
            run(tests, *([options.filter] if options.filter else []))
    if python:
        with timed("Python tests"):
            venv.run("pytest", *(["-k", options.filter] if options.filter else []))
    if chosen:
        return
    # The tests above used the best instruction set. Tests of kernels are run with the others, too.
    jobs = [
        Job(
            f"tests on {isa}",
            {"CHAINRULE_ISA": isa, "CHAINRULE_TEST_EXPECTED_ISA": isa},
            [[tests], [venv.bin / "pytest", "-m", "not once"]],
        )
        for isa in venv.instruction_sets()[1:]
    ]
    guards = {"CHAINRULE_GUARDS": "1"}
    jobs.append(Job("C++ tests with guards", guards, [[tests]]))
    with timed("; ".join(job.name for job in jobs)):
        run_together(venv, jobs)
    try_random_models(venv, RANDOM_MODELS, options.seed)
    try_random_models(venv, GUARDED_MODELS, options.seed, venv.env | guards)


class Job(NamedTuple):
    """Commands to run one after the other, in parallel with other jobs."""

    name: str
    variables: dict[str, str]  # environment variables
    commands: Sequence[Sequence[str | Path]]


def run_together(venv: Venv, jobs: Sequence[Job]) -> None:
    """Runs jobs in parallel, one per processor; prints the output of each when it has ended."""

    def run_job(job: Job) -> bool:
        said = [f"=== {job.name} ==="]
        for command in job.commands:
            words = [str(word) for word in command]
            settings = [f"{name}={value}" for name, value in job.variables.items()]
            said.append(f"+ {shlex.join([*settings, *words])}")
            result = subprocess.run(
                words, cwd=ROOT, env=venv.env | job.variables,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            said.append(result.stdout)
            if result.returncode != 0:
                break
        print("\n".join(said), flush=True)
        return result.returncode == 0

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        passed = list(pool.map(run_job, jobs))
    failed = [job.name for job, good in zip(jobs, passed, strict=True) if not good]
    if failed:
        raise DevError(f"failed, see above: {', '.join(failed)}")


def try_random_models(venv: Venv, count: int, seed: int, env: dict[str, str] | None = None) -> None:
    """Compares `count` random models, from number `seed` on, with the plain interpreter."""
    program = "chainrule_random_models"
    venv.run("cmake", "--build", "--preset", "release", "--target", program)
    jobs = os.cpu_count() or 1
    path = ROOT / "build" / "release" / program
    with timed(f"{count} random models{' with guards' if env else ''}"):
        run(path, f"--count={count}", f"--seed={seed}", f"--jobs={jobs}", env=env)


def require_emulators() -> None:
    """Checks that this machine has the programs that `emulate` needs."""
    if platform.machine() != "x86_64":
        raise DevError(f"emulate needs an x86-64 machine. Received: {platform.machine()}")
    packages = {
        "qemu-x86_64": "qemu-user",
        "qemu-aarch64": "qemu-user",
        "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    }
    missing = [tool for tool in packages if shutil.which(tool) is None]
    if missing:
        needed = " ".join(sorted({packages[tool] for tool in missing}))
        raise DevError(
            f"emulate did not find {', '.join(missing)}. On Debian and Ubuntu: `sudo apt-get "
            f"install {needed}`."
        )
    command = ["qemu-x86_64", "--version"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    version = re.search(r"version (\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < (7, 2):
        raise DevError(f"emulate needs QEMU 7.2 or newer, which knows AVX2. Received: {said}")


def emulate(venv: Venv, options: argparse.Namespace) -> None:
    require_compiler()
    require_emulators()
    venv.install_checkout()
    for preset in ("release", "aarch64"):
        with timed(f"compile the C++ tests: {preset}"):
            venv.run("cmake", "--preset", preset)
            venv.run("cmake", "--build", "--preset", preset, "--target", "chainrule_tests")
    programs = [ROOT / "build" / preset / "chainrule_tests" for preset in ("release", "aarch64")]
    with timed("emulated tests"):
        venv.run("python", ROOT / "tools" / "emulate.py", *programs)


def files_of(*patterns: str, since: str | None = None) -> list[str]:
    """The checkout's files, new ones included and ignored ones not, or those changed `since`."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    if since:
        listing = ["git", "diff", "--name-only", "--diff-filter=d", since]
    out = subprocess.run(
        [*listing, "--", *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return sorted({name for name in out.splitlines() if (ROOT / name).exists()})


def clang_tidy(venv: Venv, since: str | None) -> None:
    """Checks the C++ sources (those changed `since`) with the flags they are compiled with."""
    asked = [str(venv.python), "-m", "pybind11", "--cmakedir"]
    pybind11 = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    build = ROOT / "build" / "lint"
    venv.run(
        "cmake", "--preset", "release", "-B", build, "-DCHAINRULE_UNITY=OFF",
        "-DCHAINRULE_BUILD_PYTHON=ON", f"-Dpybind11_DIR={pybind11}",
        f"-DPython_EXECUTABLE={venv.python}",
    )  # fmt: skip
    database = build / "compile_commands.json"
    # Removes flags of GCC that clang does not know.
    compiled = re.sub(r" -f(?:vect-cost-model=dynamic|no-ipa-cp-clone)", "", database.read_text())
    database.write_text(compiled)
    # Left out: files that need other libraries' headers, and the tests of expressions, which take a
    # minute each, since templates make hundreds of cases.
    left_out = re.compile("/peers/|/test_openmp|/test_blas_")
    names = [
        name
        for name in files_of("*.cpp", since=since)
        if f'{ROOT / name}"' in compiled and not left_out.search(name)
    ]
    print(f"+ clang-tidy on {len(names)} files", flush=True)

    def check(name: str) -> str:
        command = [str(venv.bin / "clang-tidy"), "--quiet", "-p", str(build), name]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        return "" if result.returncode == 0 else result.stdout or result.stderr

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [text for text in pool.map(check, names) if text]
    if complaints:
        print("\n".join(complaints), flush=True)
        raise DevError("clang-tidy: see above")


def lint(venv: Venv, options: argparse.Namespace) -> None:
    require_compiler()
    venv.pip_install("--quiet", "-r", ROOT / "requirements-lint.txt", *BUILD_TOOLS)
    checks: dict[str, Callable[[], None]] = {
        "clang-format": lambda: venv.run(
            "clang-format", "--dry-run", "-Werror", *files_of("*.cpp", "*.h", "*.inl")
        ),
        "ruff check": lambda: venv.run("ruff", "check"),
        "ruff format": lambda: venv.run("ruff", "format", "--check"),
        "mypy": lambda: venv.run("mypy"),
        "clang-tidy": lambda: clang_tidy(venv, options.since),
    }
    failed = []
    for name, check in checks.items():
        try:
            with timed(name):
                check()
        except (DevError, subprocess.CalledProcessError):
            failed.append(name)
    if failed:
        raise DevError(f"lint: complaints by {', '.join(failed)}")
    print("lint: no complaints")


def format_files(venv: Venv, options: argparse.Namespace) -> None:
    venv.pip_install("--quiet", "-r", ROOT / "requirements-lint.txt")
    venv.run("clang-format", "-i", *files_of("*.cpp", "*.h", "*.inl"))
    venv.run("ruff", "check", "--fix")
    venv.run("ruff", "format")


def generate(venv: Venv, options: argparse.Namespace) -> None:
    require_compiler()
    venv.install_checkout("[test]")
    for tool in ("make_headers", "make_docs", "make_stubs", "make_performance", "update_readme"):
        venv.run("python", ROOT / "tools" / f"{tool}.py")


def bench(venv: Venv, options: argparse.Namespace) -> None:
    require_compiler()
    known = sorted(path.stem for path in (ROOT / "benchmarks" / "cpp").glob("*.cpp"))
    names = [options.filter] if options.filter else ["steps", "overhead"]
    if names[0] not in known:
        raise DevError(f"bench knows {', '.join(known)}. Received: {names[0]}")
    venv.pip_install("--quiet", *BUILD_TOOLS)
    venv.run("cmake", "--preset", "release")
    for name in names:
        venv.run("cmake", "--build", "--preset", "release", "--target", f"bench_{name}")
        print("Alone on the machine, or the times say little.", flush=True)
        run(ROOT / "build" / "release" / f"bench_{name}")


def main() -> int:
    commands = {
        "demo": demo,
        "test": test,
        "emulate": emulate,
        "lint": lint,
        "format": format_files,
        "generate": generate,
        "bench": bench,
    }
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=commands)
    parser.add_argument("filter", nargs="?", metavar="FILTER",
                        help="test: a part of the names; bench: the name")  # fmt: skip
    parser.add_argument("--cpp", action="store_true", help="test: only the C++ tests")
    parser.add_argument("--python", action="store_true", help="test: only the Python tests")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", metavar="DIR",
                        help="the virtual environment to use or make (default: .venv)")  # fmt: skip
    parser.add_argument("--interpreter", default=sys.executable, metavar="PYTHON",
                        help="what to make it with (default: this one)")  # fmt: skip
    parser.add_argument("--since", metavar="REVISION",
                        help="lint: clang-tidy only the files changed since then")  # fmt: skip
    parser.add_argument("--random", type=int, metavar="N",
                        help="test: compare N random models, and do nothing else")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1,
                        help="test: of the first random model (default: 1)")  # fmt: skip
    options = parser.parse_intermixed_args()
    if options.random is not None and options.random < 1:
        parser.error("--random must be positive")
    if options.seed < 1:
        parser.error("--seed must be positive")
    if options.filter and options.command not in ("test", "bench"):
        parser.error(f"{options.command} takes no FILTER. Received: {options.filter}")
    if (options.cpp or options.python) and options.command != "test":
        parser.error(f"{options.command} runs no tests")
    try:
        venv = Venv(options.venv.resolve(), options.interpreter)
        commands[options.command](venv, options)
    except DevError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"dev.py: failed: {shlex.join(map(str, error.cmd))}", file=sys.stderr)
        return 1
    if times:
        print_times(options.command)
    return 0


if __name__ == "__main__":
    sys.exit(main())
