"""The faults of tests/breakage_table.py can be put into the code as it is now."""

import importlib.util
import sys

import pytest
from test_layering import ROOT

pytestmark = pytest.mark.once

spec = importlib.util.spec_from_file_location(
    "breakage_table", ROOT / "tests" / "breakage_table.py"
)
breakages = importlib.util.module_from_spec(spec)
sys.modules["breakage_table"] = breakages
spec.loader.exec_module(breakages)


@pytest.mark.parametrize("breakage", breakages.BREAKAGES, ids=lambda each: each.title)
def test_what_a_breakage_replaces_is_there_once(breakage):
    assert (ROOT / breakage.file).read_text().count(breakage.right) == 1
    assert breakage.wrong != breakage.right
