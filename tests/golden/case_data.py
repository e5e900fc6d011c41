"""The random inputs, targets and weights of cases."""

from __future__ import annotations

import cases
import numpy as np

Arrays = dict[str, np.ndarray]


def float32(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, dtype=np.float32)


def inputs_of(case: dict) -> list[np.ndarray]:
    random = cases.rng(case["name"])
    if limit := case.get("spread"):
        count = int(np.prod(case["shapes"][0]))
        spread = np.linspace(-limit, limit, count) + random.uniform(-0.1, 0.1, count)
        return [float32(random.permutation(spread).reshape(case["shapes"][0]))]
    scale = 3.0 if "function" in case else 1.0
    inputs = [float32(scale * random.standard_normal(shape)) for shape in case["shapes"]]
    if case.get("class") == "Masking":
        steps = random.uniform(size=inputs[0].shape[:-1]) < 0.4
        inputs[0][steps] = case["config"].get("mask_value", 0.0)
        inputs[0][..., 0][~steps & (random.uniform(size=steps.shape) < 0.5)] = case["config"].get(
            "mask_value", 0.0
        )  # not all of a step
    return inputs


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def target_and_predictions(
    case: dict, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    shape = case["shape"]
    real = 1.5 * random.standard_normal(shape)
    labels = random.integers(0, shape[-1], shape[:-1])
    target = {
        "real": lambda: float32(random.standard_normal(shape)),
        "binary": lambda: float32(random.integers(0, 2, shape)),
        "one_hot": lambda: float32(np.eye(shape[-1])[labels]),
        "probabilities": lambda: float32(softmax(random.standard_normal(shape))),
        "labels": lambda: labels.astype(np.int32),
        "labels_column": lambda: labels[..., None].astype(np.int32),
    }[case["target"]]()
    if case["predictions"] == "saturated":
        predictions = np.resize([0.0, 1.0, 0.3, 1.0, 0.0, 0.9, 1e-9], shape)
    else:
        predictions = {
            "real": lambda: real,
            "sigmoid": lambda: 1 / (1 + np.exp(-real)),
            "softmax": lambda: softmax(real),
        }[case["predictions"]]()
    return target, float32(predictions)


def weights_of(case: dict, random: np.random.Generator) -> Arrays:
    return (
        {}
        if case["weights"] is None
        else {"weights": float32(random.uniform(0.2, 2.0, case["weights"]))}
    )
