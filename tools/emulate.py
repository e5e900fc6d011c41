"""Runs the C++ tests and the Python module on emulated processors: `python3 dev.py emulate`.

On x86-64 without AVX, on x86-64 with AVX2 but not AVX-512, and on 64-bit Arm it shows that
- the instruction set that is chosen is the best one there, and all tests pass with it;
- no instruction runs that the processor does not have: the emulator refuses it, which is shown too;
- training gives the numbers that it gives on this machine;
- CHAINRULE_ISA with an instruction set that the processor does not have is an error.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ARM = ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")
# Processors of x86-64, and the instruction sets that are to be found there, best first. qemu64 has
# SSE3 and nothing newer, which is less than NumPy needs; Nehalem has SSE4.2; Haswell has AVX2.
FOUND = {"qemu64": ["reference"], "Nehalem": ["reference"], "Haswell": ["avx2", "reference"]}
# Parts of the names of the tests that an emulator cannot run.
NOT_EMULATED = (
    "a child made by fork",  # QEMU ends when a child of a process with threads starts threads
    "a child forked",
    "free in a child",
    "CHAINRULE_ISA selects",  # starts this program anew, and that without the emulator
    "a long run asks",  # how soon, in seconds
    "short runs do not ask",
    "who is asked may run other programs",
    "shutdown_threads",  # starts and ends threads by the thousand, which QEMU counts as its own
)
# Those that take minutes there: they are about the loops around the tiles, which all processors
# share, so that those of this machine have shown them.
TOO_SLOW = (
    "gemm: shapes of layers",
    "gemm: every size",
    "gemm: few columns",
    "gemm: a result larger",
    "gemm: operands and results",
)
# With AVX2, whose fused operations the emulator computes one by one, what shows that the table
# runs: this machine has run all tests with it. QEMU 7.2 reads the whole of a masked vector, so that
# operands must not end where memory does.
WITHOUT_PAGE_GUARDS = {"CHAINRULE_TEST_PAGE_GUARDS": "0"}
ON_HASWELL = (
    "ops: values",
    "ops: every",
    "reductions",
    "gemm: matrix",
    "training",
    "random models",
)
RANDOM_MODELS = 4  # of the test that compares random models with the interpreter
TIME_LIMIT = 1200  # seconds, of one run: the longest takes about four minutes
ILLEGAL_INSTRUCTION = 132  # what a shell calls the end by this signal


def x86(cpu: str) -> tuple[str, ...]:
    return ("qemu-x86_64", "-cpu", cpu)


class Runs:
    """Programs that run beside each other, and what is expected of each."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(os.cpu_count())
        self.complaints: list[Future[str]] = []

    def expect(
        self,
        *command: str | Path,
        env: dict[str, str] | None = None,
        status: int = 0,
        says: str = "",
    ) -> None:
        """The command is to end with this exit status, and its output to contain `says`."""
        words = [str(word) for word in command]
        self.complaints.append(self.pool.submit(self._run, words, env or {}, status, says))

    def _run(self, words: list[str], env: dict[str, str], status: int, says: str) -> str:
        """Nothing when it is so, else a text for people."""
        # Variables that speak of the real processor are not for the emulated one.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CHAINRULE_", "OPENBLAS_"))
        }
        start = time.monotonic()
        # Killed after a time that no run needs: a program that hangs is a failure.
        result = subprocess.run(
            ["timeout", "--signal=KILL", str(TIME_LIMIT), *words],
            cwd=ROOT,
            env={**inherited, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        shown = shlex.join([*(f"{name}={value}" for name, value in env.items()), *words])
        seconds = time.monotonic() - start
        found = result.returncode if result.returncode >= 0 else 128 - result.returncode
        good = found == status and says in result.stdout
        print(
            f"+ {shown}\n  {'as expected' if good else 'NOT AS EXPECTED'} [{seconds:.0f} s]",
            flush=True,
        )
        if good:
            return ""
        return f"{shown}\n{result.stdout}\nExit status {found}, expected {status} and '{says}'"

    def finish(self) -> int:
        """Waits for all. The exit status of this script."""
        self.pool.shutdown()
        failed = [text for text in (run.result() for run in self.complaints) if text]
        for text in failed:
            print(f"\nemulate: not as expected: {text}")
        print(f"emulate: {len(self.complaints) - len(failed)} passed, {len(failed)} failed")
        return 1 if failed else 0


def compile_one_instruction(instruction: str, program: Path) -> None:
    source = f'int main() {{ asm volatile("{instruction}"); }}\n'
    command = [*shlex.split(os.environ.get("CXX", "c++")), "-x", "c++", "-", "-o", str(program)]
    subprocess.run(command, input=source, text=True, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tests", type=Path, help="chainrule_tests of this machine")
    parser.add_argument("arm_tests", type=Path, help="chainrule_tests for 64-bit Arm")
    options = parser.parse_args()
    runs = Runs()
    with tempfile.TemporaryDirectory() as folder:
        # What training gives here.
        same = "training gives the same numbers on every instruction set"
        numbers = str(Path(folder, "numbers.txt"))
        environment = {**os.environ, "CHAINRULE_TEST_WRITE_NUMBERS": numbers}
        subprocess.run([options.tests, same], check=True, env=environment)

        def expecting(isa: str) -> dict[str, str]:
            return {
                "CHAINRULE_TEST_EXPECTED_ISA": isa,
                "CHAINRULE_TEST_READ_NUMBERS": numbers,
                "CHAINRULE_TEST_RANDOM_MODELS": str(RANDOM_MODELS),
            }

        # All tests: the slowest run first.
        on_arm = (*ARM, options.arm_tests)
        skipped = [f"-{part}" for part in (*NOT_EMULATED, *TOO_SLOW)]
        runs.expect(*on_arm, *skipped, env=expecting("neon"))
        for cpu, chosen in (("qemu64", ()), ("Haswell", ON_HASWELL)):
            isa = FOUND[cpu][0]
            env = expecting(isa) | (WITHOUT_PAGE_GUARDS if cpu == "Haswell" else {})
            runs.expect(*x86(cpu), options.tests, *skipped, *chosen, env=env)

        # What this is about, each by name: a name that no test has is a failure.
        chosen = "the table in use is the expected one"
        for name in (chosen, same):
            runs.expect(*on_arm, name, env=expecting("neon"))
            for cpu, found in FOUND.items():
                runs.expect(*x86(cpu), options.tests, name, env=expecting(found[0]))

        # CHAINRULE_ISA: what is there runs, and anything else is refused.
        for cpu, found in FOUND.items():
            for isa in ("reference", "avx2", "avx512"):
                refusal = (
                    "[CHAINRULE_ISA] this CPU does not run that instruction set; available here: "
                    f"{', '.join(found)}. Received: CHAINRULE_ISA='{isa}'"
                )
                status, says = (0, "") if isa in found else (1, refusal)
                env = {**expecting(isa), "CHAINRULE_ISA": isa}
                runs.expect(*x86(cpu), options.tests, chosen, env=env, status=status, says=says)

        # The installed Python package.
        for cpu in ("Nehalem", "Haswell"):
            python = (*x86(cpu), sys.executable)
            best = f"instruction set  {FOUND[cpu][0]} (of {', '.join(FOUND[cpu])})"
            runs.expect(*python, "-m", "chainrule", "info", says=best)
            runs.expect(*python, ROOT / "tests" / "install" / "smoke.py", says="passed")

        # The emulator does refuse what the processor does not have.
        for instruction, cpu in (("vpaddd %ymm0, %ymm0, %ymm0", "Nehalem"),
                                 ("vpaddd %zmm0, %zmm0, %zmm0", "Haswell")):  # fmt: skip
            program = Path(folder, f"newer_than_{cpu}")
            compile_one_instruction(instruction, program)
            runs.expect(*x86(cpu), program, status=ILLEGAL_INSTRUCTION)
        return runs.finish()


if __name__ == "__main__":
    sys.exit(main())
