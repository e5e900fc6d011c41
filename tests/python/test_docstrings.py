"""The examples in the docstrings run and give what they say."""

import doctest
import importlib

import numpy as np
import pytest

import chainrule

pytestmark = pytest.mark.once

MODULES = [
    "_layer",
    "_model",
    "datasets.digits",
    "initializers",
    "losses",
    "metrics",
    "models",
    "ops",
    "utils",
]
NAMES = {
    name: getattr(chainrule, name)
    for name in (
        "Input",
        "Layer",
        "Model",
        "Sequential",
        "layers",
        "losses",
        "metrics",
        "ops",
        "utils",
    )
}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"chainrule.{name}")
    globs = {**NAMES, **vars(module), "np": np, "ops": chainrule.ops, "layers": chainrule.layers}
    result = doctest.testmod(module, globs=globs)
    assert result.attempted > 0
    assert result.failed == 0
