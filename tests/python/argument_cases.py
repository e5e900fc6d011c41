"""What test_arguments.py calls: for every public function, constructor and method arguments that
are right, and a list of those that are wrong. A new one needs a line here only if its required
arguments have other names than those of VALID."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import chainrule as cr

MODULES = (
    "activations backend callbacks config dtype_policies initializers layers losses metrics models "
    "ops optimizers utils datasets"
).split()


# --- wrong values ---------------------------------------------------------------------------------


WRONG: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "text": lambda: "text",
    "empty text": lambda: "",
    "half a character": lambda: "\ud800",
    "text of a number": lambda: "3",
    "bytes": lambda: b"x",
    "3.5": lambda: 3.5,
    "3.0": lambda: 3.0,
    "-1": lambda: -1,
    "0": lambda: 0,
    "0.0": lambda: 0.0,
    "True": lambda: True,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "1e300": lambda: 1e300,
    "2**40": lambda: 2**40,
    "2**63": lambda: 2**63,
    "2**70": lambda: 2**70,
    "-2**70": lambda: -(2**70),
    "2**2000": lambda: 2**2000,
    "1j": lambda: 1j,
    "Ellipsis": lambda: ...,
    "[]": lambda: [],
    "()": lambda: (),
    "{}": lambda: {},
    "set()": lambda: {1, 2},
    "dict": lambda: {"a": 1},
    "dict of numbers": lambda: {1: 2.0},
    "[None]": lambda: [None],
    "['a']": lambda: ["a"],
    "[object]": lambda: [object()],
    "(2**70,)": lambda: (2**70,),
    "(2**40, 2**40)": lambda: (2**40, 2**40),
    "(-5, 3)": lambda: (-5, 3),
    "(1.5,)": lambda: (1.5,),
    "ragged": lambda: [[1.0], [2.0, 3.0]],
    "object": object,
    "function": lambda: lambda *_, **__: None,
    "class": lambda: int,
    "generator": lambda: (i for i in range(3)),
    "endless generator": itertools.count,
    "range": lambda: range(3),
    "float32": lambda: np.float32(2.5),
    "uint64": lambda: np.uint64(2**64 - 1),
    "uint8": lambda: np.uint8(2),
    "bool_": lambda: np.True_,
    "datetime64": lambda: np.datetime64("2026-01-01"),
    "array of objects": lambda: np.array([object(), None]),
    "array of texts": lambda: np.array(["a", "b"]),
    "array of nothing": lambda: np.zeros((0, 3)),
    "array without axes": lambda: np.array(2.5),
    "array of complex numbers": lambda: np.ones(3, complex),
    "array of floats": lambda: np.array([0.5, np.nan]),
    "many axes": lambda: np.zeros((1,) * 12),
    "masked array": lambda: np.ma.masked_array([1.0, 2.0], [True, False]),
    "layer": lambda: cr.layers.Flatten(),
    "symbol": lambda: cr.Input((3,)),
    "module": lambda: np,
}


# --- right values ---------------------------------------------------------------------------------

X = np.linspace(0.1, 0.9, 12, dtype="float32").reshape(6, 2)
Y = np.linspace(0.1, 0.9, 18, dtype="float32").reshape(6, 3)


def scale(y_true: Any, y_pred: Any) -> Any:
    return cr.ops.mean(y_pred, axis=-1)


# Required arguments by name.
VALID: dict[str, Callable[[], Any]] = {
    "x": lambda: Y.copy(),
    "x1": lambda: Y.copy(),
    "x2": lambda: Y.copy(),
    "condition": lambda: Y > 0.5,
    "x_min": lambda: 0.2,
    "x_max": lambda: 0.7,
    "variable": lambda: Y.copy(),
    "dtype": lambda: "float32",
    "xs": lambda: [Y, Y],
    "axis": lambda: 0,
    "axis1": lambda: 0,
    "axis2": lambda: 1,
    "newshape": lambda: (3, 6),
    "shape": lambda: (6, 3),
    "indices": lambda: [0, 1],
    "indices_or_sections": lambda: 3,
    "num_classes": lambda: 3,
    "fill_value": lambda: 1.0,
    "threshold": lambda: 0.5,
    "default_value": lambda: 0.0,
    "y_true": lambda: Y.copy(),
    "y_pred": lambda: Y.copy(),
    "seed": lambda: 3,
    "threads": lambda: 2,
    "filepath": lambda: "model.safetensors",
    "filename": lambda: "log.csv",
    "schedule": lambda: lambda epoch: 0.1,
    "units": lambda: 3,
    "rate": lambda: 0.5,
    "target_shape": lambda: (3, 1),
    "dims": lambda: (2, 1),
    "n": lambda: 2,
    "activation": lambda: "relu",
    "value": lambda: 0.5,
    "identifier": lambda: None,
    "name": lambda: "a_name",
    "layer": lambda: cr.layers.Dense(3),
    "inputs": lambda: X.copy(),
    "upstream": lambda: Y.copy(),
    "function": lambda: lambda x: x * 2.0,
}


def model() -> Any:
    """A model that has been trained, so that everything of it exists."""
    made = cr.Sequential([cr.Input((2,), name="given"), cr.layers.Dense(3, name="dense")], "model")
    made.compile(cr.optimizers.SGD(0.1, momentum=0.5), "mse", metrics=["mae"])
    made.train_on_batch(X, Y)
    return made


class Own(cr.layers.Layer):
    """A layer of the test's own."""

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((2, 3), name="kernel")

    def call(self, inputs: Any) -> Any:
        return inputs @ self.kernel


def built() -> Any:
    layer = Own(name="own")
    layer(X)
    return layer


# Arguments of functions and constructors that VALID does not fit.
FUNCTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "activations.glu": lambda: {"x": np.ones((3, 4), "float32")},
    "activations.deserialize": lambda: {"config": "relu"},
    "activations.get": lambda: {"identifier": "relu"},
    "backend.set_floatx": lambda: {"value": "float32"},
    "config.set_dtype_policy": lambda: {"policy": "float32"},
    "config.set_floatx": lambda: {"value": np.float32},
    "dtype_policies.deserialize": lambda: {
        "config": {"class_name": "DTypePolicy", "config": {"name": "float32"}}
    },
    "dtype_policies.serialize": lambda: {"dtype_policy": cr.DTypePolicy("float64")},
    "initializers.deserialize": lambda: {"config": "zeros"},
    "initializers.get": lambda: {"identifier": "zeros"},
    "initializers.serialize": lambda: {"initializer": cr.initializers.Zeros()},
    "layers.deserialize": lambda: {"config": cr.layers.serialize(cr.layers.Dense(2))},
    "layers.serialize": lambda: {"layer": cr.layers.Dense(2)},
    "layers.Input": lambda: {"shape": (3,)},
    "layers.Operation": lambda: {"function": "square", "operands": [None]},
    "layers.InputLayer": lambda: {"shape": (3,)},
    "losses.deserialize": lambda: {"config": "mse"},
    "losses.get": lambda: {"identifier": "mse"},
    "losses.serialize": lambda: {"loss": cr.losses.MeanSquaredError()},
    "losses.sparse_categorical_crossentropy": lambda: {"y_true": np.array([0, 1]), "y_pred": Y[:2]},
    "metrics.deserialize": lambda: {"config": "mse"},
    "metrics.get": lambda: {"identifier": "mse"},
    "metrics.serialize": lambda: {"metric": cr.metrics.MeanSquaredError()},
    "models.clone_model": lambda: {"model": model()},
    "models.load_model": lambda: {"filepath": saved()},
    "models.model_from_json": lambda: {"json_string": model().to_json()},
    "models.Model": lambda: dict(zip(("inputs", "outputs"), symbols(), strict=True)),
    "ops.cond": lambda: {"pred": True, "true_fn": lambda: X, "false_fn": lambda: Y},
    "ops.scan": lambda: {"f": lambda c, x: (c + x, c), "init": X[0].copy(), "xs": X.copy()},
    "ops.matmul": lambda: {"x1": X.copy(), "x2": np.ones((2, 4), "float32")},
    "ops.one_hot": lambda: {"x": np.array([0, 2]), "num_classes": 3},
    "ops.squeeze": lambda: {"x": np.ones((3, 1), "float32")},
    "ops.stack": lambda: {"x": [Y, Y]},
    "optimizers.deserialize": lambda: {"config": "sgd"},
    "optimizers.get": lambda: {"identifier": "sgd"},
    "optimizers.serialize": lambda: {"optimizer": cr.optimizers.SGD()},
    "utils.to_categorical": lambda: {"x": [0, 2]},
    "datasets.fashion_mnist.load_data": lambda: {"path": data_set()},
    "datasets.mnist.load_data": lambda: {"path": data_set()},
    "callbacks.LambdaCallback": lambda: {"on_epoch_end": lambda epoch, logs: None},
}


def symbols() -> tuple[Any, Any]:
    given = cr.Input((2,))
    return given, cr.layers.Dense(3)(given)


def data_set() -> str:
    parts = {name: X for name in ("x_train", "y_train", "x_test", "y_test")}
    np.savez("set.npz", **parts)
    return "set.npz"


def saved() -> str:
    model().save("saved.safetensors")
    return "saved.safetensors"


# Objects whose methods and properties are called: how to make one, and the arguments of methods
# that VALID does not fit. Methods that take what they are given as it is are listed as free.
OBJECTS: dict[str, Callable[[], Any]] = {
    "Model": model,
    "Sequential": model,
    "Layer": built,
    "Loss": cr.losses.MeanSquaredError,
    "Metric": cr.metrics.MeanSquaredError,
    "Optimizer": cr.optimizers.SGD,
    "Initializer": cr.initializers.GlorotUniform,
    "DTypePolicy": cr.DTypePolicy,
    "Variable": lambda: built().kernel,
    "Symbol": lambda: cr.Input((3,)),
    "History": lambda: model().fit(X, Y, verbose=0),
}
METHODS: dict[str, Callable[[], dict[str, Any]]] = {
    "Model.__call__": lambda: {"inputs": X},
    "Model.add_weight": lambda: {"shape": (2,)},
    "Model.build": lambda: {"input_shape": (None, 2)},
    "Model.call": lambda: {"inputs": X},
    "Model.compile": lambda: {"optimizer": "sgd", "loss": "mse"},
    "Model.compute_output_shape": lambda: {"input_shape": (None, 2)},
    "Model.evaluate": lambda: {"x": X, "y": Y, "verbose": 0},
    "Model.fit": lambda: {"x": X, "y": Y, "verbose": 0},
    "Model.find_nonfinite": lambda: {"x": X, "y": Y},
    "Model.profile": lambda: {"x": X, "y": Y, "runs": 1},
    "Model.from_config": lambda: {"config": model().get_config()},
    "Model.get_layer": lambda: {"name": "dense"},
    "Model.predict": lambda: {"x": X, "verbose": 0},
    "Model.predict_on_batch": lambda: {"x": X},
    "Model.set_weights": lambda: {"weights": [np.ones((2, 3)), np.ones(3)]},
    "Model.summary": lambda: {"print_fn": lambda text: None},
    "Model.test_on_batch": lambda: {"x": X, "y": Y},
    "Model.train_on_batch": lambda: {"x": X, "y": Y},
    "Model.add": lambda: {"layer": cr.layers.Dense(2, name="added")},
    "Sequential.add": lambda: {"layer": cr.layers.Dense(2, name="added")},
    "Layer.__call__": lambda: {"inputs": X},
    "Layer.build": lambda: {"input_shape": (None, 2)},
    "Layer.compute_output_shape": lambda: {"input_shape": (None, 2)},
    "Layer.from_config": lambda: {"config": {"name": "other"}},
    "Layer.set_weights": lambda: {"weights": [np.ones((2, 3))]},
    "Loss.from_config": lambda: {"config": {"name": "other"}},
    "Metric.from_config": lambda: {"config": {"name": "other"}},
    "Optimizer.from_config": lambda: {"config": {"learning_rate": 0.1}},
    "Initializer.from_config": lambda: {"config": {}},
    "DTypePolicy.from_config": lambda: {"config": {"name": "float64"}},
}
# Whose methods are tried with another of OBJECTS.
INHERITED: dict[str, type] = {"Model": cr.layers.Layer, "Sequential": cr.models.Model}
OPERATORS = {
    "__call__",
    "__getitem__",
    *(f"__{side}{name}__" for name in "add sub mul truediv pow".split() for side in ("", "r")),
    *(f"__{name}__" for name in ("matmul", "lt", "le", "gt", "ge", "mod", "floordiv")),
}
# Left out: what is right but takes long, downloads or prints, and functions of the caller's own
# that fail.
SKIPPED = {
    ("datasets.fashion_mnist.load_data", "path", "None"),
    ("datasets.mnist.load_data", "path", "None"),
    ("Model.fit", "epochs", "2**40"),
    *((f"Model.{run}", "verbose", "True") for run in ("fit", "evaluate", "predict")),
    ("Model.summary", "print_fn", "None"),
    ("Model.summary", "print_fn", "class"),
    ("models.clone_model", "clone_function", "class"),
}
# Which cannot be made: there are only objects of derived classes.
ABSTRACT = {f"{kind}s.{kind.title()}" for kind in ("initializer", "metric", "optimizer")}
# What is there to be overridden, or called by the engine alone.
HOOKS = {"call", "build", "add_loss", "set_model", "set_params", "on_progress"}


# --- discovery ------------------------------------------------------------------------------------


def public() -> Iterator[tuple[str, Any]]:
    """Every public function and class, by its module and name."""
    for module_name in MODULES:
        module = getattr(cr, module_name)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.ismodule(thing):
                for inner in thing.__all__:
                    yield f"{module_name}.{name}.{inner}", getattr(thing, inner)
            elif callable(thing):
                yield f"{module_name}.{name}", thing


def parameters(function: Any) -> list[inspect.Parameter]:
    """The arguments of a function that can be given by name."""
    if isinstance(function, type) and function.__init__ is object.__init__:
        return []
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in ("self", "cls") and parameter.kind not in several
    ]


def arguments(name: str, function: Any, table: dict[str, Any]) -> dict[str, Any]:
    """Right arguments of a function; fails for one that nothing is known of."""
    if name in table:
        return table[name]()
    required = [p.name for p in parameters(function) if p.default is inspect.Parameter.empty]
    unknown = [one for one in required if one not in VALID]
    assert not unknown, f"argument_cases.py knows no right values for {unknown} of {name}"
    return {one: VALID[one]() for one in required}
