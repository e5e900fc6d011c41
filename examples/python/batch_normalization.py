"""A layer that keeps state, in Python: batch normalization, used twice in one model.

    python batch_normalization.py

In training the layer normalises by the mean and variance of the batch, and keeps moving averages of
them in non-trainable weights. In inference it normalises by the moving averages. Whatever reads a
weight after call() has assigned it gets the new value, so the second use of the layer updates the
averages further.
"""

import numpy as np

import chainrule as cr
from chainrule import layers, ops


class BatchNormalization(layers.Layer):
    """Ioffe & Szegedy (2015), with Keras's defaults: (batch, ..., n) -> (batch, ..., n)."""

    def __init__(self, momentum=0.99, epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape, initializer="zeros", name="beta")
        self.moving_mean = self.add_weight(
            shape, initializer="zeros", trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            shape, initializer="ones", trainable=False, name="moving_variance"
        )

    def call(self, inputs, training=None):
        if training and self.trainable:  # a frozen layer stays as it is
            axes = tuple(range(inputs.ndim - 1))
            mean, variance = ops.mean(inputs, axis=axes), ops.var(inputs, axis=axes)
            for moving, present in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + present * (1.0 - self.momentum))
        else:
            mean, variance = self.moving_mean, self.moving_variance
        return (inputs - mean) * ops.rsqrt(variance + self.epsilon) * self.gamma + self.beta

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}


def pairs(images, labels, count, seed):
    """Pairs of images, and whether the digit on the left is the larger one."""
    random = np.random.default_rng(seed)
    left, right = random.integers(len(images), size=(2, count))
    larger = (labels[left] > labels[right]).astype("float32")
    return [images[left], images[right]], larger[:, None]


cr.utils.set_random_seed(3)
(x_train, y_train), (x_test, y_test) = cr.datasets.digits.load_data()
x_train = x_train.reshape(-1, 64).astype("float32")  # pixels from 0 to 16, not scaled
x_test = x_test.reshape(-1, 64).astype("float32")

# Both images go through the same layers, so the averages are over both sides.
norm = BatchNormalization(momentum=0.9)
hidden = layers.Dense(64, activation="relu")
left, right = cr.Input((64,)), cr.Input((64,))
both = layers.Concatenate()([hidden(norm(left)), hidden(norm(right))])
score = layers.Dense(1)(layers.Dense(64, activation="relu")(both))
model = cr.Model([left, right], score)
model.compile("adam", cr.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
model.summary()

x, y = pairs(x_train, y_train, 20_000, seed=0)
model.fit(x, y, batch_size=64, epochs=8, verbose=2)

# The moving averages have come near the mean and variance of the pixels.
print("Largest error of the moving mean:", abs(norm.moving_mean.numpy() - x_train.mean(0)).max())
error = abs(norm.moving_variance.numpy() - x_train.var(0)) / (1 + x_train.var(0))
print("Largest error of the moving variance, relative:", error.max())
assert error.max() < 0.5

x, y = pairs(x_test, y_test, 4_000, seed=1)
loss, accuracy = model.evaluate(x, y, verbose=0)
print(f"The larger of two held-out digits is found in {100 * accuracy:.1f} % of the pairs")
assert accuracy >= 0.95

# A pair alone gives the same prediction as among others: in inference the averages are fixed.
alone = model.predict([x[0][:1], x[1][:1]], verbose=0)
assert np.allclose(alone, model.predict(x, verbose=0)[:1], atol=1e-5)

model.save("larger.safetensors")
loaded = cr.models.load_model(
    "larger.safetensors", custom_objects={"BatchNormalization": BatchNormalization}
)
assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
