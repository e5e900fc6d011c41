"""Measures what a call from Python costs beyond the engine: predictions of one sample and small
training steps, from Python and from C++.

    python overhead.py [--bench build/release/bench_steps] [--seconds 0.5]

Prints one line for each model and call, in microseconds: the median, the 10th percentile, and with
--bench the time of the same work from C++ (bench_steps).
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import workloads
from fit_runner import build
from workloads import WORKLOADS, Workload

import chainrule

MODELS = {  # by their names in bench_steps
    "logreg 64-10": WORKLOADS["logreg"],
    "mlp 64-64-64-10": WORKLOADS["mlp64"],
    "mlp 784-128-10": WORKLOADS["mlp128"],
}
FEW = 50  # steps of an epoch, over data that stay in cache
MANY = workloads.EPOCH_BATCHES  # fewer where workloads.EPOCH_BYTES says so


def microseconds(call: Callable[[], object], seconds: float, parts: int = 1) -> tuple[float, float]:
    """Median and 10th percentile of the time of a call divided by `parts`. Calls that take less
    than 0.1 ms are timed 20 at a time."""
    call()
    begin = time.perf_counter()
    call()
    repeat = 20 if time.perf_counter() - begin < 1e-4 else 1
    samples = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples) < 3:
        begin = time.perf_counter()
        for _ in range(repeat):
            call()
        samples.append((time.perf_counter() - begin) / repeat / parts * 1e6)
    return float(np.median(samples)), float(np.percentile(samples, 10))


def calls(workload: Workload) -> dict[str, tuple[Callable[[], object], int]]:
    """{what: (function to call, number of equal parts of a call)}"""
    model = build(chainrule, workload)
    many = workloads.epoch_batches(workload)
    x, y = workloads.data(workload, many)
    size = workload.batch
    one, batch, labels = x[:1].copy(), x[:size].copy(), y[:size].copy()
    double = one.astype("float64")
    few_x, few_y = x[: FEW * size].copy(), y[: FEW * size].copy()
    return {
        "predict": (lambda: model.predict(one, verbose=0), 1),
        "predict, float64": (lambda: model.predict(double, verbose=0), 1),
        "predict_on_batch": (lambda: model.predict_on_batch(one), 1),
        "model(x)": (lambda: model(one), 1),
        "train_on_batch": (lambda: model.train_on_batch(batch, labels), 1),
        "test_on_batch": (lambda: model.test_on_batch(batch, labels), 1),
        "evaluate": (lambda: model.evaluate(batch, labels, verbose=0), 1),
        "fit, one step": (lambda: model.fit(batch, labels, verbose=0), 1),
        f"step, {FEW} an epoch": (lambda: model.fit(few_x, few_y, verbose=0), FEW),
        f"step, {MANY} an epoch": (lambda: model.fit(x, y, verbose=0), many),
    }


def from_cpp(bench: Path, seconds: float) -> dict[tuple[str, str], float]:
    """{(model, what): microseconds}"""
    result = {}
    for steps in (FEW, MANY):
        command = [bench, str(seconds), "", str(steps), str(workloads.EPOCH_BYTES)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for row in csv.DictReader(out.splitlines()):
            what = f"step, {steps} an epoch" if row["task"] == "step" else row["task"]
            result[row["model"], what] = float(row["median_ms"]) * 1e3
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bench", type=Path, help="the program bench_steps, to compare with")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each measurement")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    cpp = from_cpp(options.bench, options.seconds) if options.bench else {}
    print(f"{'model':18}{'call':24}{'median us':>10}{'low us':>10}{'C++ us':>10}")
    for name in options.models:
        if (name, "program") in cpp:
            print(f"{name:18}{'the program of predict':24}{'':20}{cpp[name, 'program']:10.2f}")
        for what, (call, parts) in calls(MODELS[name]).items():
            median, low = microseconds(call, options.seconds, parts)
            engine = f"{cpp[name, what]:10.2f}" if (name, what) in cpp else ""
            print(f"{name:18}{what:24}{median:10.2f}{low:10.2f}{engine}", flush=True)


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    main()
