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
    and must not use weights. A file holds the function's name, never its code: to save the model,
    define the function with def, and pass it to load_model() in custom_objects.

    Args:
        function: Called with the input (or the list of inputs) and `arguments`. If it has the
            parameters `training` or `mask`, it gets these, too.
        output_shape: Must be None: the shape is found by tracing.
        mask: A function (inputs, previous_mask) that returns the mask of the output, or None. Used
            as compute_mask(); a file holds its name, too. Without it, inputs with a mask are
            refused, unless the function has a parameter `mask`, or returns its input itself, which
            keeps its mask.
        arguments: {name: value} of the function's other arguments.
        name, trainable, dtype: As for every layer.

    Raises:
        TypeError: if `function` is no function.

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
        mask: Callable[..., Any] | None = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if output_shape is not None:
            raise ValueError(
                "[Lambda] output_shape must be None: shapes are found by tracing. Received: "
                f"output_shape={shown(output_shape)}"
            )
        self.function = function
        self.mask = mask
        self.arguments = (
            {} if arguments is None else dict(_catalog.text_keyed(arguments, "Lambda", "arguments"))
        )

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        asked_for = _parameters(self.function)
        given = {
            name: value
            for name, value in (("mask", mask), ("training", training))
            if name in asked_for
        }
        return self.function(inputs, **{**given, **self.arguments})

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None if self.mask is None else self.mask(inputs, previous_mask)

    def _has_compute_mask(self) -> bool:
        return self.mask is not None

    def _uses_mask(self) -> bool:
        return "mask" in _parameters(self.function)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "function": self._name_of(self.function)}
        if self.mask is not None:
            config["mask"] = self._name_of(self.mask)
        return {**config, "arguments": self.arguments}

    def _name_of(self, function: Any) -> str:
        name = getattr(function, "__name__", "<lambda>")
        if name == "<lambda>" and _catalog.copying.get() is None:
            raise ValueError(
                "[Lambda] the function has no name, so a file cannot refer to it: define it with "
                f"def. Received: {shown(function)}, layer='{self.name}'"
            )
        return str(name)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        functions = {}
        for argument in ("function", "mask"):
            function = config.get(argument)
            if not callable(function) and function is not None:
                function = (custom_objects or {}).get(function)
            if function is None and config.get(argument) is not None:
                raise ValueError(
                    f"[Lambda] the function '{config[argument]}' is needed: pass it as "
                    f"custom_objects={{'{config[argument]}': ...}}. Received: "
                    f"layer='{config.get('name')}'"
                )
            functions[argument] = function
        return cls(**{**config, **functions})

    def _own_config(self) -> dict[str, Any]:
        return _names.with_functions(super()._own_config(), _names.functions_of(self))


def _parameters(function: Any) -> Any:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions written in C have no signature
        return {}
