"""The type stubs say what the generated classes are."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "make_stubs.py"
_spec = importlib.util.spec_from_file_location("make_stubs", SCRIPT)
make_stubs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_stubs)


@pytest.mark.parametrize(
    "name", ["_core.pyi", *(f"{namespace}.pyi" for namespace in make_stubs.NAMESPACES)]
)
def test_stubs_are_up_to_date(name):
    expected = make_stubs.stubs()[name]
    compile(expected, name, "exec")
    assert (make_stubs.FOLDER / name).read_text() == expected, "run: python tools/make_stubs.py"


def test_stubs_have_signatures():
    text = make_stubs.stubs()["layers.pyi"]
    assert "class Dense(Layer):" in text
    assert "units: int, activation: str | Callable[..., Any] | None = ..." in text
