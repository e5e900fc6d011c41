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


def given_to(
    call: Any, args: list[Any], kwargs: dict[str, Any]
) -> tuple[dict[str, Any], Any, Any, bool]:
    """How a call() gets masks.

    One that takes one tensor (or list of tensors) gets its mask as `mask`; one that takes several
    gets that of `a` as `a_mask`; a mask that the caller gave stays.

    Returns:
        The masks among the arguments by name, the first argument, its mask, and whether call()
        takes masks at all.
    """
    signature = inspect.signature(call)
    arguments = signature.bind_partial(*args, **kwargs).arguments
    tensors = {name: value for name, value in arguments.items() if _calls.holds_tensor(value)}
    explicit = arguments.get("mask")
    tensors.pop("mask", None)
    masks = {}
    if len(tensors) == 1 and "mask" in signature.parameters and explicit is None:
        masks["mask"] = of(next(iter(tensors.values())))
    elif len(tensors) > 1:
        for name, value in tensors.items():
            taken = f"{name}_mask"
            if taken in signature.parameters and arguments.get(taken) is None:
                masks[taken] = of(value)
    first = next(iter(arguments.values()), None)
    previous = of(first) if explicit is None else explicit
    return masks, first, previous, bool(masks) or explicit is not None


def after(layer: Any, first: Any, previous: Any, outputs: Any, used: bool) -> list[Any]:
    """The masks of the outputs of a call(): what compute_mask() says, if the layer has one; else
    those that its inner layers gave them, and where supports_masking is set, those of the inputs.

    Raises:
        ValueError: for a mask that would be lost, as the layer says nothing of masks.
    """
    values = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if layer._has_compute_mask():
        masks = layer.compute_mask(first, previous)
        return [None] * len(values) if masks is None else flat(masks)
    found = [of(value) for value in values]
    before = flat(previous)
    if layer.supports_masking:
        before += [None] * (len(values) - len(before))
        lost = before[len(values) :]
        found = [before[i] if mask is None else mask for i, mask in enumerate(found)]
    else:
        lost = [] if used or any(mask is not None for mask in found) else before
    if any(mask is not None for mask in lost):
        _core.refuse_lost_mask(layer, lost)
    return found
