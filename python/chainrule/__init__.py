"""Chainrule trains neural networks on the CPU, with Keras's names.

import chainrule as keras

model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
model.compile(optimizer="adam", loss="mse")
"""

from __future__ import annotations

import importlib
from typing import Any

from chainrule import (
    activations,
    backend,
    callbacks,
    config,
    dtype_policies,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    utils,
)
from chainrule._core import __version__
from chainrule._threads import get_num_threads, set_num_threads, shutdown_threads
from chainrule.dtype_policies import DTypePolicy
from chainrule.layers import Input, Layer
from chainrule.models import Model, Sequential

__all__ = [
    "DTypePolicy",
    "Input",
    "Layer",
    "Model",
    "Sequential",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "config",
    "datasets",
    "dtype_policies",
    "get_num_threads",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "set_num_threads",
    "shutdown_threads",
    "utils",
]


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return importlib.import_module("chainrule.datasets")
    raise AttributeError(f"module 'chainrule' has no attribute '{name}'")
