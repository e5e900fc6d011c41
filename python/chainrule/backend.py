"""Keras's name for global settings."""

from __future__ import annotations

from chainrule import _core
from chainrule.config import epsilon, floatx, set_floatx

__all__ = ["backend", "clear_session", "epsilon", "floatx", "set_floatx"]


def clear_session() -> None:
    """Restarts the automatic names of layers: the next Dense is "dense". Takes back
    set_dtype_policy(): layers follow floatx() again."""
    _core.reset_layer_names()
    _core.reset_dtype_policy()


def backend() -> str:
    """The name of the engine."""
    return "chainrule"
