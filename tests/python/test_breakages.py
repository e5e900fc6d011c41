"""The faults of tests/breakages_of_*.py can be put into the code as it is now."""

import sys

import pytest
from test_layering import ROOT

pytestmark = pytest.mark.once

sys.path.append(str(ROOT / "tests"))
from breakages_of_engine import ENGINE  # noqa: E402
from breakages_of_models import MODELS  # noqa: E402


@pytest.mark.parametrize("breakage", ENGINE + MODELS, ids=lambda each: each.title)
def test_what_a_breakage_replaces_is_there_once(breakage):
    assert (ROOT / breakage.file).read_text().count(breakage.right) == 1
    assert breakage.wrong != breakage.right
