"""Generated parts of pages: the text between `<!-- name -->` and `<!-- /name -->`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

Makers = Mapping[str, Callable[[], str]]


def filled(page: str, text: str, makers: Makers) -> str:
    """The text of a page with new text from the makers between their markers."""
    for name, make in makers.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"{page} must have one {begin} and one {end}")
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{make()}\n{end}{rest.split(end)[1]}"
    return text


def update(page: Path, makers: Makers, command: str) -> int:
    """Writes the page anew, or with --check says if it is not up to date. Returns the exit
    status."""
    present = page.read_text()
    expected = filled(page.name, present, makers)
    if present == expected:
        return 0
    if "--check" in sys.argv[1:]:
        print(f"{page.name} is not up to date: run python {command}")
        return 1
    page.write_text(expected)
    print(f"wrote {page.name}")
    return 0
