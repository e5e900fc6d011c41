"""Calls of build() of layers: by the engine, or by the user."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

# The id() of each layer whose build() is running on this thread.
_inside: ContextVar[tuple[int, ...]] = ContextVar("building", default=())


def shapes_of(input_shape: Any) -> list[Any]:
    """A list of shapes, from one shape or a list."""
    several = isinstance(input_shape, list) and input_shape
    return input_shape if several and isinstance(input_shape[0], (list, tuple)) else [input_shape]


def inside(layer: Any) -> bool:
    """Whether the layer is being built."""
    return id(layer) in _inside.get()


@contextlib.contextmanager
def entered(layer: Any) -> Iterator[None]:
    token = _inside.set((*_inside.get(), id(layer)))
    try:
        yield
    finally:
        _inside.reset(token)


def built_once(build: Any) -> Any:
    """Wraps a user-defined build(): a call by the user has the same effect as one by the engine."""

    @functools.wraps(build)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        if inside(self):
            build(self, *args, **kwargs)
        elif len(args) + len(kwargs) == 1:
            self._build(shapes_of(next(iter((*args, *kwargs.values())))))
        else:
            with entered(self):
                build(self, *args, **kwargs)
            self.built = True

    return wrapper
