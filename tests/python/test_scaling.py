"""What grows with a model grows in proportion: four times the layers, inputs or bytes take about
four times the time. Quadratic costs would take sixteen times, and fail at ten.

Times are those of the process, the best of three, so that a busy machine does not matter.
"""

import time

import numpy as np
import pytest

import chainrule
from chainrule import layers, models, ops

pytestmark = pytest.mark.once

MOST = 10.0  # times, for four times the size
SMALLEST = 0.02  # seconds: below, nothing is said of growth


def best_time(make, run):
    """Seconds that run(make()) takes."""
    times = []
    for _ in range(3):
        subject = make()
        begin = time.process_time()
        run(subject)
        times.append(time.process_time() - begin)
    return min(times)


def assert_linear(make, run, size):
    """`make(size)` is not timed, `run(what it made)` is."""
    small = max(best_time(lambda: make(size), run), SMALLEST)
    large = best_time(lambda: make(4 * size), run)
    assert large < MOST * small, f"{size}: {small:.3f} s, {4 * size}: {large:.3f} s"


def activations(count):
    return [layers.Activation("relu", name=f"a{i}") for i in range(count)]


def chain(count, width=2):
    own = [layers.Dense(width, name=f"d{i}") for i in range(count)]
    return chainrule.Sequential([layers.Input((width,)), *own])


def functional(count):
    x = y = layers.Input((2,))
    for i in range(count):
        y = layers.Dense(2, name=f"d{i}")(y)
    return chainrule.Model(x, y)


RUNS = {
    "summary": lambda model: model.summary(print_fn=lambda text: None),
    "get_weights": lambda model: model.set_weights(model.get_weights()),
    "to_json": lambda model: models.model_from_json(model.to_json()),
    "clone": models.clone_model,
    "compile": lambda model: model.compile("adam", "mse"),
    "predict": lambda model: model.predict(np.ones((2, 2), "float32"), verbose=0),
    "names": lambda model: [layer.name for layer in model.layers],
}


@pytest.mark.parametrize("make", [chain, functional])
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_models_of_many_layers(make, run):
    assert_linear(make, run, 400)


def test_building_a_chain_and_taking_it_down():
    assert_linear(activations, chainrule.Sequential, 500)
    assert_linear(
        lambda n: chainrule.Sequential([layers.Input((2,)), *activations(n)]),
        lambda model: [model.pop() for _ in range(len(model.layers))],
        250,
    )
    assert_linear(activations, lambda own: chainrule.Sequential([layers.Input((2,)), *own]), 500)


def test_files(tmp_path):
    path = tmp_path / "m.safetensors"

    def saved(count):
        model = chain(count)
        model.save(path)
        return model

    assert_linear(saved, lambda model: model.save(path), 400)
    assert_linear(saved, lambda model: models.load_model(path), 400)
    assert_linear(saved, lambda model: model.load_weights(path), 400)


def test_a_first_step():
    def fit(model):
        model.fit(np.ones((2, 2), "float32"), np.ones((2, 2), "float32"), verbose=0)

    def compiled(count):
        model = chain(count)
        model.compile("sgd", "mse")
        return model

    assert_linear(compiled, fit, 150)


def test_many_inputs():
    def inputs(count):
        return [layers.Input((1,), name=f"i{i}") for i in range(count)]

    assert_linear(inputs, layers.Concatenate(), 1000)
    assert_linear(inputs, layers.Add(), 1000)

    def joined(count):
        xs = inputs(count)
        model = chainrule.Model(xs, layers.Concatenate()(xs))
        return model, [np.ones((1, 1), "float32")] * count

    assert_linear(joined, lambda pair: pair[0].predict(pair[1], verbose=0), 500)


def test_large_configurations():
    class Table(layers.Layer):
        def __init__(self, table, **kwargs):
            super().__init__(**kwargs)
            self.table = table

        def call(self, x):
            return ops.abs(x)

        def get_config(self):
            return {**super().get_config(), "table": self.table}

    assert_linear(
        lambda n: chainrule.Sequential([layers.Input((1,)), Table({str(i): i for i in range(n)})]),
        lambda model: model.to_json(),
        5000,
    )


def test_a_misspelt_name_of_a_megabyte():
    begin = time.process_time()
    for wrong in (
        lambda: layers.Dense(1, **{"x" * 10**6: 1}),
        lambda: chainrule.optimizers.get("x" * 10**6),
        lambda: layers.Dense(1, activation="x" * 10**6),
        lambda: chainrule.Sequential([layers.Dense(1, name="y" * 10**6)]).get_layer("x" * 10**6),
    ):
        with pytest.raises(ValueError, match="there is no"):
            wrong()
    assert time.process_time() - begin < 1.0


def test_loading_runs_no_initializer(tmp_path):
    path = tmp_path / "m.safetensors"
    model = chainrule.Sequential(
        [layers.Input((512,)), layers.Dense(512, kernel_initializer="orthogonal")]
    )
    model.save(path)
    drawing = best_time(lambda: None, lambda _: models.clone_model(model))
    loading = best_time(lambda: None, lambda _: models.load_model(path))
    assert loading < drawing / 4
