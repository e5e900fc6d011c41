"""Callbacks are written twice, in C++ and in Python: their options and defaults are the same."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from chainrule import callbacks

pytestmark = pytest.mark.once

HEADER = Path(__file__).resolve().parents[2] / "cpp" / "include" / "chainrule" / "callbacks.h"
# Of Python alone: a line for each event, a number of batches between files.
OF_PYTHON = {"verbose", "save_freq"}
FIELD = re.compile(r"^  [\w:<>]+ (\w+) = (.+?);", re.MULTILINE)
WORDS = {"{}": None, "true": True, "false": False}


def options_in_cpp(name):
    text = HEADER.read_text().partition(f"struct {name}Options {{")[2].partition("\n};")[0]
    return {
        field: WORDS[value] if value in WORDS else ast.literal_eval(value)
        for field, value in FIELD.findall(text)
    }


@pytest.mark.parametrize("name", ["EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"])
def test_options_and_defaults_are_those_of_cpp(name):
    signature = inspect.signature(getattr(callbacks, name)).parameters
    in_python = {
        parameter.name: None if parameter.default is inspect.Parameter.empty else parameter.default
        for parameter in signature.values()
        if parameter.name not in OF_PYTHON
    }
    assert len(in_python) >= 6
    assert options_in_cpp(name) == in_python
