"""JAX: the whole step, Adam written by hand, in one jit with its parameters and state donated."""

from __future__ import annotations

from workloads import (
    DISTINCT_BATCHES,
    EPSILON,
    LEARNING_RATE,
    WORKLOADS,
    Workload,
    arguments,
    data,
    measure,
    report,
)

options = arguments("jax")

import jax  # noqa: E402  (after the process is bound to its processors)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402


def initial(workload: Workload) -> list[tuple[jax.Array, jax.Array]]:
    random = np.random.default_rng(1)
    parameters = []
    for inputs, outputs in zip(workload.widths, workload.widths[1:], strict=False):
        limit = np.sqrt(6 / (inputs + outputs))
        kernel = random.uniform(-limit, limit, (inputs, outputs)).astype(np.float32)
        parameters.append((jnp.asarray(kernel), jnp.zeros(outputs)))
    return parameters


def forward(workload: Workload, parameters, x):
    for kernel, bias in parameters[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    kernel, bias = parameters[-1]
    x = x @ kernel + bias
    return jax.nn.sigmoid(x) if workload.loss == "mse" else x


def loss_of(workload: Workload, parameters, x, y):
    output = forward(workload, parameters, x)
    if workload.loss == "mse":
        return jnp.mean(jnp.square(output - y))
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(output), y[:, None], axis=1))


def adam(parameters, gradients, first, second, count):
    """Kingma and Ba (2015), with both corrections folded into the rate as in Keras."""
    count = count + 1
    rate = LEARNING_RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    tree_map = jax.tree_util.tree_map
    first = tree_map(lambda m, g: m + (g - m) * 0.1, first, gradients)
    second = tree_map(lambda v, g: v + (g * g - v) * 0.001, second, gradients)
    parameters = tree_map(
        lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), parameters, first, second
    )
    return parameters, first, second, count


def steps(workload: Workload) -> tuple[list[float], float]:
    def step(parameters, first, second, count, x, y):
        loss, gradients = jax.value_and_grad(lambda p: loss_of(workload, p, x, y))(parameters)
        return (*adam(parameters, gradients, first, second, count), loss)

    compiled = jax.jit(step, donate_argnums=(0, 1, 2, 3))
    parameters = initial(workload)
    zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
    state = (parameters, zeros, jax.tree_util.tree_map(jnp.copy, zeros), jnp.float32(0))
    x, y = data(workload, DISTINCT_BATCHES)
    batches = [
        (jnp.asarray(a), jnp.asarray(b))
        for a, b in zip(np.split(x, DISTINCT_BATCHES), np.split(y, DISTINCT_BATCHES), strict=True)
    ]
    last = 0.0

    def one(i: int) -> None:
        nonlocal state, last
        *state, loss = compiled(*state, *batches[i % len(batches)])
        last = float(loss)

    return measure(one, options.seconds), last


def predictions(workload: Workload) -> list[float]:
    compiled = jax.jit(lambda parameters, x: forward(workload, parameters, x))
    parameters = initial(workload)
    x = data(workload, 1)[0][:1]
    return measure(lambda _: np.asarray(compiled(parameters, x)), options.seconds)


if __name__ == "__main__":
    chosen = WORKLOADS[options.workload]
    samples, loss = steps(chosen) if options.task == "step" else (predictions(chosen), None)
    report("jax", jax.__version__, samples, loss)
