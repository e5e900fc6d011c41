"""Keras's name for what is global."""

from __future__ import annotations

from chainrule import _core
from chainrule.config import epsilon, floatx, set_floatx

__all__ = ["backend", "clear_session", "epsilon", "floatx", "set_floatx"]


def clear_session() -> None:
    """Automatic names of layers start again: the next Dense is "dense". Layers follow floatx()
    again, whatever set_dtype_policy() said."""
    _core.reset_layer_names()
    _core.reset_dtype_policy()


def backend() -> str:
    """The name of the engine."""
    return "chainrule"
