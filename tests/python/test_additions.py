"""What tests/additions.py adds lines to is there once, and what it adds is no part of the tree."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("additions", ROOT / "tests" / "additions.py")
additions = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(additions)


@pytest.mark.parametrize(("name", "before", "text"), additions.LINES)
def test_lines_are_added_at_a_place_that_is_there_once(name, before, text):
    old = (ROOT / name).read_text()
    assert old.count(before) == 1
    assert text not in old


@pytest.mark.parametrize(("name", "folder"), additions.NEW_FILES.items())
def test_files_are_added_that_the_tree_lacks(name, folder):
    assert (additions.FILES / name).is_file()
    assert not (ROOT / folder / name).exists()
