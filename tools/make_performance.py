#!/usr/bin/env python3
"""Puts the measurements of benchmarks/results/ into docs/performance.md.

python tools/make_performance.py           write docs/performance.md
python tools/make_performance.py --check   exit with 1 if it is not up to date

Each part stands between `<!-- name -->` and `<!-- /name -->`. It is the page results/name.md with
its headings one level lower. The part `floor` is a table computed from the measurements.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"
MEASURED = (
    "dense",
    "dense-avx2",
    "grid",
    "gemm",
    "elementwise",
    "expressions",
    "ulp",
    "threads",
    "threads-openmp",
    "executor",
)

sys.path[:0] = [str(ROOT / "benchmarks" / "python"), str(ROOT / "tools")]
from results import table  # noqa: E402
from sections import filled, update  # noqa: E402
from workloads import DENSE, Workload  # noqa: E402

ADAM_BYTES = 28  # per weight: reads it, its gradient and two moments, writes all but the gradient
COPIED = 65536  # elements of the copy that gives the rate inside the caches


def rows(name: str) -> list[dict[str, str]]:
    with (RESULTS / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def peak_gflops(threads: str) -> float:
    """The measured rate of fused multiply-adds."""
    found = (r for r in rows("gemm") if r["library"] == "peak" and r["threads"] == threads)
    return float(next(found)["gflops"])


def cached_bytes_a_second() -> float:
    """The bytes that one thread moves in a second when it copies."""
    copies = (r for r in rows("elementwise") if r["function"] == "copy" and r["threads"] == "1")
    copy = next(r for r in copies if int(r["elements"]) == COPIED)
    return 2 * 4 * COPIED / (float(copy["chainrule_us"]) * 1e-6)


def floor_ms(workload: Workload, gflops: float, bytes_a_second: float) -> float:
    """The lower bound of a training step's time, in milliseconds."""
    products = workload.operations() / (gflops * 1e9)
    update = ADAM_BYTES * workload.parameters() / bytes_a_second
    return (products + update) * 1e3


def floor() -> str:
    steps: dict[str, dict[str, float]] = {}
    threads = ""
    for row in rows("dense"):
        if row["task"] == "step":
            steps.setdefault(row["workload"], {})[row["framework"]] = float(row["median_ms"])
            threads = row["threads"]
    gflops, rate = peak_gflops(threads), cached_bytes_a_second() * int(threads)
    cells = []
    for name, times in steps.items():
        least = floor_ms(DENSE[name], gflops, rate)
        ours = times["chainrule"]
        peer = min(time for framework, time in times.items() if framework != "chainrule")
        cells.append(
            [
                DENSE[name].title,
                *(f"{value:.3g}" for value in (least, ours, peer)),
                *(f"{value / least:.3g}" for value in (ours, peer)),
            ]
        )
    heads = ["work", "floor: ms", "Chainrule: ms", "best peer: ms"]
    heads += ["Chainrule: times the floor", "best peer: times the floor"]
    rates = f"{gflops:.0f} GFLOP/s and {rate * 1e-9:.0f} GB/s on {threads} threads."
    return "\n".join([rates, "", *table(heads, cells)])


def measured(name: str) -> str:
    """A page of results as a section of another page."""
    text = (RESULTS / f"{name}.md").read_text().strip()
    return re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE)


MAKERS: dict[str, Callable[[], str]] = {name: partial(measured, name) for name in MEASURED}
MAKERS["floor"] = floor


def updated(text: str) -> str:
    return filled(PAGE, text, MAKERS)


if __name__ == "__main__":
    sys.exit(update(PAGE, MAKERS, "tools/make_performance.py"))
