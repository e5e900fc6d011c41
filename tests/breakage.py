"""What a fault is that tests/breakages.py puts into the code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Breakage:
    title: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]  # the first word is cpp, guarded, random or py
