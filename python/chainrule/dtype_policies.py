"""Dtype policies: the types in which a layer computes and keeps its weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import _catalog, _core
from chainrule._arguments import message

__all__ = ["DTypePolicy", "deserialize", "get", "serialize"]

FIELD = "DTypePolicy | str | None"  # the catalog's name for the type of such a field


def type_name(value: Any, where: str, name: str) -> str:
    """The name of a type: a text as it is, or the name of a type of NumPy or Python."""
    if isinstance(value, (type, np.dtype)):
        try:
            return np.dtype(value).name
        except (TypeError, ValueError):
            return str(value)
    if not isinstance(value, str):
        raise TypeError(message(where, "'float32' or 'float64'", name, value))
    return _core.text(value, where, name)


class DTypePolicy:
    """The types of a layer: floating inputs are cast to `compute_dtype`, weights are
    `variable_dtype`.

    Args:
        name: "float32" or "float64"; None is the policy config.dtype_policy().

    Raises:
        ValueError: for another name. Keras's "float16", "bfloat16", "mixed_float16" and
            "mixed_bfloat16" are not supported.

    Example:

    >>> layers.Dense(10, dtype=DTypePolicy("float64")).variable_dtype
    'float64'
    """

    __slots__ = ("_compute_dtype", "_name", "_variable_dtype")

    def __init__(self, name: Any = None) -> None:
        given = None if name is None else type_name(name, "DTypePolicy", "name")
        self._name, self._compute_dtype, self._variable_dtype = _core.policy(given)

    @property
    def name(self) -> str:
        """The policy's name."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The type in which layers compute."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The type of weights."""
        return self._variable_dtype

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The reverse of get_config()."""
        return _catalog.from_config(cls, config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'

    def __reduce__(self) -> tuple[Any, ...]:
        return (DTypePolicy, (self.name,))


def get(identifier: Any) -> DTypePolicy:
    """A policy from its name or its configuration; a policy is returned as it is. None is
    config.dtype_policy()."""
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    return DTypePolicy(identifier)


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """{"class_name": ..., "config": ...} of a policy."""
    if not isinstance(dtype_policy, DTypePolicy):
        raise TypeError(
            message("dtype_policies.serialize", "a DTypePolicy", "dtype_policy", dtype_policy)
        )
    return {"class_name": "DTypePolicy", "config": dtype_policy.get_config()}


def deserialize(config: Any, custom_objects: Any = None) -> DTypePolicy:
    """The reverse of serialize()."""
    where = "dtype_policies.deserialize"
    class_name, arguments = _catalog.spec(config, where)
    if class_name not in ("DTypePolicy", "FloatDTypePolicy"):
        raise ValueError(message(where, "DTypePolicy", "class_name", class_name))
    return DTypePolicy.from_config(arguments)


def _name(identifier: Any) -> str | None:
    """The argument `dtype` of a constructor as the catalog reads it: the policy's name."""
    return None if identifier is None else get(identifier).name


_catalog.converters[FIELD] = _name
