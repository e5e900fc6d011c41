"""Masks: layers of one's own with them, what is refused, files and copies of models with them. What
Keras computes with them is in test_golden.py."""

import copy
import pickle

import numpy as np
import pytest

import chainrule
from chainrule import layers, ops, utils

RNG = np.random.default_rng(4)
COUNTS = RNG.uniform(size=(6, 5)) < 0.6
X = (RNG.standard_normal((6, 5, 3)) * COUNTS[..., None]).astype("float32")
Y = RNG.standard_normal((6, 5, 2)).astype("float32")
LOST = "the mask of the input would be lost"


def masked():
    x = chainrule.Input((None, 3))
    return x, layers.Masking()(x)


def predicted(x, y):
    return chainrule.Model(x, y).predict(X, verbose=0)


class MaskOf(layers.Layer):
    """Its mask as numbers, -1 where there is none."""

    def call(self, inputs, mask=None):
        first = inputs[0] if isinstance(inputs, list) else inputs
        if mask is None:
            return first[..., 0] * 0.0 - 1.0
        return ops.cast(mask, "float32")


def mean_of_steps(x, mask=None):
    counts = np.ones((1, 1, 1)) if mask is None else ops.cast(mask[..., None], x.dtype)
    return ops.sum(x * counts, axis=1) / ops.sum(counts, axis=1)


def no_mask(inputs, previous_mask):
    return None


def as_it_is(inputs):
    return inputs


# --- layers of one's own


def test_a_call_gets_the_mask():
    x, h = masked()
    np.testing.assert_array_equal(predicted(x, MaskOf()(h)), COUNTS)
    np.testing.assert_array_equal(predicted(x, MaskOf()(layers.Dense(4)(h))), COUNTS)
    np.testing.assert_array_equal(predicted(x, MaskOf()(x)), -np.ones((6, 5)))

    class Several(layers.Layer):
        def call(self, a, b, b_mask=None, mask=None):
            assert mask is None
            return ops.cast(b_mask, "float32")

    np.testing.assert_array_equal(predicted(x, Several()(x, h)), COUNTS)
    with pytest.raises(ValueError, match=rf"\[Several\] {LOST}"):
        Several()(h, h)  # which takes no a_mask

    class Listed(layers.Layer):
        def call(self, inputs, mask=None):
            assert mask[1] is None
            return ops.cast(mask[0], "float32")

    np.testing.assert_array_equal(predicted(x, Listed()([h, x])), COUNTS)


def test_a_model_in_call_passes_masks_on():
    class Inner(layers.Layer):
        def __init__(self):
            super().__init__()
            self.model = chainrule.Sequential(
                [chainrule.Input((None, 3)), layers.Masking(), layers.Dense(2)]
            )
            self.mask_of = MaskOf()

        def call(self, inputs):
            return self.mask_of(self.model(inputs))

    np.testing.assert_array_equal(Inner()(X), COUNTS)


def test_a_mask_may_be_given():
    x = chainrule.Input((5, 3))
    m = chainrule.Input((5,), dtype="bool")
    model = chainrule.Model([x, m], MaskOf()(x, mask=m))
    np.testing.assert_array_equal(model.predict([X, COUNTS], verbose=0), COUNTS)
    np.testing.assert_array_equal(MaskOf()(X, mask=COUNTS), COUNTS)


def test_supports_masking_passes_it_on():
    class Twice(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.supports_masking = True

        def call(self, inputs):
            return inputs * 2.0

    x, h = masked()
    assert Twice().supports_masking
    np.testing.assert_array_equal(predicted(x, MaskOf()(Twice()(h))), COUNTS)
    with pytest.raises(TypeError, match="supports_masking"):
        Twice().supports_masking = 1.5


def test_compute_mask_says_what_becomes_of_it():
    class EverySecond(layers.Layer):
        def call(self, inputs):
            return inputs[:, ::2]

        def compute_mask(self, inputs, previous_mask=None):
            return None if previous_mask is None else previous_mask[:, ::2]

    class Halves(layers.Layer):
        def call(self, inputs):
            return ops.split(inputs, 3, axis=-1)

        def compute_mask(self, inputs, previous_mask=None):
            return [previous_mask, None, ops.logical_not(previous_mask)]

    x = chainrule.Input((5, 3))
    h = layers.Masking()(x)
    np.testing.assert_array_equal(predicted(x, MaskOf()(EverySecond()(h))), COUNTS[:, ::2])
    a, b, c = (predicted(x, MaskOf()(part)) for part in Halves()(h))
    np.testing.assert_array_equal(a, COUNTS)
    np.testing.assert_array_equal(b, -np.ones((6, 5)))
    np.testing.assert_array_equal(c, ~COUNTS)


def test_layers_inside_pass_masks_on():
    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.masking, self.dense = layers.Masking(), layers.Dense(4)

        def call(self, inputs):
            return self.dense(self.masking(inputs))

    x, h = masked()
    np.testing.assert_array_equal(predicted(x, MaskOf()(Block()(x))), COUNTS)
    np.testing.assert_array_equal(predicted(x, MaskOf()(Block()(h))), COUNTS)

    class Flat(layers.Layer):
        def __init__(self):
            super().__init__()
            self.flatten = layers.Flatten()

        def call(self, inputs, mask=None):
            return self.flatten(inputs)

    with pytest.raises(ValueError, match=rf"\[Flatten\] {LOST}"):
        Flat()(layers.Masking()(chainrule.Input((5, 3))))


def test_a_loss_in_call_takes_the_mask_of_the_predictions():
    class LossOf(layers.Layer):
        def __init__(self, **config):
            super().__init__()
            self.masking = layers.Masking()
            self.loss = chainrule.losses.MeanSquaredError(**config)

        def call(self, inputs):
            target, predictions = inputs
            return self.loss(target, self.masking(predictions))

    target = RNG.standard_normal(X.shape).astype("float32")
    each = np.mean((X - target) ** 2, axis=-1)
    assert LossOf()([target, X]) == pytest.approx(each[COUNTS].mean(), rel=1e-5)
    np.testing.assert_allclose(LossOf(reduction="none")([target, X]), each * COUNTS, rtol=1e-5)


def test_compute_mask_of_arrays_and_values():
    np.testing.assert_array_equal(layers.Masking().compute_mask(X, None), COUNTS)
    np.testing.assert_array_equal(layers.Dense(2).compute_mask(X, COUNTS), COUNTS)
    assert layers.Dense(2).compute_mask(X, None) is None
    both = layers.Add().compute_mask([X, X], [COUNTS, ~COUNTS])
    np.testing.assert_array_equal(both, np.ones((6, 5), bool))
    with pytest.raises(ValueError, match=LOST):
        layers.Flatten().compute_mask(X, COUNTS)

    class Inside(layers.Layer):
        def __init__(self):
            super().__init__()
            self.masking = layers.Masking()

        def call(self, inputs):
            return ops.cast(self.masking.compute_mask(inputs), "float32")

    np.testing.assert_array_equal(Inside()(X), COUNTS)


# --- Lambda


def test_lambda_uses_and_ends_masks(tmp_path):
    x = chainrule.Input((5, 3))
    h = layers.Masking()(x)
    with pytest.raises(ValueError, match=rf"\[Lambda\] {LOST}"):
        layers.Lambda(lambda inputs: inputs * 2.0)(h)
    np.testing.assert_array_equal(predicted(x, MaskOf()(layers.Lambda(as_it_is)(h))), COUNTS)
    expected = (X * COUNTS[..., None]).sum(1) / COUNTS.sum(1, keepdims=True)
    np.testing.assert_allclose(predicted(x, layers.Lambda(mean_of_steps)(h)), expected, rtol=1e-5)

    ended = layers.Lambda(as_it_is, mask=no_mask)(h)
    model = chainrule.Model(x, layers.Flatten()(ended))
    flat = model.predict(X, verbose=0)
    np.testing.assert_array_equal(flat, X.reshape(6, -1))
    model.save(tmp_path / "model.safetensors")
    functions = {"as_it_is": as_it_is, "no_mask": no_mask}
    loaded = chainrule.models.load_model(tmp_path / "model.safetensors", functions)
    copies = [loaded, chainrule.models.clone_model(model), copy.deepcopy(model)]
    copies.append(pickle.loads(pickle.dumps(model)))
    for each in copies:
        np.testing.assert_array_equal(each.predict(X, verbose=0), flat)
        assert each.layers[2].mask is no_mask
    with pytest.raises(ValueError, match="the function 'no_mask' is needed"):
        chainrule.models.load_model(tmp_path / "model.safetensors", {"as_it_is": as_it_is})
    unnamed = chainrule.Model(x, layers.Lambda(as_it_is, mask=lambda inputs, mask: mask)(h))
    np.testing.assert_array_equal(predicted(x, MaskOf()(unnamed.output)), COUNTS)
    with pytest.raises(ValueError, match="the function has no name"):
        unnamed.save(tmp_path / "unnamed.safetensors")
    with pytest.raises(TypeError, match="mask must be a function"):
        layers.Lambda(as_it_is, mask=3)


# --- what is refused


def test_a_lost_mask_is_an_error_that_names_the_layer():
    class Own(layers.Layer):
        def call(self, inputs):
            return inputs * 2.0

    _, h = masked()
    x = chainrule.Input((5, 3))
    for lose, name in [
        (lambda: layers.Flatten(name="flat")(layers.Masking()(x)), "flat"),
        (lambda: layers.Permute((2, 1), name="turn")(h), "turn"),
        (lambda: Own(name="own")(h), "own"),
        (lambda: h * 2.0, "multiply"),
        (lambda: ops.tanh(h), "tanh"),
    ]:
        with pytest.raises(ValueError, match=rf"{LOST}.*layer='{name}"):
            lose()


def test_what_is_no_mask_is_refused():
    class Own(layers.Layer):
        def __init__(self, make):
            super().__init__()
            self.make = make

        def call(self, inputs):
            return inputs

        def compute_mask(self, inputs, previous_mask=None):
            return self.make(previous_mask)

    _, h = masked()
    with pytest.raises(ValueError, match=r"\[Own\] a mask must have the shape.*layer='own"):
        Own(lambda mask: mask[:, :1])(h)
    with pytest.raises(ValueError, match=r"\[Own\] a mask must be boolean"):
        Own(lambda mask: ops.cast(mask, "float32"))(h)
    with pytest.raises(ValueError, match="one mask, or none, for each output"):
        Own(lambda mask: [mask, mask])(h)


def test_masks_of_layers_of_the_engine_are_their_own():
    with pytest.raises(TypeError, match="compute_mask cannot be set"):
        layers.Flatten().compute_mask = lambda inputs, mask: None
    with pytest.raises(RuntimeError, match="only layers written in Python"):
        layers.Flatten().supports_masking = True
    with pytest.raises(TypeError, match=r"compute_mask\(\) cannot be overridden"):
        type("Own", (chainrule.Model,), {"compute_mask": lambda self, inputs, mask: None})
    model = chainrule.Sequential([chainrule.Input((4,)), layers.Dense(2)])
    with pytest.raises(TypeError, match="compute_mask cannot be set"):
        model.compute_mask = None
    assert layers.Dense(2).supports_masking
    assert layers.Masking().supports_masking
    assert not layers.Flatten().supports_masking


# --- models


def sequence_model():
    utils.set_random_seed(2)
    model = chainrule.Sequential(
        [
            chainrule.Input((None, 3)),
            layers.Masking(mask_value=0.0),
            layers.Dense(4, activation="tanh"),
            layers.Dropout(0.2),
            layers.Dense(2),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


class TwoOutputs(layers.Layer):
    def __init__(self, masks):
        super().__init__(name="two")
        self.masks = masks

    def call(self, inputs):
        return [inputs * 1.0, inputs * 2.0]

    def compute_mask(self, inputs, previous_mask=None):
        return self.masks(previous_mask)


def test_there_is_a_mask_or_none_for_each_output():
    x, h = masked()
    first, second = TwoOutputs(lambda mask: [None, mask])(h)
    np.testing.assert_array_equal(predicted(x, MaskOf()(first)), -np.ones((6, 5)))
    np.testing.assert_array_equal(predicted(x, MaskOf()(second)), COUNTS)
    for none in (TwoOutputs(lambda mask: None)(h), TwoOutputs(lambda mask: [None, None])(h)):
        assert np.all(predicted(x, MaskOf()(none[0])) == -1)
    for masks in (lambda mask: mask, lambda mask: [mask], lambda mask: [None]):
        with pytest.raises(
            ValueError, match="must be one mask, or none, for each output"
        ) as caught:
            TwoOutputs(masks)(h)
        assert "masks=1, outputs=2, layer='two'" in str(caught.value)


class NoMask(layers.Layer):
    """Keeps its mask in inference, where it returns its input."""

    def call(self, inputs, training=None):
        return inputs * 2 if training else inputs


class UsesMask(layers.Layer):
    def call(self, inputs, training=None, mask=None):
        return inputs * 2 if training else inputs


class Outer(layers.Layer):
    def __init__(self, inner):
        super().__init__()
        self.masking, self.inner = layers.Masking(), inner

    def call(self, inputs):
        return self.inner(self.masking(inputs))


def test_a_layer_that_loses_its_mask_in_training_is_refused_when_it_is_applied():
    x, h = masked()
    with pytest.raises(ValueError, match=r"^\[NoMask\] " + LOST + " in training") as caught:
        NoMask(name="noise")(h)
    assert "layer='noise'" in str(caught.value)
    rule = r"^\[UsesMask\] the mask of an output would be lost: a layer that gives it in inference"
    with pytest.raises(ValueError, match=rule) as caught:
        UsesMask(name="noise")(h)
    assert "layer='noise'" in str(caught.value)
    with pytest.raises(ValueError, match=LOST + " in training"):
        Outer(NoMask())(x)
    with pytest.raises(ValueError, match="the mask of an output would be lost"):
        Outer(UsesMask())(x)
    NoMask()(x)  # no mask, nothing to lose
    noise = UsesMask()
    noise.supports_masking = True
    model = chainrule.Model(x, noise(h))
    model.compile("sgd", "mse")
    counted = (2 * X - Y[..., :1])[COUNTS] ** 2
    y = np.repeat(Y[..., :1], 3, axis=-1)
    history = model.fit(X, y, batch_size=6, verbose=0).history
    assert history["loss"][0] == pytest.approx(counted.mean(), rel=1e-5)


def test_an_input_that_is_returned_keeps_its_mask():
    x, h = masked()

    class Same(layers.Layer):
        def call(self, inputs):
            return inputs

    np.testing.assert_array_equal(predicted(x, MaskOf()(Same()(h))), COUNTS)
    np.testing.assert_array_equal(predicted(x, MaskOf()(layers.Lambda(as_it_is)(h))), COUNTS)


def test_evaluate_counts_only_what_counts():
    model = sequence_model()
    error = np.abs(model.predict(X, verbose=0) - Y)
    logs = model.evaluate(X, Y, batch_size=6, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx((error**2)[COUNTS].mean(), rel=1e-5)
    assert logs["mae"] == pytest.approx(error[COUNTS].mean(), rel=1e-5)
    logs = model.test_on_batch(X, Y, return_dict=True)
    assert logs["mae"] == pytest.approx(error[COUNTS].mean(), rel=1e-5)


def test_saved_models_go_on_as_before(tmp_path):
    models = [sequence_model()]
    models[0].fit(X, Y, epochs=2, verbose=0)
    models[0].save(tmp_path / "model.safetensors")
    models.append(chainrule.models.load_model(tmp_path / "model.safetensors"))
    models.append(pickle.loads(pickle.dumps(models[0])))
    losses = [model.fit(X, Y, epochs=2, verbose=0).history["loss"] for model in models]
    assert losses[0] == losses[1] == losses[2]
    clone = chainrule.models.clone_model(models[0])
    clone.set_weights(models[0].get_weights())
    clone.compile("adam", "mse")
    np.testing.assert_array_equal(clone(X), models[0](X))
    assert clone.evaluate(X, Y, verbose=0) == models[0].evaluate(X, Y, verbose=0)[0]


def test_a_model_inside_passes_masks_on():
    inside = chainrule.Input((None, 4))
    inner = chainrule.Model(inside, [layers.Dense(2)(inside), layers.Activation("tanh")(inside)])
    shared = layers.Dense(4)
    x, h = masked()
    for part in inner(shared(shared_input := layers.Dense(4)(h))):
        np.testing.assert_array_equal(predicted(x, MaskOf()(part)), COUNTS)
    np.testing.assert_array_equal(predicted(x, MaskOf()(shared(shared_input))), COUNTS)
    for part in inner(layers.Dense(4)(x)):
        np.testing.assert_array_equal(predicted(x, MaskOf()(part)), -np.ones((6, 5)))
