"""Measures the errors of Chainrule's functions, in units in the last place (ULP).

    python ulp.py --bench build/release/bench_elementwise

Writes the largest error of each function, dtype and instruction set to --out (CSV), and the largest
over the instruction sets that this machine runs as a Markdown table beside it.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence

from results import add_bench_options, machine, table, write

GOAL = 2
DTYPES = ("float32", "float64")


def markdown(rows: Sequence[dict[str, str]]) -> str:
    here = machine()
    sets = list(dict.fromkeys(row["isa"] for row in rows))
    worst: dict[str, dict[str, float]] = {}
    for row in rows:
        of = worst.setdefault(row["function"], {})
        of[row["dtype"]] = max(of.get(row["dtype"], 0), float(row["max_ulp"]))
    lines = [
        "# Errors of functions",
        "",
        f"{here['processor']}, {', '.join(sets)}, {here['date']}.",
        "",
        "The largest distance from the exact result, in units in the last place, over dense "
        f"arguments from denormals to overflow and every instruction set. The goal is at most "
        f"{GOAL}; 0.5 is a correctly rounded result.",
        "",
        *table(
            ["function", *DTYPES],
            [
                [name, *(f"{of[d]:.2f}" if d in of else "-" for d in DTYPES)]
                for name, of in worst.items()
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_bench_options(parser, "bench_elementwise", "ulp.csv")
    options = parser.parse_args(arguments)
    done = subprocess.run([options.bench, "--ulp"], stdout=subprocess.PIPE, text=True, check=True)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    write(options.out, [row | machine() for row in rows], markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
