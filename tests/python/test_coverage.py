"""Every public layer, loss, metric, optimizer, initializer and activation has a golden case."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest

import chainrule

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
import cases  # noqa: E402

pytestmark = pytest.mark.once

# Public names without values of their own: bases to derive from, and look-ups by name.
LOOK_UPS = {"get", "serialize", "deserialize"}
WITHOUT_CASE = {
    # Lambda and Operation are functions of the caller's, compared with NumPy in test_symbols.py.
    "layers": {"Layer", "Input", "InputLayer", "InputSpec", "Lambda", "Operation"} | LOOK_UPS,
    "losses": {"Loss"} | LOOK_UPS,
    "metrics": {"Metric"} | LOOK_UPS,
    "optimizers": {"Optimizer"} | LOOK_UPS,
    "initializers": {"Initializer"} | LOOK_UPS,
    "activations": LOOK_UPS,
}
COVERED = {
    "layers": {case["class"] for case in cases.LAYERS},
    "losses": {case["class"] for case in cases.LOSSES},
    "metrics": {case["class"] for case in cases.METRICS},
    "optimizers": {case["class"] for case in cases.OPTIMIZERS},
    "initializers": {
        case["class"] for case in cases.RANDOM_INITIALIZERS + cases.EXACT_INITIALIZERS
    },
    "activations": {case["function"] for case in cases.ACTIVATIONS},
}


def public_names(namespace) -> set[str]:
    """Names in __all__, or every class and function without a leading underscore."""
    if hasattr(namespace, "__all__"):
        return set(namespace.__all__)
    return {
        name
        for name, value in vars(namespace).items()
        if not name.startswith("_") and not inspect.ismodule(value) and callable(value)
    }


def snake_case(class_name: str) -> str:
    """The function that goes with a class: mean_squared_error of MeanSquaredError."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()


def missing(area: str, names: set[str]) -> list[str]:
    covered = COVERED[area] | {snake_case(name) for name in COVERED[area]} | WITHOUT_CASE[area]
    return sorted(names - covered)


@pytest.mark.parametrize("area", sorted(COVERED))
def test_every_public_name_has_a_golden_case(area):
    names = public_names(getattr(chainrule, area))
    assert names, f"chainrule.{area} shows no public name"
    without = missing(area, names)
    assert not without, (
        f"no golden case in tests/golden/cases.py for chainrule.{area}: {', '.join(without)}"
    )


@pytest.mark.parametrize("area", sorted(COVERED))
def test_every_case_names_something_public(area):
    absent = sorted(COVERED[area] - public_names(getattr(chainrule, area)))
    assert not absent, f"chainrule.{area} lacks: {', '.join(absent)}"


@pytest.mark.parametrize("area", sorted(COVERED))
def test_a_missing_case_is_named(area):
    assert missing(area, {"Unheard", *COVERED[area]}) == ["Unheard"]
