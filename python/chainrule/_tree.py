"""Nested structures of tensors: tuples, lists, dicts and None."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


class Tree:
    """The shape of a structure without its leaves. A leaf is anything but a container or None.

    Example:

    >>> leaves, tree = flatten({"h": 1, "c": (2, None)})
    >>> leaves
    [1, 2]
    >>> tree.filled([3, 4])
    {'h': 3, 'c': (4, None)}
    """

    def __init__(self, structure: Any) -> None:
        self._structure = structure

    def filled(self, leaves: Sequence[Any]) -> Any:
        """The structure with these leaves, in order."""
        return _fill(self._structure, iter(leaves))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and _same(self._structure, other._structure)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(_fill(self._structure, _stars()))


class _Star:
    def __repr__(self) -> str:
        return "*"


def _stars() -> Iterator[Any]:
    while True:
        yield _Star()


def flatten(structure: Any) -> tuple[list[Any], Tree]:
    """The leaves of a structure, and its shape. Leaves of a dict stand in the order of its keys, if
    they can be sorted: so dicts that are filled in another order have one structure."""
    leaves: list[Any] = []
    _collect(structure, leaves)
    return leaves, Tree(structure)


def _collect(structure: Any, leaves: list[Any]) -> None:
    if isinstance(structure, dict):
        structure = [structure[key] for key in _ordered(structure)]
    if isinstance(structure, (tuple, list)):
        for item in structure:
            _collect(item, leaves)
    elif structure is not None:
        leaves.append(structure)


def _ordered(structure: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(structure)
    except TypeError:  # keys of different kinds
        return list(structure)


def _fill(structure: Any, leaves: Iterator[Any]) -> Any:
    if structure is None:
        return None
    if isinstance(structure, dict):
        filled = {key: _fill(structure[key], leaves) for key in _ordered(structure)}
        return {key: filled[key] for key in structure}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):  # a named tuple
        return type(structure)(*(_fill(item, leaves) for item in structure))
    if isinstance(structure, (tuple, list)):
        return type(structure)(_fill(item, leaves) for item in structure)
    return next(leaves)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return (
            isinstance(b, dict) and _ordered(a) == _ordered(b) and all(_same(a[k], b[k]) for k in a)
        )
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    return (a is None) == (b is None) and not isinstance(b, (dict, tuple, list))
