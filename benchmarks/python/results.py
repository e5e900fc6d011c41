"""Shared by the scripts that measure: interpreters, environment variables, a description of the
machine, and files of results. Needs only the standard library."""

from __future__ import annotations

import argparse
import csv
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "results"
# Environment variables that would choose another kernel or thread count for one framework only.
UNSET = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "KMP_AFFINITY",
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "GOMP_CPU_AFFINITY",
)


def add_python_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="interpreter of a framework or library; repeat for each",
    )


def add_bench_options(parser: argparse.ArgumentParser, program: str, out: str) -> None:
    """--bench, the path of a C++ program, and --out, by default `out` in the folder of results."""
    parser.add_argument(
        "--bench", type=Path, required=True, metavar="PATH", help=f"the program {program}"
    )
    parser.add_argument("--out", type=Path, default=FOLDER / out)


def interpreters(
    parser: argparse.ArgumentParser, items: Iterable[str], names: Iterable[str]
) -> dict[str, str]:
    """{name: interpreter} of --python options; an error of the command line unless they are of
    `names`."""
    found, known = {}, list(names)
    for item in items:
        name, _, path = item.partition("=")
        if name not in known or not path:
            parser.error(
                f"--python must be NAME=PATH with one of {', '.join(known)}. Received: {item}"
            )
        found[name] = os.path.expanduser(path)
    return found


def output_of(python: str, program: str) -> str:
    """What `python -c program` prints, without the end of the line."""
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def environment(threads: int) -> dict[str, str]:
    """The environment of a process that measures: `threads` threads for every library, and no
    setting that favours one."""
    result = {key: value for key, value in os.environ.items() if key not in UNSET}
    for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        result[key] = str(threads)
    return result | {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}


def processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine() -> dict[str, str]:
    """The last columns of every CSV file."""
    return {
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "date": date.today().isoformat(),
    }


def with_spread(median: float, lowest: float, highest: float) -> str:
    """A median, and half the range in percent of the median."""
    return f"{median:.3g} ±{50 * (highest - lowest) / median:.0f}%"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in (heads, *rows)]
    return [lines[0], "|---" * len(heads) + "|", *lines[1:]]


def write(out: Path, rows: Sequence[dict[str, object]], text: str) -> None:
    """Rows to `out` (CSV), text to the Markdown file beside it and to the terminal."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    out.with_suffix(".md").write_text(text)
    print(f"\n{text}\nWritten: {out} and {out.with_suffix('.md')}")
