"""What there must be after the additions of tests/additions.py, with no other line changed."""

import inspect

import numpy as np
import pytest

import chainrule as cr
from chainrule import activations, initializers, layers, losses, metrics, ops, optimizers

X = np.linspace(-2, 2, 12, dtype="float32").reshape(4, 3)


def test_an_element_wise_op():
    np.testing.assert_allclose(ops.cube(X), X**3, rtol=1e-6)
    assert str(inspect.signature(ops.cube)) == "(x: 'Tensor') -> 'Any'"
    assert ops.cube.__doc__.startswith("x to the power 3. Element-wise.")
    with pytest.raises(TypeError, match=r"\[cube\] .*'y'"):
        ops.cube(y=1.0)
    symbol = cr.Input((3,))
    np.testing.assert_allclose(
        cr.Model(symbol, ops.cube(symbol)).predict(X, verbose=0), X**3, rtol=1e-6
    )
    (dx,), _ = cr.utils.gradients_of(layers.Lambda(ops.cube), X, np.ones_like(X))
    np.testing.assert_allclose(dx, 3 * X**2, rtol=1e-6)


def test_another_op():
    np.testing.assert_allclose(ops.cumsum(X), np.cumsum(X, -1), rtol=1e-6)
    np.testing.assert_allclose(ops.cumsum(X, exclusive=True), np.cumsum(X, -1) - X, atol=1e-6)
    assert str(inspect.signature(ops.cumsum)) == "(x: 'Tensor', exclusive: 'bool' = False) -> 'Any'"
    assert "exclusive: Whether the element itself is left out. Default: False." in (
        ops.cumsum.__doc__
    )
    with pytest.raises(TypeError, match=r"\[cumsum\] .*Did you mean 'exclusive'"):
        ops.cumsum(X, exclusiv=True)
    with pytest.raises(TypeError, match=r"\[cumsum\] exclusive must be True or False"):
        ops.cumsum(X, exclusive="x")


def test_a_function_of_ops_and_an_activation():
    other = X[::-1] * 2
    np.testing.assert_allclose(ops.logaddexp(X, other), np.logaddexp(X, other), rtol=1e-6)
    np.testing.assert_allclose(activations.lisht(X), X * np.tanh(X), rtol=1e-6)
    np.testing.assert_allclose(layers.Activation("lisht")(X), X * np.tanh(X), rtol=1e-6)


def test_a_metric_and_an_initializer():
    metric = metrics.get("log_cosh_error")
    metric.update_state(X, X + 1)
    np.testing.assert_allclose(metric.result(), np.log(np.cosh(1)), rtol=1e-5)
    np.testing.assert_array_equal(initializers.get("half")((2, 3)), np.full((2, 3), 0.5))


def test_an_instruction_set():
    assert "sse4" in cr._core.info()["instruction_sets"]


def test_a_layer_a_loss_an_optimizer(tmp_path):
    np.testing.assert_allclose(
        layers.UnitNormalization()(X), X / np.linalg.norm(X, axis=-1, keepdims=True), rtol=1e-5
    )
    with pytest.raises(ValueError, match=r"\[UnitNormalization\] .*Did you mean 'axis'"):
        layers.UnitNormalization(axes=1)
    np.testing.assert_allclose(losses.log_cosh(X, X + 1), np.log(np.cosh(1)), rtol=1e-5)
    with pytest.raises(ValueError, match=r"beta_1.*\[0, 1\)"):
        optimizers.Lion(beta_1=2.0)
    symbol = cr.Input((3,))
    hidden = ops.cumsum(ops.cube(layers.UnitNormalization()(layers.Dense(4)(symbol))))
    model = cr.Model(symbol, layers.Dense(1)(hidden))
    model.compile(optimizers.Lion(0.01), losses.LogCosh())
    y = X[:, :1]
    history = model.fit(X, y, epochs=30, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "model.safetensors")
    again = cr.models.load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
