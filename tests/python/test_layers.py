"""What every layer owes its users, and the classes that are made from the catalog."""

import inspect

import numpy as np
import pytest

import chainrule
from chainrule import layers

# Class -> arguments and shapes of inputs.
EXAMPLES = {
    "Dense": ({"units": 3, "activation": "tanh"}, [(4, 5)]),
    "Activation": ({"activation": "relu"}, [(4, 5)]),
    "Flatten": ({}, [(4, 2, 3)]),
    "Reshape": ({"target_shape": (3, 2)}, [(4, 6)]),
    "Permute": ({"dims": (2, 1)}, [(4, 2, 3)]),
    "Dropout": ({"rate": 0.5}, [(4, 5)]),
    "Masking": ({"mask_value": 1.5}, [(4, 3, 2)]),
    "Add": ({}, [(4, 5), (4, 5)]),
    "Subtract": ({}, [(4, 5), (4, 5)]),
    "Multiply": ({}, [(4, 5), (4, 5)]),
    "Average": ({}, [(4, 5), (4, 5)]),
    "Maximum": ({}, [(4, 5), (4, 5)]),
    "Minimum": ({}, [(4, 5), (4, 5)]),
    "Concatenate": ({}, [(4, 5), (4, 2)]),
}
NO_LAYERS = {"Layer", "Input", "InputLayer", "serialize", "deserialize"}
FUNCTIONS = {"Lambda", "Operation"}  # functions as layers: test_symbols.py


def inputs_of(shapes):
    random = np.random.default_rng(0)
    return [random.standard_normal(shape).astype("float32") for shape in shapes]


def one_or_list(values):
    return values[0] if len(values) == 1 else values


def test_every_layer_has_an_example():
    assert set(EXAMPLES) == set(layers.__all__) - NO_LAYERS - FUNCTIONS


@pytest.mark.parametrize("name", EXAMPLES)
def test_contract(name):
    config, shapes = EXAMPLES[name]
    cls = getattr(layers, name)
    layer = cls(**config)
    assert isinstance(layer, layers.Layer)
    assert type(layer) is cls
    assert layer.name.startswith(chainrule._core.snake_case(name))

    # Eager, symbolic and predicted outputs have the same shape; the last two the same values.
    arrays = inputs_of(shapes)
    eager = layer(one_or_list(arrays))
    symbols = [layers.Input(shape[1:]) for shape in shapes]
    output = layer(one_or_list(symbols))
    assert output.shape == (None, *eager.shape[1:])
    model = chainrule.Model(symbols, output)
    np.testing.assert_array_equal(model.predict(one_or_list(arrays), verbose=0), eager)
    assert layer.compute_output_shape(one_or_list([(None, *s[1:]) for s in shapes])) == output.shape
    assert layer.count_params() == sum(w.numpy().size for w in layer.weights)

    # The configuration makes an equal layer.
    again = cls.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert type(layers.deserialize(layers.serialize(layer))) is cls

    # One training step changes exactly the trainable weights.
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.train_on_batch(one_or_list(arrays), np.ones_like(eager))
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert all(changed)

    # frozen, none is.
    layer.trainable = False
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == len(layer.weights)


def test_signature_and_docstring_come_from_the_fields():
    parameters = inspect.signature(layers.Dense).parameters
    assert list(parameters)[:3] == ["units", "activation", "use_bias"]
    assert parameters["units"].default is inspect.Parameter.empty
    assert parameters["kernel_initializer"].default == "glorot_uniform"
    assert "units: Length of the last axis" in layers.Dense.__doc__


def test_arguments_by_position_and_attributes():
    layer = layers.Dense(3, "relu", name="mine")
    assert (layer.units, layer.use_bias, layer.name) == (3, True, "mine")
    assert layer.activation is chainrule.activations.relu
    assert isinstance(layer.kernel_initializer, chainrule.initializers.GlorotUniform)
    assert repr(layer).startswith("Dense(units=3, activation='relu'")
    assert (
        layers.Dense(2, kernel_initializer=chainrule.initializers.Constant(2.0))(np.ones((1, 3)))[
            0, 0
        ]
        == 6.0
    )


def test_weights_by_name():
    layer = layers.Dense(3)
    layer(np.ones((1, 2)))
    assert layer.kernel.shape == (2, 3)
    assert [w.name for w in layer.weights] == ["kernel", "bias"]
    layer.set_weights([np.full((2, 3), 2.0), np.ones(3)])
    np.testing.assert_array_equal(layer(np.ones((1, 2))), [[5.0, 5.0, 5.0]])
    layer.bias.assign(np.zeros(3))
    np.testing.assert_array_equal(np.asarray(layer.bias), [0, 0, 0])
    with pytest.raises(ValueError, match=r"the shape must be \(2, 3\) for weight 'dense.*/kernel'"):
        layer.set_weights([np.ones((3, 2)), np.ones(3)])
    with pytest.raises(AttributeError, match="no attribute 'gamma'"):
        _ = layer.gamma


def test_identity_and_class_survive():
    dense = layers.Dense(3)
    model = chainrule.Sequential([layers.Input((2,)), dense, layers.Dropout(0.5)])
    assert model.layers[0] is dense
    del dense
    assert type(model.layers[0]) is layers.Dense
    assert type(model.layers[1]) is layers.Dropout


def test_dropout_follows_training():
    chainrule.utils.set_random_seed(3)
    x = np.ones((50, 40), "float32")
    layer = layers.Dropout(0.25)
    np.testing.assert_array_equal(layer(x), x)
    dropped = layer(x, training=True)
    assert 0.2 < np.mean(dropped == 0) < 0.3
    np.testing.assert_allclose(dropped[dropped != 0], 1 / 0.75)
    assert not np.array_equal(dropped, layer(x, training=True))


def test_symbols_add_subtract_multiply():
    a, b = layers.Input((3,)), layers.Input((3,))
    model = chainrule.Model([a, b], [a + b, a - b, a * b])
    x, y = inputs_of([(2, 3), (2, 3)])
    for actual, expected in zip(
        model.predict([x, y], verbose=0), (x + y, x - y, x * y), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


def test_classes_of_the_catalog_are_complete():
    with pytest.raises(TypeError, match="Dense cannot be derived from: derive from layers.Layer"):
        type("Mine", (layers.Dense,), {})


def test_automatic_names_start_again():
    chainrule.utils.clear_session()
    assert [layers.Dense(1).name, layers.Dense(1).name] == ["dense", "dense_1"]
    chainrule.backend.clear_session()
    assert layers.Dense(1).name == "dense"


def test_activation_functions_as_arguments():
    x = np.array([[-1.0, 2.0]], "float32")
    np.testing.assert_array_equal(layers.Activation(chainrule.activations.relu)(x), [[0, 2]])
    np.testing.assert_array_equal(layers.Activation(chainrule.ops.relu)(x), [[0, 2]])

    def doubled(value):
        return value * 2.0

    layer = layers.Activation(doubled)
    np.testing.assert_array_equal(layer(x), [[-2, 4]])
    assert layer.get_config()["activation"] == "doubled"
    for wrong in (3, layers.Dense):
        with pytest.raises(ValueError, match="an activation is a name or a function"):
            layers.Activation(wrong)
