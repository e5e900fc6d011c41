"""Compares Chainrule's matrix expressions with Eigen's.

    python expressions.py --bench build/release/bench_expressions

Runs bench_expressions, which must be compiled with Eigen, several times with one thread. Writes one
row per expression and size to --out (CSV), and a Markdown table beside it. Eigen is compiled for
this machine, Chainrule for all machines of its architecture.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence

from results import add_bench_options, environment, machine, table, write

SHOWN = (4, 16, 64, 256, 1024)  # sizes in the table
Key = tuple[str, int]  # expression, size
Times = tuple[float, float]  # microseconds: Chainrule, Eigen


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_bench_options(parser, "bench_expressions", "expressions.csv")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds must be positive")
    return options


def times_of(lines: Iterable[str]) -> dict[Key, Times]:
    """The times in the output of bench_expressions. ValueError if it was compiled without Eigen."""
    found = {}
    for row in csv.DictReader(lines):
        if not row["eigen_us"]:
            raise ValueError("bench_expressions was compiled without Eigen: install it first")
        key = row["expression"], int(row["size"])
        found[key] = float(row["chainrule_us"]), float(row["eigen_us"])
    return found


def medians(rounds: Sequence[Mapping[Key, Times]]) -> dict[Key, Times]:
    return {
        key: (
            statistics.median(times[key][0] for times in rounds),
            statistics.median(times[key][1] for times in rounds),
        )
        for key in rounds[0]
    }


def duration(microseconds: float) -> str:
    for unit, factor in (("ns", 1e3), ("us", 1.0)):
        if microseconds * factor < 999.5:
            return f"{microseconds * factor:.3g} {unit}"
    return f"{microseconds * 1e-3:.3g} ms"


def cells(expression: str, times: Mapping[Key, Times]) -> list[str]:
    """A row of the table: how many times faster than Eigen, and Chainrule's time."""
    pairs = (times[expression, size] for size in SHOWN)
    return [f"`{expression}`", *(f"{peer / ours:.2f} ({duration(ours)})" for ours, peer in pairs)]


def markdown(times: Mapping[Key, Times], rounds: int) -> str:
    here = machine()
    expressions = dict.fromkeys(expression for expression, _ in times)
    lines = [
        "# Matrix expressions",
        "",
        f"{here['processor']}, float32, one thread, {here['date']}. Matrices are n x n and row by "
        "row, u and v their elements as vectors. How many times faster than Eigen, which is "
        f"compiled for this machine, and Chainrule's time: medians over {rounds} rounds.",
        "",
        *table(
            ["expression", *(f"n = {size}" for size in SHOWN)],
            [cells(expression, times) for expression in expressions],
        ),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    rounds = []
    for turn in range(options.rounds):
        done = subprocess.run(
            [options.bench, "1"],
            env=environment(1),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        rounds.append(times_of(done.stdout.splitlines()))
        print(f"round {turn + 1} of {options.rounds} done", flush=True)
    times = medians(rounds)
    rows = []
    for (expression, size), (ours, peer) in times.items():
        row: dict[str, object] = {"expression": expression, "size": size, "threads": 1}
        row |= {"chainrule_us": f"{ours:.5g}", "eigen_us": f"{peer:.5g}"}
        rows.append(row | {"times_faster": f"{peer / ours:.2f}", "rounds": len(rounds)} | machine())
    write(options.out, rows, markdown(times, len(rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
