"""Calls of layers: several arguments, functions as layers, clones, dicts, masks of dropout."""

import functools

import numpy as np
import pytest

import chainrule
from chainrule import activations, layers, ops

X = np.random.default_rng(0).standard_normal((6, 4, 3)).astype("float32")

# --- calls with several arguments ---------------------------------------------------------------


class Weighted(layers.Layer):
    """a + factor * b, with a weight of the length of b."""

    def build(self, a_shape, b_shape):
        self.shapes = (a_shape, b_shape)
        self.w = self.add_weight((b_shape[-1],), initializer="ones", name="w")

    def call(self, a, b, factor=2.0, training=None):
        self.seen = training
        return a + b * factor * self.w


def test_several_arguments_of_call(tmp_path):
    rows = X[:, 0]
    expected = rows + rows[::-1] * 3.0
    i, j = chainrule.Input((3,)), chainrule.Input((3,))
    layer = Weighted()
    output = layer(i, j, factor=3.0)
    assert layer.shapes == ((None, 3), (None, 3))
    model = chainrule.Model([i, j], output)
    path = tmp_path / "model.safetensors"
    model.save(path)
    custom = {"Weighted": Weighted}
    for same in (
        model,
        chainrule.models.load_model(path, custom_objects=custom),
        chainrule.models.clone_model(model),
    ):
        np.testing.assert_allclose(
            same.predict([rows, rows[::-1].copy()], verbose=0), expected, rtol=1e-6
        )
    np.testing.assert_allclose(layer(rows, b=rows[::-1], factor=3.0), expected, rtol=1e-6)
    np.testing.assert_allclose(Weighted()(rows, rows[::-1], 3.0), expected, rtol=1e-6)
    layer(rows, rows, 1.0, True)
    assert layer.seen is True

    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = Weighted()

        def call(self, x):
            return self.inner(x, x, factor=3.0)

    np.testing.assert_allclose(Outer()(rows), rows * 4, rtol=1e-6)


def test_lists_dicts_and_optional_inputs():
    class Attend(layers.Layer):
        def call(self, query, others=None, named=None):
            y = query
            for other in others or []:
                y = y + other
            return y if named is None else y + named["key"] * 10.0

    rows = X[:, 0]
    i, j = chainrule.Input((3,)), chainrule.Input((3,))
    layer = Attend()
    for call, expected in [
        (lambda a, b: layer(a), rows),
        (lambda a, b: layer(a, [b, b]), rows + 2 * rows),
        (lambda a, b: layer(a, named={"key": b}), 11 * rows),
        (lambda a, b: layer(query=a, others=[b]), 2 * rows),
    ]:
        model = chainrule.Model([i, j], call(i, j))
        np.testing.assert_allclose(model.predict([rows, rows], verbose=0), expected, rtol=1e-6)
        np.testing.assert_allclose(call(rows, rows), expected, rtol=1e-6)


def test_wrong_calls_are_named():
    rows = X[:, 0]
    with pytest.raises(TypeError, match=r"\[Dense\] .*are a list, layer\(\[a, b\]\)"):
        layers.Dense(2)(rows, rows, rows)
    with pytest.raises(TypeError, match=r"\[Weighted\] got an unexpected keyword argument 'c'"):
        Weighted()(rows, c=rows)
    with pytest.raises(TypeError, match="called with its inputs"):
        layers.Dense(2)()
    for nothing in ([], ()):
        with pytest.raises(ValueError, match=r"\[Dense\] a layer is applied to at least one input"):
            layers.Dense(2)(nothing)
        with pytest.raises(ValueError, match="at least one input"):
            layers.Add()(nothing)
    with pytest.raises(ValueError, match="at least one"):
        chainrule.Model([], [])


# --- Lambda, functions without a name -----------------------------------------------------------


def scaled(x, factor=2.0):
    return x * factor


def test_lambda(tmp_path):
    x = chainrule.Input((3,))
    rows = X[:, 0]
    model = chainrule.Model(x, layers.Lambda(scaled, arguments={"factor": 3.0}, name="scale")(x))
    np.testing.assert_allclose(model.predict(rows, verbose=0), rows * 3)
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = chainrule.models.load_model(path, custom_objects={"scaled": scaled})
    np.testing.assert_allclose(loaded.predict(rows, verbose=0), rows * 3)
    with pytest.raises(ValueError, match=r"the function 'scaled' is needed: pass it"):
        chainrule.models.load_model(path)

    unnamed = chainrule.Model(x, layers.Lambda(lambda v: v * 2.0)(x))
    clone = chainrule.models.clone_model(unnamed)
    np.testing.assert_allclose(clone.predict(rows, verbose=0), rows * 2)
    with pytest.raises(ValueError, match=r"\[Lambda\] the function has no name.*def"):
        unnamed.save(path)
    assert "Lambda" in repr(unnamed.layers[1])
    np.testing.assert_allclose(
        chainrule.models.load_model(path, {"scaled": scaled})(rows), rows * 3
    )
    with pytest.raises(TypeError, match="function must be a function"):
        layers.Lambda(3)
    with pytest.raises(ValueError, match="output_shape must be None"):
        layers.Lambda(scaled, output_shape=(3,))


def test_activations_without_a_name(tmp_path):
    rows = X[:, 0]
    for function, expected in [
        (lambda v: ops.tanh(v), np.tanh),
        (functools.partial(activations.leaky_relu, negative_slope=0.5), None),
    ]:
        layer = layers.Dense(3, activation=function)
        model = chainrule.Sequential([chainrule.Input((3,)), layer])
        plain = rows @ layer.kernel.numpy()
        want = expected(plain) if expected else np.where(plain > 0, plain, plain / 2)
        np.testing.assert_allclose(model.predict(rows, verbose=0), want, rtol=1e-5, atol=1e-6)
        assert layer.activation is function
        clone = chainrule.models.clone_model(model)
        clone.set_weights(model.get_weights())
        np.testing.assert_array_equal(
            clone.predict(rows, verbose=0), model.predict(rows, verbose=0)
        )
        path = tmp_path / "model.safetensors"
        for save in (functools.partial(model.save, path), model.to_json):
            with pytest.raises(
                ValueError, match="activation has no name.*define it with def.*dense"
            ):
                save()
        assert not path.exists()


# --- clones -------------------------------------------------------------------------------------


class Scale(layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def test_clone_model_with_layers_of_ones_own():
    inner = chainrule.Sequential([chainrule.Input((3,)), Scale(5.0), layers.Dense(3)], name="inner")
    x = chainrule.Input((3,))
    shared = Scale(3.0)
    model = chainrule.Model(x, shared(inner(shared(x))) + 1.0)
    model.layers[1].trainable = False
    clone = chainrule.models.clone_model(model)
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    assert not set(map(id, clone.layers)) & set(map(id, model.layers))
    assert clone.get_layer("inner").layers[0].factor == 5.0
    assert clone.layers[1].trainable is False
    clone.set_weights(model.get_weights())
    rows = X[:, 0]
    np.testing.assert_array_equal(clone.predict(rows, verbose=0), model.predict(rows, verbose=0))
    frozen = chainrule.models.clone_model(
        model, clone_function=lambda layer: type(layer).from_config(layer.get_config())
    )
    assert frozen.count_params() == model.count_params()
    with pytest.raises(ValueError, match="must return a layer"):
        chainrule.models.clone_model(model, clone_function=lambda layer: None)
    assert type(chainrule.models.clone_model(inner)) is chainrule.Sequential


# --- dicts ----------------------------------------------------------------------------------------


def test_dicts_of_inputs_and_outputs(tmp_path):
    a, b = chainrule.Input((3,)), chainrule.Input((3,))
    h = layers.Dense(3)(a + b)
    model = chainrule.Model({"left": a, "right": b}, {"sum": layers.Dense(1)(h), "raw": h})
    assert model.input_names == ["left", "right"]
    assert model.output_names == ["sum", "raw"]
    assert model.output_shape == {"sum": (None, 1), "raw": (None, 3)}
    assert set(model.output) == {"sum", "raw"}
    rows = X[:, 0]
    data = {"right": rows, "left": rows}
    model.save(tmp_path / "m.safetensors")
    for same in (
        model,
        chainrule.models.load_model(tmp_path / "m.safetensors"),
        chainrule.models.clone_model(model),
    ):
        for outputs in (
            same.predict(data, verbose=0),
            same.predict([rows, rows], batch_size=4, verbose=0),
            same.predict_on_batch(data),
            same(data),
            same([rows, rows]),
            same([rows, rows], training=True),
        ):
            assert {k: v.shape for k, v in outputs.items()} == {"sum": (6, 1), "raw": (6, 3)}
    assert set(model([a, b])) == {"sum", "raw"}
    one = chainrule.Model(a, {"only": h[:, :1] * 1.0 if False else layers.Dense(2)(a)})
    assert list(one.predict(rows, verbose=0)) == ["only"]
    model.compile("sgd", {"sum": "mse", "raw": "mae"}, metrics={"raw": ["mse"]})
    logs = model.evaluate(data, {"sum": rows[:, :1], "raw": rows}, verbose=0, return_dict=True)
    assert set(logs) == {"loss", "sum_loss", "raw_loss", "raw_mse"}
    with pytest.raises(ValueError, match="have texts as keys"):
        chainrule.Model(a, {1: a + 1.0})


# --- arguments ------------------------------------------------------------------------------------


def test_numpy_integers_are_sizes():
    for kind in (np.uint8, np.uint32, np.uint64, np.int16, np.int64):
        layer = layers.Dense(kind(3))
        assert layer.units == 3
        assert layer(chainrule.Input((kind(4), kind(5)))).shape == (None, 4, 3)
        assert chainrule.Input(kind(4)).shape == (None, 4)
    assert chainrule.Input(np.array([2, 3])).shape == (None, 2, 3)
    assert layers.Reshape(np.array([3, 4], "uint8"))(X).shape == (6, 3, 4)

    class Sized(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight((np.uint8(3), np.int64(2)), name="w")

        def call(self, x):
            return x @ self.w

    assert Sized()(X).shape == (6, 4, 2)


def test_a_call_that_trains_checks_its_input_as_others_do():
    model = chainrule.Sequential(
        [chainrule.Input((3,)), layers.Dropout(0.5), layers.Dense(1)], name="mine"
    )
    for bad in (np.ones((2, 5)), np.ones((2, 3, 3)), np.ones(()), [np.ones((2, 3))] * 2):
        for training in (False, True):
            with pytest.raises(ValueError, match="Received"):
                model(bad, training=training)
    assert model(np.ones((2, 3)), training=True).shape == (2, 1)
    column = chainrule.Sequential([chainrule.Input((1,)), layers.Dense(2)])
    np.testing.assert_array_equal(column(np.ones(4), training=True), column(np.ones(4)))


def test_masked_arrays_are_refused():
    masked = np.ma.masked_array(np.ones((6, 3), "float32"), mask=np.eye(6, 3, dtype=bool))
    rows, target = X[:, 0], np.ones((6, 1), "float32")
    weight = np.ma.masked_array(np.ones(6), mask=[1, 0, 0, 0, 0, 0])
    model = chainrule.Sequential([chainrule.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    kernel = np.ma.masked_array(np.ones((3, 1)), mask=np.ones((3, 1), bool))
    for use in (
        lambda: model.fit(masked, target, verbose=0),
        lambda: model.fit(rows, masked[:, :1], verbose=0),
        lambda: model.fit(rows, target, sample_weight=weight, verbose=0),
        lambda: model.fit(rows, target, validation_data=(masked, target), verbose=0),
        lambda: model.evaluate(masked, target, verbose=0),
        lambda: model.predict(masked, verbose=0),
        lambda: model.predict_on_batch(masked),
        lambda: model.train_on_batch(masked, target),
        lambda: model.test_on_batch(rows, target, sample_weight=weight),
        lambda: model.fit(list(masked), target, verbose=0),
        lambda: model.predict(list(masked), verbose=0),
        lambda: model.predict_on_batch(tuple(masked)),
        lambda: model(masked),
        lambda: model(masked, training=True),
        lambda: layers.Dense(2)(masked),
        lambda: ops.exp(masked),
        lambda: ops.add(rows, masked),
        lambda: ops.stack([rows, masked]),
        lambda: ops.sum(list(masked)),
        lambda: model.set_weights([kernel, np.zeros(1)]),
        lambda: model.layers[0].set_weights([kernel, np.zeros(1)]),
        lambda: model.layers[0].kernel.assign(kernel),
        lambda: chainrule.losses.MeanSquaredError()(rows, masked),
        lambda: chainrule.Input((3,)) * masked[0],
    ):
        with pytest.raises(ValueError, match="masks are not read"):
            use()


# --- dropout --------------------------------------------------------------------------------------


def test_every_call_draws_another_mask():
    x = np.ones((4, 64), "float32")

    def draws(layer, count=4):
        return [layer(x, training=True) for _ in range(count)]

    def all_differ(arrays):
        return len({a.tobytes() for a in arrays}) == len(arrays)

    chainrule.utils.set_random_seed(1)
    seeded, free = draws(layers.Dropout(0.5, seed=7)), draws(layers.Dropout(0.5))
    assert all_differ(seeded)
    assert all_differ(free)
    # The seed alone decides, and set_random_seed() decides for layers without one.
    np.testing.assert_array_equal(seeded, draws(layers.Dropout(0.5, seed=7)))
    assert all_differ([*seeded, *draws(layers.Dropout(0.5, seed=8))])
    chainrule.utils.set_random_seed(1)
    draws(layers.Dropout(0.5, seed=7))
    np.testing.assert_array_equal(free, draws(layers.Dropout(0.5)))

    model = chainrule.Sequential([chainrule.Input((64,)), layers.Dropout(0.5, seed=7)])
    assert all_differ(draws(model))

    class Twice(layers.Layer):
        def __init__(self):
            super().__init__()
            self.drop = layers.Dropout(0.5, seed=3)

        def call(self, inputs):
            return self.drop(inputs) + 10.0 * self.drop(inputs)

    outputs = draws(Twice())
    assert all_differ(outputs)
    assert len(np.unique(outputs[0])) == 4  # two masks in one call


def test_noise_shape_with_none():
    x = np.ones((8, 32), "float32")
    y = layers.Dropout(0.5, noise_shape=(None, 1), seed=1)(x, training=True)
    assert (y == y[:, :1]).all()
    assert len(np.unique(y[:, 0])) == 2
    layer = layers.Dropout(0.5, noise_shape=(None, 1))
    assert layer.noise_shape in ((None, 1), [None, 1])
    again = layers.Dropout.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert layers.Reshape((None, 2))(x).shape == (8, 16, 2)
