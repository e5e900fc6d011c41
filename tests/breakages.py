"""Breaks the code on purpose, in one place after the other, and checks that the tests see it:

    python tests/breakages.py             all of them, some ten minutes
    python tests/breakages.py scratch     those whose title contains a word

Needs a checkout without changes in which `python3 dev.py test` has passed: files are changed there,
compiled, and put back. The exit status is 0 only if every breakage was caught.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from breakage import Breakage
from breakages_of_engine import ENGINE
from breakages_of_models import MODELS

BREAKAGES = ENGINE + MODELS

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "release"
BIN = ROOT / ".venv" / "bin"
SECONDS = 900  # of one build or test


def run(*command: str | Path, env: dict[str, str] | None = None) -> int:
    """The exit status; 1 for what takes more than SECONDS."""
    try:
        return subprocess.run(
            list(map(str, command)),
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
        ).returncode
    except subprocess.TimeoutExpired:
        return 1


def build(kind: str) -> None:
    """What the tests of a kind run."""
    if kind == "py":
        status = run(BIN / "python", "-m", "pip", "install", "--no-build-isolation", ROOT)
    else:
        target = "chainrule_random_models" if kind == "random" else "chainrule_tests"
        status = run(BIN / "cmake", "--build", BUILD, "--target", target)
    if status != 0:
        raise SystemExit(f"breakages: does not compile ({kind})")


def test(kind: str, *arguments: str) -> int:
    if kind == "py":
        names = [ROOT / "tests" / "python" / name for name in arguments]
        return run(BIN / "pytest", "-x", "-q", *names)
    program = "chainrule_random_models" if kind == "random" else "chainrule_tests"
    env = {"CHAINRULE_GUARDS": "1"} if kind == "guarded" else {}
    return run(BUILD / program, *arguments, env=env)


def is_caught(breakage: Breakage) -> bool:
    kind, path = breakage.tests[0], ROOT / breakage.file
    right = path.read_text()
    if right.count(breakage.right) != 1:
        raise SystemExit(f"breakages: {breakage.file} no longer holds once: {breakage.right}")
    try:
        path.write_text(right.replace(breakage.right, breakage.wrong))
        build(kind)
        return test(*breakage.tests) != 0
    finally:
        path.write_text(right)


def main(words: list[str]) -> int:
    changed = subprocess.run(
        ["git", "status", "--porcelain"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    if changed.stdout:
        raise SystemExit(f"breakages: commit these first:\n{changed.stdout}")
    chosen = [b for b in BREAKAGES if all(word in b.title for word in words)]
    missed = []
    for breakage in chosen:
        caught = is_caught(breakage)
        print(f"{'caught' if caught else 'MISSED'}: {breakage.title}", flush=True)
        if not caught:
            missed.append(breakage)
    for kind in {breakage.tests[0] for breakage in chosen}:
        build(kind)  # the right code again
    print(f"{len(chosen) - len(missed)} of {len(chosen)} breakages were caught")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
