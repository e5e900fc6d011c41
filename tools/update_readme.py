#!/usr/bin/env python3
"""Fills the parts of README.md that come from the code or from a measurement.

python tools/update_readme.py           write README.md
python tools/update_readme.py --check   exit with 1 if it is not up to date

Each part stands between `<!-- name -->` and `<!-- /name -->`:

dense     the tables that benchmarks/python/compare.py wrote to benchmarks/results/dense.md
claim     one sentence that sums them up
catalog   the public names of the installed package
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from sections import filled, update  # noqa: E402

README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results" / "dense.md"

NOT_MEASURED = """\
*Not measured yet: `python benchmarks/python/compare.py` measures Chainrule, PyTorch, JAX and Keras
side by side and writes the table, `python tools/update_readme.py` puts it here.*"""
GROUPS = {
    "Models": "models",
    "Layers": "layers",
    "Losses": "losses",
    "Metrics": "metrics",
    "Optimizers": "optimizers",
    "Initializers": "initializers",
    "Activations": "activations",
    "Callbacks": "callbacks",
    "Data sets": "datasets",
}
# Public names that the table leaves out: base classes, look-up functions, InputLayer.
LEFT_OUT = {
    *("get", "serialize", "deserialize", "Layer", "Loss", "Metric", "Optimizer", "Initializer"),
    *("Callback", "InputLayer"),
}


# --- measurements ---------------------------------------------------------------------------------


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables(text: str) -> list[list[list[str]]]:
    """The Markdown tables of a text, as rows of cells; the first row is the head."""
    found = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    return [[cells(line) for line in table.splitlines() if "|---" not in line] for table in found]


def claim() -> str:
    """The sentence that the table of training steps supports."""
    if not RESULTS.exists():
        return ""
    table = tables(RESULTS.read_text())[0]
    head = table[0]
    column = next(i for i, name in enumerate(head) if "best peer" in name)
    ratios = [float(row[column]) for row in table[1:] if row[column] != "-"]
    peers = [name for name in head[1:column] if name != "Chainrule"]
    if not ratios or not peers:
        return ""
    named = peers[0] if len(peers) == 1 else f"{', '.join(peers[:-1])} and {peers[-1]}"
    return (
        f"A training step of dense models is {min(ratios):.2g} to {max(ratios):.2g} times as fast "
        f"as with the fastest of\n{named}, [side by side on one machine](#speed)."
    )


def without_goals(table: list[list[str]]) -> list[str]:
    """The lines of a table without the column of goals."""
    kept = [i for i, name in enumerate(table[0]) if name != "goal"]
    rows = [[row[i] for i in kept] for row in table]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(kept), *lines[1:]]


def dense() -> str:
    if not RESULTS.exists():
        return NOT_MEASURED
    text = RESULTS.read_text()
    head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    result = []
    for section in sections:
        title, _, body = section.partition("\n")
        prose = body.split("\n|")[0].strip()
        for table in tables(section):
            result += [f"**{title}.** {prose}\n", *without_goals(table), ""]
    result += [re.sub(r"^# .*\n", "", head).strip()]
    return "\n".join(result).strip()


# --- catalog --------------------------------------------------------------------------------------


def names_of(namespace: str) -> list[str]:
    """Public names; of losses only the classes, not the functions."""
    module = importlib.import_module(f"chainrule.{namespace}")
    names = [name for name in module.__all__ if name not in LEFT_OUT]
    if namespace == "losses":
        names = [name for name in names if name[0].isupper()]
    return sorted(names, key=str.lower)


def catalog() -> str:
    lines = ["| | |", "|---|---|"]
    for title, namespace in GROUPS.items():
        names = ", ".join(f"`{name}`" for name in names_of(namespace))
        lines.append(f"| [{title}](docs/api/{namespace}.md) | {names} |")
    return "\n".join(lines)


# --- the file -------------------------------------------------------------------------------------


MAKERS = {"claim": claim, "dense": dense, "catalog": catalog}


def updated(text: str) -> str:
    return filled(README, text, MAKERS)


if __name__ == "__main__":
    sys.exit(update(README, MAKERS, "tools/update_readme.py"))
