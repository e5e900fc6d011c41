"""How the call() of a layer of one's own gets masks, and what becomes of them: Keras's rules.

A symbolic value may have a mask, a symbolic value itself: which of its positions count, true or
false over its leading axes. Layers pass masks on; the functions of chainrule.ops do not know them.
"""

from __future__ import annotations

import inspect
from typing import Any

from chainrule import _calls, _core


def of(value: Any) -> Any:
    """The mask of a value, or None; of lists and dicts of values, in the same form."""
    if isinstance(value, (list, tuple)):
        return [of(item) for item in value]
    if isinstance(value, dict):
        return {key: of(item) for key, item in value.items()}
    return _core.mask_of(value) if isinstance(value, _core.Value) else None


def flat(masks: Any) -> list[Any]:
    if isinstance(masks, dict):
        masks = list(masks.values())
    if isinstance(masks, (list, tuple)):
        return [mask for item in masks for mask in flat(item)]
    return [masks]


class Given:
    """The masks of a call: how a layer's call() gets them.

    One that takes one tensor, or list of tensors, gets its mask as `mask`; one that takes several
    gets that of its `a` as `a_mask`; a mask that the caller gave stays.

    Attributes:
        arguments: What call() gets beside what the caller gave.
        first: The first tensor, or list of them.
        previous: Its mask.
        used: Whether call() takes that.
        left: Masks of other tensors, which call() does not take.
    """

    def __init__(self, call: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        signature = inspect.signature(call)
        given = signature.bind_partial(*args, **kwargs).arguments
        explicit = given.get("mask")
        tensors = {
            name: value
            for name, value in given.items()
            if name != "mask" and _calls.holds_tensor(value)
        }
        self.arguments: dict[str, Any] = {}
        if len(tensors) == 1 and "mask" in signature.parameters and explicit is None:
            self.arguments["mask"] = of(*tensors.values())
        elif len(tensors) > 1:
            for name, value in tensors.items():
                taken = f"{name}_mask"
                if taken in signature.parameters and given.get(taken) is None:
                    self.arguments[taken] = of(value)
        self.first = next(iter(tensors.values()), None)
        self.previous = of(self.first) if explicit is None else explicit
        name = f"{next(iter(tensors))}_mask" if len(tensors) > 1 else "mask"
        self.used = explicit is not None or name in signature.parameters
        self.left = [
            mask
            for name, value in list(tensors.items())[1:]
            if f"{name}_mask" not in signature.parameters
            for mask in flat(of(value))
        ]


def after(layer: Any, given: Given, outputs: Any) -> list[Any]:
    """The masks of the outputs of a call(): what compute_mask() says, if the layer has one; else
    those that its inner layers gave them, and where supports_masking is set, those of the inputs.

    Raises:
        ValueError: for a mask that would be lost, as the layer says nothing of masks.
    """
    values = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if layer._has_compute_mask():
        masks = layer.compute_mask(given.first, given.previous)
        return [None] * len(values) if masks is None else flat(masks)
    found = [of(value) for value in values]
    before = flat(given.previous)
    if layer.supports_masking:
        padded = before + [None] * (len(values) - len(before))
        found = [padded[i] if mask is None else mask for i, mask in enumerate(found)]
        lost = before[len(values) :] + given.left
    elif any(mask is not None for mask in found):  # an inner layer passed one on
        lost = []
    else:
        lost = given.left if given.used and layer._uses_mask() else before + given.left
    if any(mask is not None for mask in lost):
        _core.refuse_lost_mask(layer, lost)
    return found
