"""The API reference in docs/api is what the docstrings say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import chainrule

pytestmark = pytest.mark.once

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "make_docs.py"
_spec = importlib.util.spec_from_file_location("make_docs", SCRIPT)
make_docs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_docs)

PAGES = make_docs.pages()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_page_is_up_to_date(name):
    page = make_docs.FOLDER / name
    assert page.read_text() == PAGES[name], "run: python tools/make_docs.py"


def test_there_are_no_other_pages():
    assert {path.name for path in make_docs.FOLDER.iterdir()} == set(PAGES)


def test_every_namespace_has_a_page():
    public = {n for n in chainrule.__all__ if isinstance(getattr(chainrule, n), ModuleType)}
    assert public == set(make_docs.NAMESPACES)


@pytest.mark.parametrize("namespace", make_docs.NAMESPACES)
def test_every_public_name_has_an_entry_with_words(namespace):
    module = getattr(chainrule, namespace)
    text = PAGES[f"{namespace}.md"]
    for name in module.__all__:
        assert f"## {name}" in text or f"`{name}(" in text, name
        assert getattr(module, name).__doc__, name


def test_docstrings_become_markdown():
    doc = """Doubles.

    Args:
        x, y: Numbers,
            of any size.

    Returns:
        A number.

    Example:

    >>> double(2)
    4
    """
    expected = """Doubles.

Args:

- `x`, `y`: Numbers, of any size.

Returns:

A number.

Example:

```pycon
>>> double(2)
4
```
"""
    assert "\n".join(make_docs.markdown(doc)) == expected
