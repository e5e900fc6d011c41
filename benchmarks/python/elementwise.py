"""Compares Chainrule's element-wise functions with NumPy's and with a copy.

    python elementwise.py --bench build/release/bench_elementwise

Runs the C++ benchmark and NumPy in turn, in several rounds. Writes one row per function, size and
number of threads to --out (CSV), and Markdown tables beside it. NumPy always uses one thread; it
has no erf. Times are comparable only within one run.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from results import add_bench_options, machine, table, write

CACHED = (4096, 65536)
BEYOND = 16777216
GOAL = 0.8
TRAFFIC = {"add": 3, "multiply": 3, "power": 3, "sum": 1, "max": 1, "argmax": 1}  # others: 2 arrays
Key = tuple[str, int, int]


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_bench_options(parser, "bench_elementwise", "elementwise.csv")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.1, help="measuring time of a line")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    return options


def functions(n: int) -> dict[str, Callable[[], object]]:
    """NumPy's functions, on the same kind of numbers as in benchmarks/cpp/elementwise.cpp."""
    random = np.random.default_rng(1)
    a, b = (random.random(n, dtype=np.float32) + np.float32(0.1) for _ in range(2))
    out = np.empty_like(a)
    zeros = np.zeros_like(a)  # faster for NumPy than a scalar
    return {
        "add": lambda: np.add(a, b, out=out),
        "multiply": lambda: np.multiply(a, b, out=out),
        "relu": lambda: np.maximum(a, zeros, out=out),
        "sqrt": lambda: np.sqrt(a, out=out),
        "exp": lambda: np.exp(a, out=out),
        "expm1": lambda: np.expm1(a, out=out),
        "log": lambda: np.log(a, out=out),
        "log1p": lambda: np.log1p(a, out=out),
        "tanh": lambda: np.tanh(a, out=out),
        "sin": lambda: np.sin(a, out=out),
        "cos": lambda: np.cos(a, out=out),
        "tan": lambda: np.tan(a, out=out),
        "arctan": lambda: np.arctan(a, out=out),
        "power": lambda: np.power(a, b, out=out),
        "sum": lambda: a.sum(),
        "max": lambda: a.max(),
        "argmax": lambda: a.argmax(),
    }


def microseconds(call: Callable[[], object], budget: float) -> float:
    """Median time of a call."""

    def timed(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - start) / calls

    timed(2)
    calls = max(1, int(budget / 21 / timed(2)))
    return statistics.median(timed(calls) for _ in range(21)) * 1e6


def run_chainrule(options: argparse.Namespace) -> tuple[str, dict[Key, float]]:
    """The instruction set, and the time of each line."""
    done = subprocess.run(
        [options.bench, str(options.seconds)], capture_output=True, text=True, check=True
    )
    comment, *lines = done.stdout.splitlines()
    times = {
        (line["function"], int(line["elements"]), int(line["threads"])): float(line["microseconds"])
        for line in csv.DictReader(lines)
    }
    return comment.rpartition(" ")[2], times


def run_numpy(options: argparse.Namespace) -> dict[Key, float]:
    return {
        (name, n, 1): microseconds(call, options.seconds)
        for n in (*CACHED, BEYOND)
        for name, call in functions(n).items()
    }


def cached_table(ours: dict[Key, float], numpy: dict[Key, float]) -> list[str]:
    heads = [f"{n} elements: {what}" for n in CACHED for what in ("Chainrule", "NumPy", "ratio")]
    rows = []
    for name, n, threads in ours:
        if n != CACHED[0] or threads != 1 or name == "copy":
            continue
        cells = []
        for elements in CACHED:
            mine, peer = ours[name, elements, 1], numpy.get((name, elements, 1))
            cells += [f"{mine:.3g}"]
            cells += [f"{peer:.3g}", f"{peer / mine:.2f}"] if peer else ["-", "-"]
        rows.append([name, *cells])
    return table(["function", *heads], rows)


def share_of_copy(ours: dict[Key, float], key: Key) -> float:
    """Bytes moved in a second, relative to a copy."""
    name, n, threads = key
    return TRAFFIC.get(name, 2) / 2 * ours["copy", n, threads] / ours[key]


def beyond_table(ours: dict[Key, float], numpy: dict[Key, float]) -> list[str]:
    heads = "function, 1 thread: ms, of a copy, 2 threads: ms, of a copy, NumPy: ms".split(", ")
    rows = []
    for name, n, threads in ours:
        if n != BEYOND or threads != 1:
            continue
        cells = []
        for count in (1, 2):
            key = name, n, count
            cells += [f"{ours[key] / 1000:.3g}", f"{share_of_copy(ours, key):.0%}"]
        peer = numpy.get((name, n, 1))
        rows.append([name, *cells, f"{peer / 1000:.3g}" if peer else "-"])
    return table(heads, rows)


def markdown(isa: str, ours: dict[Key, float], numpy: dict[Key, float], rounds: int) -> str:
    here = machine()
    lines = [
        "# Element-wise functions, reductions, random numbers",
        "",
        f"{here['processor']}, {isa}, float32, NumPy {np.__version__}, {here['date']}. "
        f"Medians over {rounds} rounds. Times are comparable within this page only.",
        "",
        "## Inside the caches",
        "",
        "Microseconds with one thread, and how many times faster than NumPy. The goal is "
        f"{GOAL} or more.",
        "",
        *cached_table(ours, numpy),
        "",
        "## Beyond the caches",
        "",
        f"{BEYOND} elements: milliseconds, and the bytes moved a second as a share of those of a "
        f"copy measured in the same run. The goal is {GOAL:.0%} with two threads.",
        "",
        *beyond_table(ours, numpy),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    rounds = []
    isa = ""
    for turn in range(options.rounds):
        isa, ours = run_chainrule(options)
        rounds.append((ours, run_numpy(options)))
        print(f"round {turn + 1} of {options.rounds} done", flush=True)
    ours, numpy = (
        {key: statistics.median(found[side][key] for found in rounds) for key in rounds[0][side]}
        for side in (0, 1)
    )
    rows = []
    for (name, n, threads), value in ours.items():
        row: dict[str, object] = {"function": name, "elements": n, "threads": threads}
        peer = numpy.get((name, n, threads))
        row |= {"chainrule_us": f"{value:.5g}", "numpy_us": f"{peer:.5g}" if peer else ""}
        row |= {"copy_us": f"{ours['copy', n, threads]:.5g}", "rounds": options.rounds}
        rows.append(row | {"numpy": np.__version__} | machine())
    write(options.out, rows, markdown(isa, ours, numpy, options.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
