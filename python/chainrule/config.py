"""Settings of the whole process, by Keras's names."""

from __future__ import annotations

from typing import Any

from chainrule import _core, dtype_policies
from chainrule._arguments import message
from chainrule.dtype_policies import DTypePolicy

__all__ = ["dtype_policy", "epsilon", "floatx", "set_dtype_policy", "set_floatx"]


def floatx() -> str:
    """The default floating type: "float32", or the one that set_floatx() set."""
    return _core.floatx()


def set_floatx(value: Any) -> None:
    """Sets the default floating type. It is used for inputs, layers, initializers and functions of
    chainrule.ops without a dtype, for floating results of integers, and for Python's numbers.

    It holds for everything made afterwards, on all threads: call it first. Layers follow it unless
    set_dtype_policy() was called. Models keep the types that they have.

    Args:
        value: "float32" or "float64".

    Raises:
        ValueError: for another type. Keras's "float16" and "bfloat16" are not supported.

    Example:

    >>> set_floatx("float64")
    >>> layers.Dense(2).dtype, Input((3,)).dtype
    ('float64', 'float64')
    >>> set_floatx("float32")
    """
    name = dtype_policies.type_name(value, "set_floatx", "value")
    if name not in ("float32", "float64"):
        raise ValueError(message("set_floatx", "'float32' or 'float64'", "value", value))
    _core.set_floatx(name)


def epsilon() -> float:
    """The distance that losses keep probabilities from 0 and 1: 1e-7, in every type."""
    return _core.probability_epsilon


def dtype_policy() -> DTypePolicy:
    """The policy of layers without a dtype: that of set_dtype_policy(), else of floatx()."""
    return DTypePolicy()


def set_dtype_policy(policy: Any) -> None:
    """Sets the policy of layers that are made afterwards without a dtype, on all threads.
    utils.clear_session() takes it back.

    Args:
        policy: A DTypePolicy or its name.

    Raises:
        ValueError: for a policy that is not supported.

    Example:

    >>> set_dtype_policy("float64")
    >>> layers.Dense(2).dtype_policy
    <DTypePolicy "float64">
    >>> set_dtype_policy("float32")
    """
    if policy is None:
        raise TypeError(message("set_dtype_policy", "a DTypePolicy or its name", "policy", policy))
    _core.set_dtype_policy(dtype_policies.get(policy).name)
