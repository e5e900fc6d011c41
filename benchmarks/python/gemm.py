"""Compares Chainrule's matrix products with those of other libraries and with the peak rate.

    python gemm.py --bench build/release/bench_gemm --python openblas=PYTHON --python torch=PYTHON

Runs one process of bench_gemm for each library, number of threads and round, in turn. Eigen is the
one that bench_gemm was compiled with. OpenBLAS comes from the package scipy-openblas32 and
PyTorch's sgemm from torch, as the given interpreters find them; a library without an interpreter is
left out. With --before an earlier bench_gemm takes part. Writes one row per product, library and
number of threads to --out (CSV), and a Markdown table for each number of threads beside it.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from results import (
    add_bench_options,
    add_python_option,
    environment,
    interpreters,
    machine,
    output_of,
    table,
    write,
)

OURS, BEFORE = "chainrule", "before"
TITLES = {
    OURS: "Chainrule",
    BEFORE: "Chainrule before",
    "openblas": "OpenBLAS",
    "eigen": "Eigen",
    "torch": "PyTorch",
}
PACKAGES = {  # library: programs that print the path of the shared library, and its version
    "openblas": (
        "import pathlib, scipy_openblas32 as s; "
        "print(pathlib.Path(s.get_lib_dir()) / s.get_library(fullname=True))",
        "import importlib.metadata as m; print(m.version('scipy-openblas32'))",
    ),
    "torch": (
        "import pathlib, torch; "
        "print(pathlib.Path(torch.__file__).parent / 'lib' / 'libtorch_cpu.so')",
        "import torch; print(torch.__version__)",
    ),
}
PEAK = ("fma", 0, 0, 0)
Case = tuple[str, int, int, int]  # layout (nn; tn: A, nt: B is stored transposed), m, n, k
GOALS: dict[Case, float] = {  # our rate divided by the best of the others
    ("nn", 128, 512, 784): 0.95,
    ("nn", 128, 256, 512): 0.95,
    ("tn", 784, 512, 128): 0.95,
    ("nn", 1024, 1024, 1024): 0.95,
    ("nn", 4096, 64, 576): 0.95,
    ("nn", 16384, 32, 288): 0.95,
    ("nn", 32, 64, 64): 1.2,
    ("nn", 128, 10, 256): 1.2,
    ("nn", 1, 512, 784): 1.0,
}


@dataclass(frozen=True)
class Library:
    argument: str  # of bench_gemm
    version: str
    program: Path | None = None  # an earlier bench_gemm


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_bench_options(parser, "bench_gemm", "gemm.csv")
    add_python_option(parser)
    parser.add_argument("--before", type=Path, metavar="PATH", help="an earlier bench_gemm")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each library")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args(arguments)
    if min(options.rounds, *options.threads) < 1:
        parser.error("--rounds and --threads must be positive")
    options.interpreters = interpreters(parser, options.python, PACKAGES)
    return options


def bench(program: Path, *arguments: str, threads: int = 1) -> list[list[str]]:
    """The output of bench_gemm: lines of cells."""
    done = subprocess.run(
        [program, *arguments],
        env=environment(threads),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return list(csv.reader(done.stdout.splitlines()))


def libraries(options: argparse.Namespace, versions: dict[str, str]) -> dict[str, Library]:
    found = {OURS: Library(OURS, versions[OURS])}
    if options.before is not None:
        before = dict(bench(options.before, "versions"))[OURS]
        found[BEFORE] = Library(OURS, before, options.before)
    if "eigen" in versions:
        found["eigen"] = Library("eigen", versions["eigen"])
    for name, python in options.interpreters.items():
        place, version = (output_of(python, program) for program in PACKAGES[name])
        found[name] = Library(place, version)
    return {name: found[name] for name in TITLES if name in found}


def size(case: Case) -> str:
    layout, m, n, k = case
    transposed = {"nn": "", "tn": ", A transposed", "nt": ", B transposed"}
    return f"{m} x {n} x {k}{transposed[layout]}"


def cells(case: Case, rates: dict[str, float], peak: float, heads: Sequence[str]) -> list[str]:
    """A row of the table: GFLOP/s by library, our rate to the best of the others, the goal, our
    rate to the peak."""
    mine = rates[OURS]
    peers = [rate for name, rate in rates.items() if name != OURS]
    goal = GOALS.get(case)
    return [
        size(case),
        *(f"{rates[name]:.1f}" for name in heads),
        f"{mine / max(peers):.2f}" if peers else "-",
        f"{goal:g}" if goal else "-",
        f"{mine / peak:.0%}",
    ]


def markdown(
    medians: dict[tuple[int, str, Case], float],
    found: dict[str, Library],
    isa: str,
    options: argparse.Namespace,
) -> str:
    here = machine()
    versions = ", ".join(f"{TITLES[name]} {library.version}" for name, library in found.items())
    lines = [
        "# Matrix products",
        "",
        f"{here['processor']}, {isa}, float32, {here['date']}. {versions}.",
        "",
        "GFLOP/s of C (m x n) = A B over k, written m x n x k: the median over "
        f"{options.rounds} processes of each one's median. The relation is to the fastest of the "
        "others, the peak that of fused multiply-adds on registers, measured in between.",
    ]
    for threads in options.threads:
        peak = medians[threads, "peak", PEAK]
        cases = [case for t, name, case in medians if t == threads and name == OURS]
        rows = [
            cells(case, {name: medians[threads, name, case] for name in found}, peak, list(found))
            for case in (*GOALS, *(case for case in cases if case not in GOALS))
            if case in cases
        ]
        heads = [
            "product",
            *(TITLES[name] for name in found),
            "to the best peer",
            "goal",
            "of peak",
        ]
        title = f"{threads} thread{'s' if threads > 1 else ''}, peak {peak:.0f} GFLOP/s"
        lines += ["", f"## {title}", "", *table(heads, rows)]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    versions = dict(bench(options.bench, "versions"))
    found = libraries(options, versions)
    rates: dict[tuple[int, str, Case], list[float]] = {}
    for turn in range(options.rounds):
        for threads in options.threads:
            for name in ("peak", *found):
                library = found.get(name, Library(name, ""))
                program = library.program or options.bench
                lines = bench(program, str(threads), library.argument, threads=threads)
                for _, layout, m, n, k, _, rate in lines:
                    case = (layout, int(m), int(n), int(k))
                    rates.setdefault((threads, name, case), []).append(float(rate))
        print(f"round {turn + 1} of {options.rounds} done", flush=True)
    medians = {key: statistics.median(values) for key, values in rates.items()}
    rows = []
    for (threads, name, (layout, m, n, k)), values in rates.items():
        row: dict[str, object] = {"layout": layout, "m": m, "n": n, "k": k, "threads": threads}
        row |= {"library": name, "version": found[name].version if name in found else ""}
        row |= {"gflops": f"{statistics.median(values):.2f}"}
        row |= {"lowest": f"{min(values):.2f}", "highest": f"{max(values):.2f}"}
        rows.append(row | {"rounds": len(values)} | machine())
    write(options.out, rows, markdown(medians, found, versions["isa"], options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
