"""Parts of files that are made: what stands between `<!-- name -->` and `<!-- /name -->` in a page,
`// <name>` and `// </name>` in a header."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

Makers = Mapping[str, Callable[[], str]]
MARKERS = {".md": ("<!-- {} -->", "<!-- /{} -->"), ".h": ("// <{}>", "// </{}>")}


def filled(file: Path, text: str, makers: Makers) -> str:
    """The text of a file with what the makers make between their markers."""
    for name, make in makers.items():
        begin, end = (marker.format(name) for marker in MARKERS[file.suffix])
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"{file.name} must have one {begin} and one {end}")
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{make()}\n{end}{rest.split(end)[1]}"
    return text


def update(file: Path, makers: Makers, command: str) -> int:
    """Writes the file anew, or with --check says whether it is up to date. The exit status."""
    present = file.read_text()
    expected = filled(file, present, makers)
    if present == expected:
        return 0
    if "--check" in sys.argv[1:]:
        print(f"{file.name} is not up to date: run python {command}")
        return 1
    file.write_text(expected)
    print(f"wrote {file.name}")
    return 0
