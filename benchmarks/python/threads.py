"""Measures the costs of automatic threads and of the executor; compares the pool with OpenMP.

    python threads.py --build build/release --openmp build/openmp

Runs bench_threads and bench_overhead of a build folder several times; with --openmp also, in turn,
bench_threads of a build with -DCHAINRULE_THREADS=openmp. Writes one row per model to --out (CSV),
one per instruction to executor.csv, and a Markdown table beside each.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from results import FOLDER, machine, table, write

THREADS_GOAL = 1.05  # time with automatic threads divided by that with the best fixed number
OVERHEAD_GOAL = 100  # ns per instruction


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--build", type=Path, required=True, metavar="FOLDER", help="with the two programs"
    )
    parser.add_argument(
        "--openmp", type=Path, metavar="FOLDER", help="with a bench_threads that uses OpenMP"
    )
    parser.add_argument("--runs", type=int, default=5, help="processes of each program")
    parser.add_argument(
        "--rounds", type=int, default=3, help="turns of every number of threads in a process"
    )
    parser.add_argument("--seconds", type=float, default=0.1, help="measuring time of a turn")
    parser.add_argument("--out", type=Path, default=FOLDER / "threads.csv")
    options = parser.parse_args(arguments)
    if min(options.runs, options.rounds) < 1 or options.seconds <= 0:
        parser.error("--runs, --rounds and --seconds must be positive")
    return options


def run(program: Path, *arguments: str) -> list[dict[str, str]]:
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return list(csv.DictReader(done.stdout.splitlines()))


def medians(runs: Sequence[list[dict[str, str]]], keys: Sequence[str]) -> list[dict[str, object]]:
    """One row for each line: the columns `keys` as they are, the medians of the others over the
    runs."""
    rows = []
    for lines in zip(*runs, strict=True):
        row: dict[str, object] = {}
        for column in lines[0]:
            row[column] = (
                lines[0][column]
                if column in keys
                else round(statistics.median(float(line[column]) for line in lines), 3)
            )
        rows.append(row)
    return rows


def beside(
    rows: Sequence[dict[str, object]], others: Sequence[dict[str, object]]
) -> list[dict[str, object]]:
    """The rows of the pool, with OpenMP's times for the same models."""
    found = {(other["width"], other["batch"]): other for other in others}
    both = [(row, found[row["width"], row["batch"]]) for row in rows]
    return [
        row | {"openmp_auto_us": other["auto_us"], "openmp_best_us": other["best_us"]}
        for row, other in both
    ]


def ratio_to_pool(row: dict[str, object]) -> float:
    """Time with OpenMP's threads divided by that with the pool, both with automatic threads."""
    return float(str(row["openmp_auto_us"])) / float(str(row["auto_us"]))


def openmp_lines(rows: Sequence[dict[str, object]]) -> list[str]:
    mean = statistics.geometric_mean(ratio_to_pool(row) for row in rows)
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    found = {(row["width"], row["batch"]): row for row in rows}
    cells = [
        [str(width), *(f"{ratio_to_pool(found[width, batch]):.2f}" for batch in batches)]
        for width in dict.fromkeys(row["width"] for row in rows)
    ]
    return [
        "",
        "The same with OpenMP's threads (`-DCHAINRULE_THREADS=openmp`), measured in turn: their "
        f"time, to that with the pool. The geometric mean is {mean:.2f}.",
        "",
        *table(["width", *(f"batch {batch}" for batch in batches)], cells),
    ]


def threads_page(rows: Sequence[dict[str, object]], options: argparse.Namespace) -> str:
    here = machine()
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    worst = max(rows, key=lambda row: float(str(row["ratio"])))
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    widths = list(dict.fromkeys(row["width"] for row in rows))
    found = {(row["width"], row["batch"]): row for row in rows}
    cells = [
        [
            str(width),
            *(
                f"{float(str(row['auto_us'])):.3g} "
                f"({float(str(row['one_us'])) / float(str(row['auto_us'])):.2f})"
                for row in (found[width, batch] for batch in batches)
            ),
        ]
        for width in widths
    ]
    lines = [
        "# Automatic threads",
        "",
        f"{here['processor']}, {count} processors, float32, {here['date']}.",
        "",
        "Microseconds of a training step (Adam) of a model width-width-width-10 with as many "
        "threads as the engine chooses, and how many times faster that is than one thread; the "
        "best fixed number (1, 2, 4, ... and all) is measured in turn: medians over "
        f"{options.runs} processes. The goal is at most {THREADS_GOAL} times the time with the "
        f"best fixed number. The largest such ratio is {float(str(worst['ratio'])):.2f}, at width "
        f"{worst['width']} and batch {worst['batch']}.",
        "",
        *table(["width", *(f"batch {batch}" for batch in batches)], cells),
    ]
    if options.openmp is not None:
        lines += openmp_lines(rows)
    return "\n".join(lines) + "\n"


def executor_page(rows: Sequence[dict[str, object]], options: argparse.Namespace) -> str:
    here = machine()
    lines = [
        "# The executor",
        "",
        f"{here['processor']}, float32, {here['date']}.",
        "",
        "Nanoseconds of an instruction in a program of many, each of which needs the one before, "
        f"and of a direct call of the same kernel: medians over {options.runs} processes. The goal "
        f"is an overhead below {OVERHEAD_GOAL} ns.",
        "",
        *table(
            ["instruction", "instructions", "in a program", "called directly", "overhead"],
            [
                [str(row["instruction"]), str(row["instructions"])]
                + [f"{float(str(row[f'{what}_ns'])):.1f}" for what in ("program", "direct")]
                + [f"{float(str(row['overhead_ns'])):.1f}"]
                for row in rows
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    models, openmp, instructions = [], [], []
    turn_length = (str(options.rounds), str(options.seconds))
    for turn in range(options.runs):
        models.append(run(options.build / "bench_threads", *turn_length))
        if options.openmp is not None:
            openmp.append(run(options.openmp / "bench_threads", *turn_length))
        instructions.append(run(options.build / "bench_overhead"))
        print(f"run {turn + 1} of {options.runs} done", flush=True)
    rows = medians(models, ("width", "batch"))
    if openmp:
        rows = beside(rows, medians(openmp, ("width", "batch")))
    write(options.out, [row | machine() for row in rows], threads_page(rows, options))
    rows = medians(instructions, ("instruction", "instructions"))
    out = options.out.with_name("executor.csv")
    write(out, [row | machine() for row in rows], executor_page(rows, options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
