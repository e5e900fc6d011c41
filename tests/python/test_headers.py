"""The public headers declare what the engine's functions of tensors are described as."""

import importlib.util
import sys
from pathlib import Path

import pytest

from chainrule import _functions

pytestmark = pytest.mark.once

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def make_headers(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location("make_headers", TOOLS / "make_headers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_headers_are_up_to_date(make_headers, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make_headers.py", "--check"])
    assert make_headers.main() == 0, "run: python dev.py generate"


def test_a_declaration_stands_below_what_is_said_of_it(make_headers):
    told = [("x", "A tensor."), ("axis", "The axis. " + "None: the flat array; " * 5)]
    parameters = [_functions.Parameter(name, "", doc, True, None, False) for name, doc in told]
    types = ["Value", "Value x", "std::optional<std::int64_t> axis = {}"]
    function = _functions.Function("take", "take", [], "Elements.", "", parameters, types)
    first, gap, *axis, last = make_headers.declared("take", function).splitlines()
    assert (first, gap) == ("/// Elements.", "///")
    assert len(axis) == 2
    assert axis[0].startswith("/// axis: The axis. None: the")
    assert axis[1].startswith("///   ")
    assert last == "Value take(Value x, std::optional<std::int64_t> axis = {});"
    long = function._replace(declared=[*types, "const std::vector<std::int64_t>& many = {}"])
    assert make_headers.declaration("take", long).splitlines() == [
        "Value take(Value x,",
        "           std::optional<std::int64_t> axis = {},",
        "           const std::vector<std::int64_t>& many = {});",
    ]


def test_types_and_defaults_are_those_of_the_functions(make_headers):
    text = make_headers.section("")
    assert "Value take(Value x, Value indices, std::optional<std::int64_t> axis = {});" in text
    assert "Value concatenate(const std::vector<Value>& xs, std::int64_t axis = 0);" in text
    assert "Value sum(Value x, const Axes& axis = {}, bool keepdims = false);" in text
    assert "Value full(Graph& graph, const Shape& shape, double fill_value, DType dtype" in text
