"""Sequential and functional models: structure, sharing, nesting, several inputs and outputs."""

import json

import numpy as np
import pytest

import chainrule
from chainrule import layers, models

RANDOM = np.random.default_rng(0)


def array(*shape):
    return RANDOM.standard_normal(shape).astype("float32")


def test_layers_are_found_by_name_and_index():
    model = chainrule.Sequential(
        [layers.Input((2,)), layers.Dense(3, name="a"), layers.Dense(4, name="b")]
    )
    assert model.get_layer("b") is model.layers[1] is model.get_layer(index=-1)
    assert model.get_layer(index=0) is model.get_layer("a")
    for index in (2, -3, 2**40):
        with pytest.raises(ValueError, match=rf"the model has 2 layers\. Received: index={index}"):
            model.get_layer(index=index)
    with pytest.raises(ValueError, match="there is no layer 'c'"):
        model.get_layer("c")


def test_sequential_grows_and_shrinks():
    model = chainrule.Sequential(name="chain")
    model.add(layers.Input((4,)))
    model.add(layers.Dense(3, name="first"))
    model.add(layers.Dense(2, name="second"))
    assert (model.name, model.input_shape, model.output_shape) == ("chain", (None, 4), (None, 2))
    assert [layer.name for layer in model.layers] == ["first", "second"]
    assert model.get_layer("second") is model.layers[1]
    assert model.get_layer(index=-1) is model.layers[1]
    assert model.pop().name == "second"
    assert model.output_shape == (None, 3)
    assert isinstance(model, chainrule.Model)
    assert isinstance(model, layers.Layer)
    with pytest.raises(ValueError, match=r"no layer 'frist'.*Did you mean 'first'"):
        model.get_layer("frist")


def test_sequential_without_input_waits_for_a_shape():
    model = chainrule.Sequential([layers.Dense(3), layers.Dense(2)])
    assert not model.built
    with pytest.raises(RuntimeError, match="the model has no shape yet"):
        _ = model.output_shape
    model.build((None, 4))
    assert [w.shape for w in model.weights] == [(4, 3), (3,), (3, 2), (2,)]
    seen = chainrule.Sequential([layers.Dense(3)])
    assert seen.predict(array(5, 4), verbose=0).shape == (5, 3)
    called = chainrule.Sequential([layers.Dense(3)])
    assert called(array(5, 4)).shape == (5, 3)


def test_functional_with_several_inputs_and_outputs():
    a, b = layers.Input((4,), name="a"), layers.Input((3,), name="b")
    joined = layers.Concatenate()([a, b])
    model = chainrule.Model(
        [a, b], [layers.Dense(2, name="p")(joined), layers.Dense(1, name="q")(joined)]
    )
    assert model.input_names == ["a", "b"]
    assert model.output_names == ["p", "q"]
    assert model.input_shape == [(None, 4), (None, 3)]
    x = {"b": array(6, 3), "a": array(6, 4)}
    p, q = model.predict(x, verbose=0)
    assert (p.shape, q.shape) == ((6, 2), (6, 1))
    np.testing.assert_array_equal(model.predict([x["a"], x["b"]], verbose=0)[0], p)
    np.testing.assert_allclose(model([x["a"], x["b"]])[1], q, rtol=1e-6)

    model.compile(
        "sgd", {"p": "mse", "q": "mae"}, loss_weights={"p": 2.0, "q": 1.0}, metrics={"q": ["mae"]}
    )
    logs = model.fit(
        x, {"p": p + 1, "q": q + 1}, epochs=1, shuffle=False, batch_size=6, verbose=0
    ).history
    assert set(logs) == {"loss", "p_loss", "q_loss", "q_mae"}
    assert logs["loss"][0] == pytest.approx(3.0, rel=1e-5)
    with pytest.raises(ValueError, match="x must have the keys"):
        model.predict({"a": x["a"]}, verbose=0)
    with pytest.raises(ValueError, match="a list of 2 arrays"):
        model.predict(x["a"], verbose=0)


def test_shared_layers_share_their_weights():
    shared = layers.Dense(3, name="shared")
    a, b = layers.Input((4,)), layers.Input((4,))
    model = chainrule.Model([a, b], layers.Subtract()([shared(a), shared(b)]))
    assert len(model.weights) == 2
    x = array(5, 4)
    np.testing.assert_array_equal(model.predict([x, x], verbose=0), np.zeros((5, 3)))


def test_models_nest():
    inner = chainrule.Sequential([layers.Input((4,)), layers.Dense(3, name="inside")], name="inner")
    x = layers.Input((4,))
    outer = chainrule.Model(x, layers.Dense(2)(inner(x)))
    assert outer.layers[1] is inner
    assert len(outer.weights) == 4
    del inner
    assert type(outer.layers[1]) is chainrule.Sequential
    assert outer.layers[1].layers[0].name == "inside"
    outer.compile("adam", "mse")
    before = outer.get_weights()
    outer.fit(array(8, 4), array(8, 2), verbose=0)
    assert all(not np.array_equal(a, b) for a, b in zip(before, outer.get_weights(), strict=True))


def residual():
    x = layers.Input((4,), name="x")
    h = layers.Dense(4, activation="relu")(x)
    for _ in range(2):
        h = layers.Add()([h, layers.Dense(4)(h)])
    return chainrule.Model(x, layers.Dense(1)(h), name="residual")


@pytest.mark.parametrize(
    "make",
    [
        residual,
        lambda: chainrule.Sequential(
            [layers.Input((4,)), layers.Dense(2, "tanh"), layers.Dense(1)]
        ),
    ],
)
def test_configuration_round_trip(make):
    model = make()
    x = array(3, 4)
    for again in (
        type(model).from_config(model.get_config()),
        models.model_from_json(model.to_json()),
        models.clone_model(model),
    ):
        assert type(again) is type(model)
        assert again.get_config() == model.get_config()
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert json.loads(model.to_json())["class_name"] in ("Functional", "Sequential")


def test_summary_names_layers_and_parameters():
    lines = []
    residual().summary(print_fn=lines.append)
    text = "".join(lines)
    assert "residual" in text
    assert "Dense" in text
    assert "65" in text  # parameters in all


def test_a_model_with_call_is_refused():
    with pytest.raises(TypeError, match="use the functional Model"):
        type("Mine", (chainrule.Model,), {"call": lambda self, x: x})
    with pytest.raises(ValueError, match="inputs and outputs are required"):
        chainrule.Model()


def test_frozen_layers_stay():
    model = chainrule.Sequential(
        [layers.Input((4,)), layers.Dense(3, trainable=False), layers.Dense(1)]
    )
    assert len(model.trainable_weights) == 2
    assert len(model.non_trainable_weights) == 2
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(array(8, 4), array(8, 1), verbose=0)
    same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert same == [True, True, False, False]
