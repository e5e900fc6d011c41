"""Measures `fit` epochs and single predictions, for Chainrule and Keras, whose names are alike."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from workloads import (
    EPSILON,
    LEARNING_RATE,
    WORKLOADS,
    Workload,
    data,
    epoch_batches,
    measure,
    report,
)


def build(k: Any, workload: Workload) -> Any:
    layers = k.layers
    inputs, *hidden, outputs = workload.widths
    model = k.Sequential(
        [
            layers.Input(shape=(inputs,)),
            *(layers.Dense(width, activation="relu") for width in hidden),
            layers.Dense(outputs, activation="sigmoid" if workload.loss == "mse" else None),
        ]
    )
    loss = (
        "mse"
        if workload.loss == "mse"
        else k.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.compile(optimizer=k.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON), loss=loss)
    return model


def steps(k: Any, workload: Workload, seconds: float) -> tuple[list[float], float]:
    """Milliseconds of a step in each epoch but the first, from the end of one epoch to the next."""

    class Clock(k.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.ends: list[float] = []

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            self.ends.append(time.perf_counter())
            if len(self.ends) > 3 and self.ends[-1] - self.ends[0] > seconds:
                self.model.stop_training = True

    model, clock = build(k, workload), Clock()
    batches = epoch_batches(workload)
    x, y = data(workload, batches)
    history = model.fit(
        x, y, batch_size=workload.batch, epochs=1_000_000, callbacks=[clock], verbose=0
    )
    return list(np.diff(clock.ends) * 1e3 / batches), float(history.history["loss"][-1])


def run(
    framework: str,
    k: Any,
    options: argparse.Namespace,
    predict: Callable[[Any, np.ndarray], object],
    version: str | None = None,
) -> None:
    """Measures options.workload and prints the report. predict(model, x) is the framework's fastest
    prediction from array to array. `version` is reported in place of the module's."""
    version = version or k.__version__
    workload = WORKLOADS[options.workload]
    if options.task == "step":
        report(framework, version, *steps(k, workload, options.seconds))
    else:
        model, x = build(k, workload), data(workload, 1)[0][:1]
        report(framework, version, measure(lambda _: predict(model, x), options.seconds))
