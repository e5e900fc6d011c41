"""The workloads and their measurement, for compare.py and the runners. Needs only NumPy.

A runner is one process that measures one workload in one framework and prints one line of JSON:
{"framework", "version", "samples": milliseconds of each measurement, "loss": the last one}.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEARNING_RATE = 1e-3  # of Adam; its betas are 0.9 and 0.999, the default of all frameworks
EPSILON = 1e-7  # of Adam
DISTINCT_BATCHES = 16  # that a hand-written loop cycles through, in the framework's own memory
EPOCH_BATCHES = 2048  # at most, in the data set of a `fit` epoch
EPOCH_BYTES = 32_000_000  # at most, of its inputs


@dataclass(frozen=True)
class Workload:
    """Dense layers with relu between them; then logits and cross-entropy, or sigmoid and mse."""

    name: str
    title: str
    widths: tuple[int, ...]  # of the input and of each layer
    batch: int
    loss: str = "crossentropy"  # or "mse" against the input itself
    goal: float | None = None  # times faster than the best peer
    predict_goal: float | None = None  # the same for predicting a single sample

    def parameters(self) -> int:
        return sum((1 + i) * o for i, o in zip(self.widths, self.widths[1:], strict=False))

    def operations(self) -> int:
        """Floating-point operations of a step's matrix products: outputs, gradients of kernels, and
        gradients of inputs except the first layer's."""
        products = [i * o for i, o in zip(self.widths, self.widths[1:], strict=False)]
        return 2 * self.batch * (3 * sum(products) - products[0])


DENSE = {
    w.name: w
    for w in (
        Workload("logreg", "logreg: Dense 64-10, batch 32", (64, 10), 32, goal=10),
        Workload(
            "mlp64", "MLP 64-64-64-10, batch 32", (64, 64, 64, 10), 32, goal=8, predict_goal=4
        ),
        Workload(
            "mlp128", "MLP 784-128-10, batch 32", (784, 128, 10), 32, goal=2.5, predict_goal=4
        ),
        Workload("mlp512", "MLP 784-512-256-10, batch 128", (784, 512, 256, 10), 128, goal=1.8),
        Workload(
            "autoencoder",
            "autoencoder 784-128-32-128-784, batch 128",
            (784, 128, 32, 128, 784),
            128,
            loss="mse",
            goal=2,
        ),
    )
}
GRID = {
    f"mlp{width}x{batch}": Workload(
        f"mlp{width}x{batch}", f"width {width}, batch {batch}", (width, width, 10), batch, goal=1
    )
    for width in (8, 32, 128, 512, 1000, 2048)
    for batch in (1, 16, 128, 1024)
}
WORKLOADS = DENSE | GRID
TASKS = ("step", "predict")


def data(workload: Workload, batches: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs in [0, 1) and their targets: labels, or the inputs again."""
    random = np.random.default_rng(0)
    x = random.random((batches * workload.batch, workload.widths[0]), dtype=np.float32)
    if workload.loss == "mse":
        return x, x
    return x, random.integers(0, workload.widths[-1], len(x)).astype(np.int32)


def epoch_batches(workload: Workload) -> int:
    """Batches in the data set of a `fit` epoch."""
    return min(EPOCH_BATCHES, EPOCH_BYTES // (4 * workload.batch * workload.widths[0]))


def arguments(framework: str) -> argparse.Namespace:
    """Reads the command line of a runner, and binds the process to as many processors as it may use
    threads."""
    parser = argparse.ArgumentParser(description=f"Measures one workload in {framework}.")
    parser.add_argument("--workload", choices=WORKLOADS, required=True)
    parser.add_argument("--task", choices=TASKS, default="step")
    parser.add_argument("--seconds", type=float, default=1.0, help="time to measure for")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--compile", action="store_true", help="with torch.compile (run_torch.py only)"
    )
    options = parser.parse_args()
    if options.compile and framework != "torch":
        parser.error("--compile is for run_torch.py")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    return options


def measure(call: Callable[[int], object], seconds: float) -> list[float]:
    """Milliseconds of each call(i) for `seconds`, after warming up for a fifth of that."""
    i, start = 0, time.perf_counter()
    while i < 5 or time.perf_counter() - start < seconds / 5:
        call(i)
        i += 1
    samples = []
    start = now = time.perf_counter()
    while now - start < seconds or len(samples) < 3:
        call(i)
        i += 1
        before, now = now, time.perf_counter()
        samples.append((now - before) * 1e3)
    return samples


def report(
    framework: str, version: str, samples: list[float], final_loss: float | None = None
) -> None:
    """Prints the line that compare.py reads. Ends the process if the loss is not finite."""
    if final_loss is not None and not np.isfinite(final_loss):
        raise SystemExit(f"{framework}: the loss became {final_loss}")
    print(
        json.dumps(
            {"framework": framework, "version": version, "samples": samples, "loss": final_loss}
        )
    )
