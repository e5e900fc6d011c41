"""Keras 3 on JAX: `fit`, and predict_on_batch for single samples (its fastest function)."""

from __future__ import annotations

import os

from workloads import arguments

options = arguments("keras")
os.environ["KERAS_BACKEND"] = "jax"

import keras  # noqa: E402  (after its backend is chosen)
from fit_runner import run  # noqa: E402

if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    run("keras", keras, options, lambda model, x: model.predict_on_batch(x))
