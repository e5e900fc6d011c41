"""Training of a network of two layers, in NumPy and float64: what test_float64.py compares with.

The network is tanh(x @ w0 + w1) @ w2 + w3.
"""

from __future__ import annotations

import numpy as np


def forward(weights, x):
    hidden = np.tanh(x @ weights[0] + weights[1])
    return hidden, hidden @ weights[2] + weights[3]


def step(weights, x, y, sample_weight):
    """Loss and gradients of the weighted mean squared error."""
    hidden, p = forward(weights, x)
    n = len(x)
    loss = (np.square(p - y).mean(axis=-1) * sample_weight).sum() / n
    dp = 2 * (p - y) / y.shape[-1] * sample_weight[:, None] / n
    dh = dp @ weights[2].T * (1 - hidden**2)
    return loss, [x.T @ dh, dh.sum(axis=0), hidden.T @ dp, dp.sum(axis=0)]


def clipped(gradients, clipnorm=None, clipvalue=None, global_clipnorm=None):
    def norm(arrays):
        return np.sqrt(sum(np.square(g).sum() for g in arrays))

    if clipnorm:
        return [g * (clipnorm / max(norm([g]), clipnorm)) for g in gradients]
    if global_clipnorm:
        factor = global_clipnorm / max(norm(gradients), global_clipnorm)
        return [g * factor for g in gradients]
    return [np.clip(g, -clipvalue, clipvalue) if clipvalue else g for g in gradients]


class Reference:
    """SGD and Adam, as their papers have them."""

    def __init__(self, weights, name, learning_rate, weight_decay=0.0, **rest):
        clips = ("clipnorm", "clipvalue", "global_clipnorm")
        self.weights, self.name = [w.copy() for w in weights], name
        self.rate, self.decay = learning_rate, weight_decay
        self.clips = {key: rest.pop(key) for key in clips if key in rest}
        self.rest = rest
        self.slots = [[np.zeros_like(w) for w in weights] for _ in range(3)]
        self.t = 0

    def apply(self, gradients):
        self.t += 1
        gradients = clipped(gradients, **self.clips)
        self.weights = [w - w * (self.rate * self.decay) for w in self.weights]
        for i, g in enumerate(gradients):
            self.weights[i] = self.weights[i] + getattr(self, self.name)(i, g, **self.rest)

    def sgd(self, i, g, momentum=0.0, nesterov=False):
        velocity = self.slots[0][i] = momentum * self.slots[0][i] - self.rate * g
        return momentum * velocity - self.rate * g if nesterov else velocity

    def adam(self, i, g, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
        m = self.slots[0][i] = beta_1 * self.slots[0][i] + (1 - beta_1) * g
        v = self.slots[1][i] = beta_2 * self.slots[1][i] + (1 - beta_2) * g * g
        if amsgrad:
            v = self.slots[2][i] = np.maximum(self.slots[2][i], v)
        alpha = self.rate * np.sqrt(1 - beta_2**self.t) / (1 - beta_1**self.t)
        return -alpha * m / (np.sqrt(v) + epsilon)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
