"""The public headers declare what the engine's functions of tensors are described as."""

import importlib.util
import sys
from pathlib import Path

import pytest

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


def test_a_declaration_has_the_meaning_the_types_and_the_defaults(make_headers):
    text = make_headers.section("")
    assert (
        "/// Elements by index along an axis. Negative indices count from the end; those beyond it "
        "give NaN,\n/// or 0 where numbers are integers.\n"
        "///\n"
        "/// indices: Integers, of any shape.\n"
        "/// axis: The axis; None: the flat array.\n"
        "Value take(Value x, Value indices, std::optional<std::int64_t> axis = {});"
    ) in text
    assert "DType dtype = floatx());" in text
    assert "Value full(Graph& graph, const Shape& shape, double fill_value, DType dtype" in text
    lines = text.splitlines()
    assert max(map(len, lines)) <= make_headers.WIDTH
    assert not [line for line in lines if line.startswith("  ") and " " not in line.strip()]
