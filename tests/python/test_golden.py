"""Chainrule computes what Keras 3 computes: every case of tests/golden, on the data there."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import chainrule

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import cases  # noqa: E402
from compare import assert_close, assert_distribution  # noqa: E402


@cache
def golden_file(name: str) -> dict[str, dict[str, np.ndarray]]:
    """{case: {array: value}} of tests/golden/<name>.npz."""
    result: dict[str, dict[str, np.ndarray]] = {}
    with np.load(GOLDEN / f"{name}.npz") as file:
        for key in file.files:
            case, array = key.split("/", 1)
            result.setdefault(case, {})[array] = file[key]
    return result


def numbered(arrays: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    """Arrays prefix0, prefix1, ..."""
    result = []
    while f"{prefix}{len(result)}" in arrays:
        result.append(arrays[f"{prefix}{len(result)}"])
    return result


def over(table):
    return pytest.mark.parametrize("case", table, ids=lambda case: case["name"])


def assert_all_close(actual, expected, what: str) -> None:
    assert len(actual) == len(expected), f"{what}: {len(actual)} arrays, expected {len(expected)}"
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert_close(a, e, f"{what} {i}")


def one_or_list(arrays: list):
    return arrays if len(arrays) > 1 else arrays[0]


class Call(chainrule.layers.Layer):
    """A function of symbolic values as a layer."""

    def __init__(self, function, **settings):
        super().__init__()
        self.function, self.settings = function, settings

    def call(self, x):
        return self.function(x, **self.settings)


class LossOf(chainrule.layers.Layer):
    """[target, predictions] or [target, predictions, sample weights] -> loss."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def call(self, inputs):
        target, predictions, *weights = inputs
        return self.loss(target, predictions, sample_weight=weights[0] if weights else None)


# --- layers and activations


def check_layer(layer, shapes, arrays) -> None:
    model = cases.layer_model(chainrule, layer, shapes)
    inputs, weights = numbered(arrays, "x"), numbered(arrays, "w")
    assert [w.shape for w in model.get_weights()] == [w.shape for w in weights]
    model.set_weights(weights)
    assert_close(model.predict(one_or_list(inputs), verbose=0), arrays["y"], "output")
    input_grads, weight_grads = chainrule.utils.gradients_of(
        model, inputs, arrays["upstream"], training=False
    )
    assert_all_close(input_grads, numbered(arrays, "dx"), "gradient of input")
    assert_all_close(weight_grads, numbered(arrays, "dw"), "gradient of weight")


@over(cases.LAYERS)
def test_layer(case):
    layer = getattr(chainrule.layers, case["class"])(**case["config"])
    check_layer(layer, case["shapes"], golden_file("layers")[case["name"]])


@over(cases.ACTIVATIONS)
def test_activation_function(case):
    layer = Call(getattr(chainrule.activations, case["function"]), **case["config"])
    check_layer(layer, case["shapes"], golden_file("activations")[case["name"]])


@over([case for case in cases.ACTIVATIONS if not case["config"]])
def test_activation_layer(case):
    layer = chainrule.layers.Activation(case["function"])
    check_layer(layer, case["shapes"], golden_file("activations")[case["name"]])


# --- losses and metrics


@over(cases.LOSSES)
def test_loss(case):
    arrays = golden_file("losses")[case["name"]]
    loss = getattr(chainrule.losses, case["class"])(**case["config"])
    target, predictions, weights = arrays["target"], arrays["predictions"], arrays.get("weights")
    assert_close(loss(target, predictions, sample_weight=weights), arrays["value"], "value")

    inputs = [target, predictions] + ([] if weights is None else [weights])
    input_grads, _ = chainrule.utils.gradients_of(
        LossOf(loss), inputs, arrays["upstream"], training=True
    )
    assert_close(input_grads[1], arrays["gradient"], "gradient of predictions")


@over(cases.METRICS)
def test_metric(case):
    arrays = golden_file("metrics")[case["name"]]
    metric = getattr(chainrule.metrics, case["class"])(**case["config"])
    for _ in range(2):  # the second time after reset_state
        for i in range(cases.BATCHES):
            weights = arrays.get(f"weights{i}")
            metric.update_state(
                arrays[f"target{i}"], arrays[f"predictions{i}"], sample_weight=weights
            )
            assert_close(metric.result(), arrays["results"][i], f"result after batch {i}")
        metric.reset_state()


@over(cases.ACCURACY)
def test_meaning_of_accuracy(case):
    arrays = golden_file("accuracy")[case["name"]]
    model = cases.layer_model(chainrule, chainrule.layers.Activation("linear"), (case["shape"],))
    model.compile(optimizer="sgd", loss=case["loss"], metrics=["accuracy"])
    result = model.evaluate(
        arrays["predictions"], arrays["target"], batch_size=4, verbose=0, return_dict=True
    )
    assert sorted(result) == ["accuracy", "loss"]
    assert_close(result["accuracy"], arrays["accuracy"], "accuracy")
    assert_close(result["loss"], arrays["loss"], "loss")


# --- initializers


@over(cases.RANDOM_INITIALIZERS)
def test_random_initializer(case):
    def draw(seed):
        return np.asarray(
            getattr(chainrule.initializers, case["class"])(**case["config"], seed=seed)(
                case["shape"]
            )
        )

    sample = draw(7)
    assert sample.shape == case["shape"]
    assert sample.dtype == np.float32
    expected = {
        key: float(value) for key, value in golden_file("initializers_random")[case["name"]].items()
    }
    assert_distribution(sample, **expected, what=case["name"])
    np.testing.assert_array_equal(sample, draw(7))
    assert not np.array_equal(sample, draw(8))


@over(cases.EXACT_INITIALIZERS)
def test_exact_initializer(case):
    arrays = golden_file("initializers_exact")[case["name"]]
    value = np.asarray(
        getattr(chainrule.initializers, case["class"])(**case["config"])(case["shape"])
    )
    assert value.dtype == np.float32
    assert value.shape == case["shape"]
    if "value" in arrays:
        np.testing.assert_array_equal(value, arrays["value"])
        return
    matrix = value.reshape(-1, value.shape[-1])
    product = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    assert_close(product, arrays["product"], "product with the transpose")


# --- optimizers and fit


def ready_model(name: str):
    """A model of cases.model with its recorded weights, its data set, and its inputs."""
    data = golden_file("models")[name]
    model = cases.model(chainrule, name)
    weights = numbered(data, "w")
    assert [w.shape for w in model.get_weights()] == [w.shape for w in weights]
    model.set_weights(weights)
    return model, data, data["x"] if name == "sequential" else [data["x"], data["right"]]


@pytest.mark.parametrize("name", ["sequential", "functional"])
@over(cases.OPTIMIZERS)
def test_three_training_steps(name, case):
    arrays = golden_file(f"optimizers_{name}")[case["name"]]
    model, data, x = ready_model(name)
    optimizer = getattr(chainrule.optimizers, case["class"])(**case["config"])
    if name == "sequential":
        model.compile(optimizer=optimizer, loss="categorical_crossentropy")
        y = data["one_hot"]
    else:
        model.compile(
            optimizer=optimizer, loss=["categorical_crossentropy", "mse"], loss_weights=[1.0, 0.5]
        )
        y = [data["one_hot"], data["score"]]
    # One batch holds all samples, so the loss of an epoch is the loss of a step.
    history = model.fit(
        x, y, batch_size=len(data["x"]), epochs=cases.STEPS, shuffle=False, verbose=0
    ).history
    assert_close(history["loss"], arrays["loss"], "loss of each step")
    assert_all_close(model.get_weights(), numbered(arrays, "w"), "weight")


@over(cases.FITS)
def test_fit(case):
    arrays = golden_file("fits")[case["name"]]
    model, data, x = ready_model(case["model"])
    model.compile(optimizer=chainrule.optimizers.SGD(0.5), **case["compile"])
    y = cases.resolve(case["target"], data)
    history = model.fit(x, y, **cases.resolve(case["fit"], data)).history
    evaluated = model.evaluate(x, y, **cases.resolve(case["evaluate"], data))
    for kind, actual in (("history", history), ("evaluate", evaluated)):
        expected = {
            key.split("/")[1]: value for key, value in arrays.items() if key.startswith(f"{kind}/")
        }
        assert sorted(actual) == sorted(expected)
        for key, value in expected.items():
            assert_close(actual[key], value, f"{kind} {key}")
    assert_all_close(model.get_weights(), numbered(arrays, "w"), "weight")


# --- masks


@over(cases.MASKED)
def test_masked_model(case):
    arrays = golden_file("masks")[case["name"]]
    found = cases.run_masked(chainrule, case, arrays)
    assert sorted(found) == sorted(name for name in arrays if "/" in name or "after" in name)
    assert len(numbered(found, "after")) == len(numbered(arrays, "w"))
    for name, value in found.items():
        assert_close(value, arrays[name], name)
