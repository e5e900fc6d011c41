"""Loops and branches as parts of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import _core
from chainrule._arguments import checked, shown
from chainrule._tree import Tree, flatten

_ops = _core.ops


@checked
def scan(
    f: Callable[..., Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """A loop over the rows of arrays that carries values from step to step.

    Step i computes `carry, y = f(carry, xs[i])`. f is traced once and becomes the body of a loop in
    the engine. Gradients flow through the loop (backpropagation through time), and can be
    differentiated again.

    Args:
        f: Takes the carry and a row; returns a tuple or list of two: the next carry and the output
            y of the step.
        init: The carry of the first step: an array, or tuples, lists and dicts of arrays. The carry
            has the same shapes and dtypes in all steps.
        xs: An array, or tuples, lists and dicts of arrays, all of one length along the first axis.
            None: f gets None.
        length: Number of steps; needed only without xs.
        reverse: Whether to go from the last row to the first; ys[i] still belongs to xs[i].
        unroll: Must be 1: the engine does not unroll loops.

    Returns:
        The carry of the last step, and the outputs y of all steps, stacked along a new first axis.

    Example:

    >>> total, sums = ops.scan(lambda c, x: (c + x, c + x), np.float32(0), np.float32([1, 2, 3]))
    >>> sums
    array([1., 3., 6.], dtype=float32)
    """
    if unroll is True or unroll != 1:
        raise ValueError(
            "[scan] loops are not unrolled, which would change no result: leave unroll=1. "
            f"Received: unroll={shown(unroll)}"
        )
    _require_function("scan", "f", f)
    steps = None if length is None else _core.integer(length, "scan", "length")
    if steps is not None and steps < 0:
        raise ValueError(f"[scan] length must not be negative. Received: length={steps}")
    first, carry_tree = flatten(init)
    rows, row_tree = flatten(xs)
    if steps is None and not rows:
        raise ValueError("[scan] the number of steps is needed: pass xs or length")
    y_tree: list[Tree] = []

    def body(carry: list[Any], x: list[Any]) -> tuple[list[Any], list[Any]]:
        result = f(carry_tree.filled(carry), row_tree.filled(x))
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise TypeError(
                "[scan] f must return the next carry and what to keep of the step: `return carry, "
                f"y`. Received: a {type(result).__name__}"
            )
        following, tree = flatten(result[0])
        if tree != carry_tree:
            raise ValueError(
                "[scan] f must return a carry of the structure that it is given. Received: "
                f"given={carry_tree}, returned={tree}"
            )
        kept, tree = flatten(result[1])
        y_tree[:] = [tree]
        return following, kept

    def traced(*operands: Any) -> list[Any]:
        carry, ys = _ops.scan(
            body,
            list(operands[: len(first)]),
            list(operands[len(first) :]),
            steps,
            reverse,
        )
        return [*carry, *ys]

    results = _compute("scan", traced, [*first, *rows])
    return carry_tree.filled(results[: len(first)]), y_tree[0].filled(results[len(first) :])


@checked
def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """Calls one of two functions, by a condition, and returns its result.

    If the condition is a number or an array, only that function is called. If it is a symbolic
    value, both are traced, and each step runs the one that it chooses. Gradients flow through that
    one alone.

    Args:
        pred: A boolean of one element; of a number, whether it is not 0.
        true_fn: Called without arguments; may use any value from around it.
        false_fn: The same; returns values of the same structure, shapes and dtypes.

    Example:

    >>> x = np.float32([1, -4])
    >>> ops.cond(ops.sum(x) > 0, lambda: x, lambda: -x)
    array([-1.,  4.], dtype=float32)
    """
    _require_function("cond", "true_fn", true_fn)
    _require_function("cond", "false_fn", false_fn)
    in_graph = isinstance(pred, _core.Variable) and _core.tracing()
    if not in_graph and not isinstance(pred, (_core.Value, _core.Symbol)):
        try:
            array = np.asarray(pred)
        except ValueError:  # lists of different lengths
            array = np.empty(0)
        if array.size != 1 or array.dtype.kind not in "biuf":
            raise ValueError(
                f"[cond] the condition must be a boolean of one element. Received: {shown(pred)}"
            )
        return true_fn() if array.reshape(()) else false_fn()
    _refuse_symbols("cond", [pred])
    if pred.dtype != "bool":
        pred = _ops.call("not_equal", [pred, 0.0], {})
    trees: list[Tree] = []

    def branch(function: Callable[[], Any]) -> Callable[[], list[Any]]:
        def traced() -> list[Any]:
            leaves, tree = flatten(function())
            trees.append(tree)
            if tree != trees[0]:
                raise ValueError(
                    "[cond] both functions must return the same structure. Received: "
                    f"true={trees[0]}, false={tree}"
                )
            return leaves

        return traced

    leaves = _ops.cond(pred, branch(true_fn), branch(false_fn))
    return trees[0].filled(leaves)


def _require_function(where: str, name: str, value: Any) -> None:
    if not callable(value) or isinstance(value, type):
        raise TypeError(f"[{where}] {name} must be a function. Received: {name}={shown(value)}")


def _refuse_symbols(name: str, operands: list[Any]) -> None:
    if any(isinstance(each, _core.Symbol) for each in operands):
        raise ValueError(
            f"[{name}] a functional model holds layers, no loops or branches: use ops.{name} in "
            "the call() of a layer"
        )


def _compute(name: str, function: Callable[..., list[Any]], operands: list[Any]) -> list[Any]:
    """Calls the function in the graph that is being built; if there is none, computes at once."""
    _refuse_symbols(name, operands)
    if _core.tracing():
        return function(*operands)
    return list(_core.run(function, operands, False))
