"""Keras's name for what is global."""

from __future__ import annotations

from chainrule import _core

__all__ = ["backend", "clear_session"]


def clear_session() -> None:
    """Automatic names of layers start again: the next Dense is "dense"."""
    _core.reset_layer_names()


def backend() -> str:
    """The name of the engine."""
    return "chainrule"
