"""Lambda: a function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from chainrule import _catalog, _names
from chainrule._arguments import checked, shown
from chainrule._layer import Layer


class Lambda(Layer):
    """A function of symbolic values as a layer.

    The function is traced like the call() of a layer: it computes with operators and chainrule.ops,
    and must not use weights. A file holds its name, never its code: to save the model, define it
    with def, and pass it to load_model() in custom_objects.

    Args:
        function: Called with the input (or the list of inputs) and `arguments`; with `training`, if
            it has that parameter.
        output_shape: Must be None: the shape is found by tracing.
        mask: Must be None: masks are not supported.
        arguments: {name: value} of its other arguments.
        name, trainable, dtype: As of every layer.

    Raises:
        TypeError: for what is no function.

    Example:

    >>> double = Lambda(lambda x: x * 2.0)
    >>> double(np.ones((1, 2)))
    array([[2., 2.]], dtype=float32)
    """

    @checked
    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if output_shape is not None or mask is not None:
            raise ValueError(
                "[Lambda] output_shape and mask must be None: shapes are found by tracing, and "
                f"masks are not supported. Received: output_shape={shown(output_shape)}, "
                f"mask={shown(mask)}"
            )
        self.function = function
        self.arguments = (
            {} if arguments is None else dict(_catalog.mapping(arguments, "Lambda", "arguments"))
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        given = dict(self.arguments)
        if "training" in _parameters(self.function) and "training" not in given:
            given["training"] = training
        return self.function(inputs, **given)

    def get_config(self) -> dict[str, Any]:
        name = getattr(self.function, "__name__", "<lambda>")
        if name == "<lambda>" and _catalog.copying.get() is None:
            raise ValueError(
                "[Lambda] the function has no name by which a file could know it: define it with "
                f"def. Received: {shown(self.function)}, layer='{self.name}'"
            )
        return {**super().get_config(), "function": name, "arguments": self.arguments}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        function = config["function"]
        if not callable(function):
            function = (custom_objects or {}).get(function)
        if function is None:
            raise ValueError(
                f"[Lambda] the function '{config['function']}' is needed: pass it as "
                f"custom_objects={{'{config['function']}': ...}}. Received: "
                f"layer='{config.get('name')}'"
            )
        return cls(**{**config, "function": function})

    def _own_config(self) -> dict[str, Any]:
        return _names.with_function(super()._own_config(), self.function)


def _parameters(function: Any) -> Any:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # made in C
        return {}
