"""The models whose files fuzz_files.py damages, and what is done with those that load."""

import numpy as np

import chainrule
from chainrule import layers, losses, models, ops

X = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")
MOST_ELEMENTS = 10_000  # of an input that a damaged model asks for


class Scale(layers.Layer):
    """A layer of one's own."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.factor = self.add_weight(
            shape=(input_shape[-1],),
            initializer=chainrule.initializers.Constant(self.start),
            name="factor",
        )

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "start": self.start}


class Cubed(losses.Loss):
    """A loss of one's own."""

    def call(self, y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred) ** 3.0, axis=-1)


def quartic(y_true, y_pred):
    return ops.mean((y_true - y_pred) ** 4.0, axis=-1)


CUSTOM = {"Scale": Scale, "Cubed": Cubed, "quartic": quartic}


def chain():
    model = chainrule.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(8, activation="relu", name="hidden"),
            layers.Dropout(0.2, seed=3),
            layers.Dense(2, kernel_initializer="orthogonal"),
        ]
    )
    model.compile("adam", "mse", metrics=["mae", "accuracy"])
    model.fit(X, X[:, :2], verbose=0)
    return model


def graph():
    shared = layers.Dense(3, name="shared")
    inner = chainrule.Sequential([layers.Input((3,)), layers.Dense(2)], name="inner")
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    joined = layers.Concatenate()([shared(a), shared(b)])
    cut = layers.Flatten()(layers.Permute((2, 1))(layers.Reshape((2, 3))(joined)))
    model = chainrule.Model(
        [a, b], [inner(layers.Add()([shared(a), shared(b)])), layers.Dense(1, name="q")(cut)]
    )
    optimizer = chainrule.optimizers.SGD(0.01, momentum=0.9, clipnorm=1.0)
    model.compile(optimizer, ["mse", "mae"], metrics=[["mse"], []], loss_weights=[1.0, 0.5])
    model.fit([X, X], [X[:, :2], X[:, :1]], verbose=0)
    return model


def own():
    model = chainrule.Sequential([layers.Input((4,)), Scale(3.0), layers.Dense(2)])
    model.compile(chainrule.optimizers.SGD(1e-4), Cubed(), metrics=[quartic])
    model.fit(X, X[:, :2], verbose=0)
    return model


MODELS = [chain, graph, own]


def load(path, compile):
    return models.load_model(path, custom_objects=CUSTOM, compile=compile)


def from_json(text):
    return models.model_from_json(text, custom_objects=CUSTOM)


def from_config(spec):
    """The models' own from_config, with what a tree of JSON may hold."""
    if not isinstance(spec, dict) or not isinstance(spec.get("config"), dict):
        raise ValueError("no configuration of a model")
    kind = chainrule.Sequential if spec.get("class_name") == "Sequential" else chainrule.Model
    return kind.from_config(spec["config"], custom_objects=CUSTOM)


def use(model):
    """Predicts and trains, if the inputs are of a size that a test can make."""
    inputs = []
    for symbol in model.inputs:
        shape = (2, *(1 if n is None else n for n in symbol.shape[1:]))
        if np.prod(shape, dtype=float) > MOST_ELEMENTS:
            return
        inputs.append(np.ones(shape, symbol.dtype))
    if any(
        np.prod(s.shape[1:], dtype=float) > MOST_ELEMENTS
        for s in model.outputs
        if None not in s.shape[1:]
    ):
        return
    outputs = model.predict(inputs, verbose=0)
    if model.compiled:
        targets = outputs if isinstance(outputs, list) else [outputs]
        model.fit(inputs, [np.zeros_like(y) for y in targets], verbose=0)
