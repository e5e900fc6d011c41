#!/usr/bin/env python3
"""Writes what the public headers declare of the functions that are described in cpp/ops and cpp/nn,
from the installed package.

python tools/make_headers.py           write cpp/include/chainrule/
python tools/make_headers.py --check   exit with 1 if they are not up to date
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import sections

from chainrule._functions import Function, described

FOLDER = Path(__file__).resolve().parents[1] / "cpp" / "include" / "chainrule"
WIDTH = 100


def declaration(name: str, function: Function) -> str:
    """As clang-format would write it."""
    result, *parameters = function.declared
    start, end = f"{result} {name}(", ");"
    line = start + ", ".join(parameters) + end
    if len(line) <= WIDTH:
        return line
    return start + f",\n{' ' * len(start)}".join(parameters) + end


def declared(name: str, function: Function) -> str:
    """The declaration below its meaning and that of its parameters."""
    lines = [function.doc, ""]
    lines += [f"{p.name}: {p.doc}" for p in function.parameters if p.doc != "A tensor."]
    comment: list[str] = []
    for line in lines if len(lines) > 2 else lines[:1]:
        comment += textwrap.wrap(
            line,
            WIDTH,
            initial_indent="/// ",
            subsequent_indent="/// " if line == function.doc else "///   ",
            break_on_hyphens=False,
        ) or ["///"]
    return "\n".join([*comment, declaration(name, function)])


def section(namespace: str) -> str:
    """The functions of a namespace, by name."""
    entries = {}
    for function in described():
        place, _, name = function.name.rpartition(".")
        if place == namespace and function.declared:
            entries[name] = declared(name, function)
    return "\n\n".join(entries[name] for name in sorted(entries))


PAGES: dict[str, sections.Makers] = {
    "ops.h": {"functions": lambda: section("")},
    "activations.h": {"activations": lambda: section("activations")},
}


def main() -> int:
    command = "tools/make_headers.py"
    return max(sections.update(FOLDER / name, makers, command) for name, makers in PAGES.items())


if __name__ == "__main__":
    sys.exit(main())
