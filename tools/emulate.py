"""Runs the C++ tests and the Python module on emulated processors: `python3 dev.py emulate`.

The processors are x86-64 without AVX, x86-64 with AVX2 but not AVX-512, and 64-bit Arm. The runs
show that on each
- the best instruction set of the processor is chosen, and the tests pass with it;
- no instruction runs that the processor does not have (the emulator stops at one, which is tested,
  too);
- training gives the same numbers as on this machine;
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
# Processors of x86-64, and the instruction sets to be found on each, best first. qemu64 has nothing
# newer than SSE3, which is less than NumPy needs. Nehalem has SSE4.2, Haswell AVX2.
FOUND = {"qemu64": ["reference"], "Nehalem": ["reference"], "Haswell": ["avx2", "reference"]}
# Parts of the names of tests that cannot run in an emulator.
NOT_EMULATED = (
    "a child made by fork",  # QEMU ends when a child of a process with threads starts threads
    "a child forked",
    "free in a child",
    "CHAINRULE_ISA selects",  # starts this program again, outside of the emulator
    "a long run asks",  # the time limits are those of a real processor
    "short runs do not ask",
    "who is asked may run other programs",
    "shutdown_threads",  # starts and ends thousands of threads, each of which costs QEMU memory
)
# Tests that take minutes in an emulator. They test the loops around the tiles, which are the same
# for all processors, so a run on this machine suffices.
TOO_SLOW = (
    "gemm: shapes of layers",
    "gemm: every size",
    "gemm: few columns",
    "gemm: a result larger",
    "gemm: operands and results",
)
# QEMU 7.2 reads the whole of a masked vector, so operands must not end where memory does.
WITHOUT_PAGE_GUARDS = {"CHAINRULE_TEST_PAGE_GUARDS": "0"}
# A choice of tests for AVX2, whose fused operations are slow in the emulator. All tests run with
# AVX2 on this machine.
ON_HASWELL = (
    "ops: values",
    "ops: every",
    "reductions",
    "gemm: matrix",
    "training",
    "random models",
)
RANDOM_MODELS = 4  # in the test that compares random models with the interpreter
TIME_LIMIT = 1200  # seconds for one run; the longest takes about four minutes
ILLEGAL_INSTRUCTION = 132  # a shell's exit status after this signal


def x86(cpu: str) -> tuple[str, ...]:
    return ("qemu-x86_64", "-cpu", cpu)


class Runs:
    """Programs that run in parallel, and what is expected of each."""

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
        """Starts a command. It must end with this exit status, and its output contain `says`."""
        words = [str(word) for word in command]
        self.complaints.append(self.pool.submit(self._run, words, env or {}, status, says))

    def _run(self, words: list[str], env: dict[str, str], status: int, says: str) -> str:
        """An empty text if all is as expected, else a report."""
        # Leaves out variables that hold for the real processor.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CHAINRULE_", "OPENBLAS_"))
        }
        start = time.monotonic()
        # A program that hangs is killed, and counts as a failure.
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
        """Waits for all programs. Returns the exit status of this script."""
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
        # The numbers that training gives on this machine.
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

        # All tests, the slowest run first.
        on_arm = (*ARM, options.arm_tests)
        skipped = [f"-{part}" for part in (*NOT_EMULATED, *TOO_SLOW)]
        runs.expect(*on_arm, *skipped, env=expecting("neon"))
        for cpu, chosen in (("qemu64", ()), ("Haswell", ON_HASWELL)):
            isa = FOUND[cpu][0]
            env = expecting(isa) | (WITHOUT_PAGE_GUARDS if cpu == "Haswell" else {})
            runs.expect(*x86(cpu), options.tests, *skipped, *chosen, env=env)

        # The two most important tests by name, so that a missing test is a failure.
        chosen = "the table in use is the expected one"
        for name in (chosen, same):
            runs.expect(*on_arm, name, env=expecting("neon"))
            for cpu, found in FOUND.items():
                runs.expect(*x86(cpu), options.tests, name, env=expecting(found[0]))

        # CHAINRULE_ISA: an instruction set that the processor has runs, any other is refused.
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

        # The emulator does stop at instructions that the processor does not have.
        for instruction, cpu in (("vpaddd %ymm0, %ymm0, %ymm0", "Nehalem"),
                                 ("vpaddd %zmm0, %zmm0, %zmm0", "Haswell")):  # fmt: skip
            program = Path(folder, f"newer_than_{cpu}")
            compile_one_instruction(instruction, program)
            runs.expect(*x86(cpu), program, status=ILLEGAL_INSTRUCTION)
        return runs.finish()


if __name__ == "__main__":
    sys.exit(main())
