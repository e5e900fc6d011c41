"""Writes the golden files of this folder with Keras 3 on JAX: see README.md for how to run it.

Every case runs twice, in float64 and in float32. The float64 values are stored as float32, and
Keras's own float32 results must lie within half the tolerance of the tests: so no case asks for
more than float32 can give.
"""

from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"

import cases
import jax
import jax.numpy as jnp
import keras
import numpy as np
from case_data import Arrays, float32, inputs_of, target_and_predictions, weights_of
from compare import assert_close, assert_distribution
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE
from keras.src.initializers.random_initializers import compute_fans

HERE = Path(__file__).resolve().parent
# Keras on JAX turns float64 into float32 wherever it promotes dtypes; here float64 is meant.
BIT64_TO_BIT32_DTYPE["float64"] = "float64"
TRUNCATED_STD = 0.87962566103423978  # of a standard normal distribution cut off at +-2
problems: list[str] = []  # cases that ask for more than float32 can give


def cast(x):
    """Floating-point arrays in the precision that is active; integers as they are."""
    x = np.asarray(x)
    return x.astype(keras.config.floatx()) if x.dtype.kind == "f" else x


def both_precisions(case: dict, run) -> Arrays:
    """run() in float64, checked against float32; in float32 if the case is about its rounding."""
    results = {}
    for precision in ("float32", "float64"):
        keras.backend.clear_session()
        keras.config.set_floatx(precision)
        results[precision] = {key: np.asarray(value) for key, value in run().items()}
    if case.get("precision") == "float32":
        return results["float32"]
    for key, expected in results["float64"].items():
        assert expected.dtype == np.float64, f"{case['name']}/{key} is {expected.dtype}"
        assert np.isfinite(expected).all(), f"{case['name']}/{key} is not finite"
        try:
            assert_close(
                results["float32"][key], expected, f"{case['name']}/{key} in float32", part=0.5
            )
        except AssertionError as error:
            problems.append(str(error))
    return results["float64"]


# --- layers and activations


class Call(keras.layers.Layer):
    """A function as a layer."""

    def __init__(self, function, config):
        super().__init__()
        self.function, self.settings = function, config

    def call(self, x):
        return self.function(x, **self.settings)


def sparsemax(x):
    """The projection onto the simplex (Martins and Astudillo 2016, algorithm 1).

    Keras 3 adds up all running sums of the support where the last one is meant, so its rows do
    not add up to 1.
    """
    descending = -jnp.sort(-x, axis=-1)
    sums = jnp.cumsum(descending, axis=-1)
    count = jnp.arange(1, x.shape[-1] + 1)
    support = jnp.sum(1 + count * descending > sums, axis=-1, keepdims=True)
    threshold = (jnp.take_along_axis(sums, support - 1, axis=-1) - 1) / support
    return jnp.maximum(x - threshold, 0)


CORRECTED = {"sparsemax": sparsemax}


def make_layer(case: dict) -> keras.layers.Layer:
    if "function" in case:
        function = case["function"]
        return Call(CORRECTED.get(function) or getattr(keras.activations, function), case["config"])
    return getattr(keras.layers, case["class"])(**case["config"])


def run_layer(case: dict, inputs: list[np.ndarray], weights: list[np.ndarray], upstream) -> Arrays:
    model = cases.layer_model(keras, make_layer(case), case["shapes"])

    state = [v.value for v in model.non_trainable_variables]  # the seed of a Dropout

    def call(weights, xs):
        return model.stateless_call(weights, state, xs if len(xs) > 1 else xs[0], training=False)[0]

    output, vjp = jax.vjp(
        call, [jnp.asarray(cast(w)) for w in weights], [jnp.asarray(cast(x)) for x in inputs]
    )
    weight_grads, input_grads = vjp(jnp.asarray(cast(upstream(output.shape))))
    result = {"y": output}
    result |= {f"dx{i}": g for i, g in enumerate(input_grads)}
    result |= {f"dw{i}": g for i, g in enumerate(weight_grads)}
    return result


def layer_case(case: dict) -> Arrays:
    inputs = inputs_of(case)
    random = cases.rng(case["name"] + "/weights")
    shapes = [
        w.shape for w in cases.layer_model(keras, make_layer(case), case["shapes"]).get_weights()
    ]
    weights = [float32(0.5 * random.standard_normal(shape)) for shape in shapes]

    def upstream(shape):
        return float32(cases.rng(case["name"] + "/upstream").standard_normal(shape))

    values = both_precisions(case, lambda: run_layer(case, inputs, weights, upstream))
    arrays = {f"x{i}": x for i, x in enumerate(inputs)}
    arrays |= {f"w{i}": w for i, w in enumerate(weights)}
    return arrays | {"upstream": upstream(values["y"].shape)} | values


# --- losses and metrics


def loss_case(case: dict) -> Arrays:
    random = cases.rng(case["name"])
    target, predictions = target_and_predictions(case, random)
    weights = weights_of(case, random)

    def upstream(shape):
        return float32(cases.rng(case["name"] + "/upstream").uniform(0.5, 1.5, shape))

    def run() -> Arrays:
        loss = getattr(keras.losses, case["class"])(**case["config"])
        sample_weight = cast(weights["weights"]) if weights else None
        value, vjp = jax.vjp(
            lambda y: loss(cast(target), y, sample_weight=sample_weight),
            jnp.asarray(cast(predictions)),
        )
        (gradient,) = vjp(jnp.asarray(cast(upstream(value.shape))))
        return {"value": value, "gradient": gradient}

    values = both_precisions(case, run)
    data = {
        "target": target,
        "predictions": predictions,
        "upstream": upstream(values["value"].shape),
    }
    return data | weights | values


def metric_case(case: dict) -> Arrays:
    random = cases.rng(case["name"])
    batches = [
        (*target_and_predictions(case, random), weights_of(case, random))
        for _ in range(cases.BATCHES)
    ]

    def run() -> Arrays:
        metric = getattr(keras.metrics, case["class"])(**case["config"])
        results = []
        for target, predictions, weights in batches:
            sample_weight = cast(weights["weights"]) if weights else None
            metric.update_state(cast(target), cast(predictions), sample_weight=sample_weight)
            results.append(float(metric.result()))
        return {"results": np.array(results)}

    arrays: Arrays = {}
    for i, (target, predictions, weights) in enumerate(batches):
        arrays |= {f"target{i}": target, f"predictions{i}": predictions}
        arrays |= {f"weights{i}": w for w in weights.values()}
    return arrays | both_precisions(case, run)


def accuracy_case(case: dict) -> Arrays:
    target, predictions = target_and_predictions(case, cases.rng(case["name"]))

    def run() -> Arrays:
        model = cases.layer_model(keras, keras.layers.Activation("linear"), (case["shape"],))
        model.compile(optimizer="sgd", loss=case["loss"], metrics=["accuracy"])
        result = model.evaluate(
            cast(predictions), cast(target), batch_size=4, verbose=0, return_dict=True
        )
        return {key: np.array(value) for key, value in result.items()}

    values = both_precisions(case, run)
    assert 0 < values["accuracy"] < 1
    return {"target": target, "predictions": predictions} | values


# --- optimizers and fit


def data_set(name: str) -> Arrays:
    """Weights and samples of a model; labels depend on inputs, so that training has an effect."""
    random = cases.rng(name)
    n, m = 29, 11
    arrays: Arrays = {}
    for i, w in enumerate(cases.model(keras, name).get_weights()):
        arrays[f"w{i}"] = float32(0.6 * random.standard_normal(w.shape))
    rule = random.standard_normal((4, 3))
    for prefix, count in (("", n), ("other_", m)):
        x = random.standard_normal((count, 4))
        labels = np.argmax(x @ rule + 0.5 * random.standard_normal((count, 3)), axis=1)
        arrays |= {
            prefix.rstrip("_") or "x": float32(x),
            prefix + "labels": labels.astype(np.int32),
            prefix + "one_hot": float32(np.eye(3)[labels]),
            prefix + "weights": float32(random.uniform(0.2, 2.0, count)),
        }
    arrays["right"] = float32(random.standard_normal((n, 4)))
    arrays["score"] = float32(random.standard_normal((n, 1)))
    return arrays


def ready_model(name: str, data: Arrays) -> keras.Model:
    model = cases.model(keras, name)
    model.set_weights([cast(data[f"w{i}"]) for i in range(len(model.get_weights()))])
    return model


def inputs_for(name: str, data: Arrays):
    return cast(data["x"]) if name == "sequential" else [cast(data["x"]), cast(data["right"])]


def optimizer_case(case: dict, name: str, data: Arrays) -> Arrays:
    def run() -> Arrays:
        model = ready_model(name, data)
        optimizer = getattr(keras.optimizers, case["class"])(**case["config"])
        one_hot, score = cast(data["one_hot"]), cast(data["score"])
        if name == "sequential":
            model.compile(optimizer=optimizer, loss="categorical_crossentropy")
            y = one_hot
        else:
            model.compile(
                optimizer=optimizer,
                loss=["categorical_crossentropy", "mse"],
                loss_weights=[1.0, 0.5],
            )
            y = [one_hot, score]
        count = len(one_hot)
        history = model.fit(
            inputs_for(name, data),
            y,
            batch_size=count,
            epochs=cases.STEPS,
            shuffle=False,
            verbose=0,
        ).history
        result = {"loss": np.array(history["loss"])}
        return result | {f"w{i}": w for i, w in enumerate(model.get_weights())}

    return both_precisions({"name": f"{name}/{case['name']}"}, run)


def optimizer_cases(name: str, data: Arrays) -> dict[str, Arrays]:
    """All optimizers on one model; equal weights after two would mean a setting without effect."""
    results = {case["name"]: optimizer_case(case, name, data) for case in cases.OPTIMIZERS}
    finals = [
        np.concatenate([w.ravel() for k, w in r.items() if k != "loss"]) for r in results.values()
    ]
    for i, first in enumerate(finals):
        for second in finals[:i]:
            assert np.abs(first - second).max() > 1e-4, "two optimizer cases give the same weights"
    return results


def fit_case(case: dict, data: Arrays) -> Arrays:
    def run() -> Arrays:
        model = ready_model(case["model"], data)
        arrays = {key: cast(value) for key, value in data.items()}
        model.compile(optimizer=keras.optimizers.SGD(0.5), **case["compile"])
        x, y = inputs_for(case["model"], data), cases.resolve(case["target"], arrays)
        history = model.fit(x, y, **cases.resolve(case["fit"], arrays)).history
        evaluated = model.evaluate(x, y, **cases.resolve(case["evaluate"], arrays))
        result = {f"history/{key}": np.array(value) for key, value in history.items()}
        result |= {f"evaluate/{key}": np.array(value) for key, value in evaluated.items()}
        return result | {f"w{i}": w for i, w in enumerate(model.get_weights())}

    return both_precisions(case, run)


def masked_case(case: dict) -> Arrays:
    keras.config.set_floatx("float32")
    shapes = [w.shape for w in cases.masked_model(keras, case).get_weights()]
    arrays = cases.masked_arrays(case, shapes)

    def run() -> Arrays:
        given = {name: cast(array) for name, array in arrays.items()}
        return cases.run_masked(keras, case, given)

    return arrays | both_precisions(case, run)


# --- initializers


def distribution(initializer) -> tuple[str, float, float]:
    """("uniform", low, high) or ("normal" | "truncated", mean and stddev before truncation)."""
    if isinstance(initializer, keras.initializers.RandomUniform):
        return "uniform", initializer.minval, initializer.maxval
    kind = "truncated" if isinstance(initializer, keras.initializers.TruncatedNormal) else "normal"
    return kind, initializer.mean, initializer.stddev


def scaled_distribution(initializer, shape) -> tuple[str, float, float]:
    fan_in, fan_out = compute_fans(shape)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[
        initializer.mode
    ]
    std = np.sqrt(initializer.scale / fan)
    if initializer.distribution == "uniform":
        return "uniform", -np.sqrt(3) * std, np.sqrt(3) * std
    if initializer.distribution == "untruncated_normal":
        return "normal", 0.0, std
    return "truncated", 0.0, std / TRUNCATED_STD


def random_initializer_case(case: dict) -> Arrays:
    keras.config.set_floatx("float32")
    initializer = getattr(keras.initializers, case["class"])(**case["config"], seed=1)
    scaled = isinstance(initializer, keras.initializers.VarianceScaling)
    kind, a, b = (
        scaled_distribution(initializer, case["shape"]) if scaled else distribution(initializer)
    )
    if kind == "uniform":
        values = {"mean": (a + b) / 2, "std": (b - a) / np.sqrt(12), "low": a, "high": b}
    elif kind == "normal":
        values = {"mean": a, "std": b, "low": -np.inf, "high": np.inf}
    else:
        values = {"mean": a, "std": b * TRUNCATED_STD, "low": a - 2 * b, "high": a + 2 * b}
    assert_distribution(initializer(case["shape"]), **values, what=case["name"])
    return {key: np.array(value) for key, value in values.items()}


def exact_initializer_case(case: dict) -> Arrays:
    def run() -> Arrays:
        value = np.asarray(
            getattr(keras.initializers, case["class"])(**case["config"])(case["shape"])
        )
        if case["class"] != "Orthogonal":
            return {"value": value}
        matrix = value.reshape(-1, value.shape[-1])
        tall = matrix.shape[0] >= matrix.shape[1]
        product = matrix.T @ matrix if tall else matrix @ matrix.T
        return {"product": np.round(product, 5)}

    return both_precisions(case, run)


# --- files


def write(name: str, groups: dict[str, Arrays]) -> None:
    """A compressed .npz with members `case/array`; equal contents give equal bytes."""
    path = HERE / f"{name}.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for case, arrays in groups.items():
            for key, value in arrays.items():
                array = np.asarray(value)
                array = float32(array) if array.dtype.kind == "f" else array
                buffer = io.BytesIO()
                np.lib.format.write_array(
                    buffer, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False
                )
                member = zipfile.ZipInfo(f"{case}/{key}.npy", (1980, 1, 1, 0, 0, 0))
                member.compress_type = zipfile.ZIP_DEFLATED
                file.writestr(member, buffer.getvalue())
    print(f"{path.name}: {len(groups)} cases, {path.stat().st_size / 1024:.0f} KiB")


def main() -> None:
    keras.config.set_floatx("float32")
    for table in (
        cases.LAYERS,
        cases.ACTIVATIONS,
        cases.LOSSES,
        cases.METRICS,
        cases.OPTIMIZERS,
        cases.FITS,
        cases.MASKED,
    ):
        names = [case["name"] for case in table]
        assert len(names) == len(set(names)), "names of cases must differ"
    keras.config.set_floatx("float32")
    data = {name: data_set(name) for name in ("sequential", "functional")}
    makers = {
        "layers": lambda: {case["name"]: layer_case(case) for case in cases.LAYERS},
        "activations": lambda: {case["name"]: layer_case(case) for case in cases.ACTIVATIONS},
        "losses": lambda: {case["name"]: loss_case(case) for case in cases.LOSSES},
        "metrics": lambda: {case["name"]: metric_case(case) for case in cases.METRICS},
        "accuracy": lambda: {case["name"]: accuracy_case(case) for case in cases.ACCURACY},
        "initializers_random": lambda: {
            c["name"]: random_initializer_case(c) for c in cases.RANDOM_INITIALIZERS
        },
        "initializers_exact": lambda: {
            c["name"]: exact_initializer_case(c) for c in cases.EXACT_INITIALIZERS
        },
        "models": lambda: data,
        "optimizers_sequential": lambda: optimizer_cases("sequential", data["sequential"]),
        "optimizers_functional": lambda: optimizer_cases("functional", data["functional"]),
        "masks": lambda: {case["name"]: masked_case(case) for case in cases.MASKED},
        "fits": lambda: {case["name"]: fit_case(case, data[case["model"]]) for case in cases.FITS},
    }
    wanted = sys.argv[1:] or list(makers)
    if unknown := sorted(set(wanted) - set(makers)):
        sys.exit(f"The files are {', '.join(makers)}. Received: {', '.join(unknown)}")
    for name in wanted:
        write(name, makers[name]())
    versions = {"Keras": keras, "JAX": jax, "NumPy": np}
    print(", ".join(f"{name} {module.__version__}" for name, module in versions.items()))
    if problems:
        sys.exit("\n".join(["These must not be used:", *problems]))


if __name__ == "__main__":
    main()
