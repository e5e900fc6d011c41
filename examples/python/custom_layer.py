"""A layer, a loss and a metric of your own, in Python.

    python custom_layer.py

call(), the loss and the metric are called with symbolic values when the model is compiled for a
batch size. Their operations become part of the model's graph. Training runs in C++, and gradients
come from the graph.
"""

import numpy as np

import chainrule as cr
from chainrule import layers, ops


class RadialBasis(layers.Layer):
    """exp(-gamma |x - c|^2) for each of some learned centers c: (batch, n) -> (batch, units)."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        # Called once, when the shape of the input is known.
        self.centers = self.add_weight(
            shape=(self.units, input_shape[-1]),
            initializer=cr.initializers.RandomUniform(-1.0, 1.0),
            name="centers",
        )
        self.gamma = self.add_weight(shape=(self.units,), initializer="ones", name="gamma")

    def call(self, inputs):
        # (batch, 1, n) - (units, n) -> (batch, units, n)
        difference = ops.expand_dims(inputs, 1) - self.centers
        return ops.exp(-self.gamma * ops.sum(ops.square(difference), axis=-1))

    def get_config(self):
        # The arguments of __init__, for saving and loading.
        return {**super().get_config(), "units": self.units}


def huber(y_true, y_pred):
    """Squared for small errors, linear for large ones, so outliers count less. One value per
    sample."""
    error = ops.abs(y_true - y_pred)
    small = ops.minimum(error, 0.1)
    return ops.mean(0.5 * small * small + 0.1 * (error - small), axis=-1)


def within_a_tenth(y_true, y_pred):
    """1 for predictions that differ from the target by less than 0.1, else 0."""
    return ops.cast(ops.abs(y_true - y_pred) < 0.1, "float32")


# A surface with noise, and a few targets that are badly wrong.
random = np.random.default_rng(0)
x = random.uniform(-1, 1, size=(4000, 2)).astype("float32")
clean = np.sin(3 * x[:, :1]) * np.cos(2 * x[:, 1:])
y = clean + 0.02 * random.standard_normal(clean.shape)
y[::20] += 3.0
x_train, y_train, x_test, clean_test = x[:3000], y[:3000], x[3000:], clean[3000:]

cr.utils.set_random_seed(1)
model = cr.Sequential([cr.Input((2,)), RadialBasis(40), layers.Dense(1)])
model.compile(optimizer=cr.optimizers.Adam(0.01), loss=huber, metrics=[within_a_tenth])
model.summary()
model.fit(x_train, y_train, epochs=40, verbose=2)

loss, share = model.evaluate(x_test, clean_test, verbose=0)
print(f"Predictions less than 0.1 from the surface: {100 * share:.1f} %")
assert share >= 0.95

# The gradients of the layer agree with finite differences.
layer = RadialBasis(3)
point = np.array([[0.3, -0.2]], "float32")
upstream = np.ones((1, 3), "float32")
(dx,), _ = cr.utils.gradients_of(layer, point, upstream)
step = np.array([[0.01, 0.0]], "float32")
numeric = (layer(point + step) - layer(point - step)).sum() / 0.02
assert abs(dx[0, 0] - numeric) < 1e-3, (dx, numeric)
print(f"Gradient of the layer: {dx[0, 0]:.4f}; by finite differences: {numeric:.4f}")
