"""How the call() of a user-defined layer gets masks, and which masks its outputs have. The rules
are Keras's.

A symbolic value may have a mask: a boolean symbolic value over its leading axes, which says which
positions count. Layers pass masks on; the functions of chainrule.ops drop them.
"""

from __future__ import annotations

import inspect
from typing import Any

from chainrule import _calls, _core


def mask_of(value: Any) -> Any:
    """The mask of a value, or None; for lists and dicts of values, a list or dict of masks."""
    if isinstance(value, (list, tuple)):
        return [mask_of(item) for item in value]
    if isinstance(value, dict):
        return {key: mask_of(item) for key, item in value.items()}
    return _core.mask_of(value) if isinstance(value, _core.Value) else None


def flat(masks: Any) -> list[Any]:
    if isinstance(masks, dict):
        masks = list(masks.values())
    if isinstance(masks, (list, tuple)):
        return [mask for item in masks for mask in flat(item)]
    return [masks]


class Given:
    """The masks of the tensors of a call, and how call() gets them.

    A call() with one tensor, or list of tensors, gets its mask as `mask`. A call() with several
    tensors gets the mask of its parameter `a` as `a_mask`. A mask that the caller passes stays.

    Attributes:
        arguments: The arguments of call() for masks, without those that the caller passes.
        first: The first tensor, or list of tensors.
        previous: The mask of `first`.
        used: Whether call() takes that mask.
        left: Masks of the other tensors that call() does not take.
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
            self.arguments["mask"] = mask_of(*tensors.values())
        elif len(tensors) > 1:
            for name, value in tensors.items():
                taken = f"{name}_mask"
                if taken in signature.parameters and given.get(taken) is None:
                    self.arguments[taken] = mask_of(value)
        self.first = next(iter(tensors.values()), None)
        self.previous = mask_of(self.first) if explicit is None else explicit
        name = f"{next(iter(tensors))}_mask" if len(tensors) > 1 else "mask"
        self.used = explicit is not None or name in signature.parameters
        self.left = [
            mask
            for name, value in list(tensors.items())[1:]
            if f"{name}_mask" not in signature.parameters
            for mask in flat(mask_of(value))
        ]


def output_masks(layer: Any, given: Given, outputs: Any) -> list[Any]:
    """The masks of the outputs of a call(). If the layer has a compute_mask(), those that it
    returns. Else those that inner layers gave to the outputs; if supports_masking is set, an output
    without one gets the mask of the input.

    Raises:
        ValueError: if a mask would be lost.
    """
    values = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if layer._has_compute_mask():
        masks = layer.compute_mask(given.first, given.previous)
        return [None] * len(values) if masks is None else flat(masks)
    found = [mask_of(value) for value in values]
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
