"""Measures Chainrule and its peers in turn: one workload in one framework per process.

    python compare.py --python torch=~/torch/bin/python --python jax=~/jax/bin/python

A framework without --python uses the interpreter that runs this script (keras uses that of jax, and
torch-compile that of torch). Writes one row per workload, task and framework to --out (CSV), and
the comparison as a Markdown table beside it. Times are comparable only within one run; between
machines, compare the ratios.

With --python before=PATH an earlier Chainrule, installed there, takes part as a peer.

With --grid, training steps of models width-width-10 are measured instead, at many widths and batch
sizes, each for a short time, against the two frameworks that start quickly.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from results import (
    FOLDER,
    add_python_option,
    environment,
    interpreters,
    machine,
    output_of,
    table,
    with_spread,
    write,
)
from workloads import DENSE, GRID, TASKS, WORKLOADS

HERE = Path(__file__).resolve().parent
OURS, BEFORE = "chainrule", "before"
RUNNERS = {  # framework: (script, options, framework whose interpreter it takes by default)
    OURS: ("run_chainrule.py", (), None),
    BEFORE: ("run_chainrule.py", (), None),
    "torch": ("run_torch.py", (), None),
    "torch-compile": ("run_torch.py", ("--compile",), "torch"),
    "jax": ("run_jax.py", (), None),
    "keras": ("run_keras.py", (), "jax"),
}
TITLES = {
    OURS: "Chainrule",
    BEFORE: "Chainrule before",
    "torch": "PyTorch",
    "torch-compile": "torch.compile",
    "jax": "JAX jit",
    "keras": "Keras fit (JAX)",
}
QUICK = (OURS, "torch", "jax")  # those that start quickly, for --grid


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_python_option(parser)
    parser.add_argument("--grid", action="store_true", help="many sizes, each shortly")
    parser.add_argument(
        "--frameworks",
        nargs="+",
        choices=RUNNERS,
        help="default: all (before: if it has an interpreter); of --grid: " + ", ".join(QUICK),
    )
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, help="default: all")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--rounds", type=int, help="processes per workload and framework; default: 5, of --grid: 3"
    )
    parser.add_argument(
        "--seconds", type=float, help="measuring time of a process; default: 1.5, of --grid: 0.3"
    )
    parser.add_argument(
        "--timeout", type=float, default=300.0, help="seconds after which a process has failed"
    )
    parser.add_argument("--out", type=Path, help="default: dense.csv or grid.csv of the results")
    options = parser.parse_args(arguments)
    found = interpreters(parser, options.python, RUNNERS)
    frameworks = [f for f in RUNNERS if f != BEFORE or f in found]
    defaults: dict[str, object] = (
        {"frameworks": QUICK, "workloads": GRID, "rounds": 3, "seconds": 0.3}
        if options.grid
        else {"frameworks": frameworks, "workloads": DENSE, "rounds": 5, "seconds": 1.5}
    )
    defaults["out"] = FOLDER / ("grid.csv" if options.grid else "dense.csv")
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if BEFORE in options.frameworks and BEFORE not in found:
        parser.error("before needs an interpreter: --python before=PATH")
    for framework, (_, _, like) in RUNNERS.items():
        found.setdefault(framework, found.get(like, sys.executable) if like else sys.executable)
    options.interpreters = found
    if min(options.threads, options.rounds) < 1 or options.seconds <= 0:
        parser.error("--threads, --rounds and --seconds must be positive")
    return options


def run(framework: str, workload: str, task: str, options: argparse.Namespace) -> dict | None:
    """The report of one process, with its median; None (and the reason on stderr) if it failed."""
    script, extra, _ = RUNNERS[framework]
    command = [
        options.interpreters[framework],
        str(HERE / script),
        *extra,
        "--workload",
        workload,
        "--task",
        task,
    ]
    command += ["--seconds", str(options.seconds), "--threads", str(options.threads)]
    try:
        done = subprocess.run(
            command,
            env=environment(options.threads),
            capture_output=True,
            text=True,
            timeout=options.timeout,
        )
    except subprocess.TimeoutExpired:
        print(
            f"{framework} {workload} {task}: no result within {options.timeout:g} s",
            file=sys.stderr,
        )
        return None
    if done.returncode != 0:
        print(f"{framework} {workload} {task} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    report = json.loads(done.stdout.splitlines()[-1])
    report["median"] = statistics.median(report["samples"])
    return report


def row(
    framework: str, workload: str, task: str, reports: list[dict], options: argparse.Namespace
) -> dict:
    medians = [report["median"] for report in reports]
    return {
        "workload": workload,
        "task": task,
        "framework": framework,
        "version": reports[0]["version"],
        "median_ms": f"{statistics.median(medians):.5g}",
        "lowest_ms": f"{min(medians):.5g}",
        "highest_ms": f"{max(medians):.5g}",
        "rounds": len(reports),
        "seconds": options.seconds,
        "threads": options.threads,
        "python": output_of(
            options.interpreters[framework], "import platform; print(platform.python_version())"
        ),
    } | machine()


def cell(found: dict) -> str:
    return with_spread(*(float(found[key]) for key in ("median_ms", "lowest_ms", "highest_ms")))


def ratio(found: dict[str, dict]) -> float | None:
    """How many times faster than the best peer we are. `found`: rows of a workload by framework."""
    peers = [float(r["median_ms"]) for f, r in found.items() if f != OURS]
    return min(peers) / float(found[OURS]["median_ms"]) if peers and OURS in found else None


def by_workload(rows: list[dict], task: str) -> dict[str, dict[str, dict]]:
    """{workload: {framework: row}}"""
    found: dict[str, dict[str, dict]] = {}
    for r in rows:
        if r["task"] == task:
            found.setdefault(r["workload"], {})[r["framework"]] = r
    return found


def comparison(rows: list[dict], task: str) -> list[str]:
    """Lines of a Markdown table: milliseconds with half their range, and the best peer's time
    divided by ours."""
    found = by_workload(rows, task)
    frameworks = [f for f in RUNNERS if any(f in of for of in found.values())]
    cells = []
    for name, of in found.items():
        workload, times = WORKLOADS[name], ratio(of)
        goal = workload.goal if task == "step" else workload.predict_goal
        cells.append(
            [
                workload.title,
                *(cell(of[f]) if f in of else "-" for f in frameworks),
                f"{times:.2f}" if times else "-",
                f"{goal:g}" if goal else "-",
            ]
        )
    heads = ["work", *(TITLES[f] for f in frameworks), "times faster than the best peer", "goal"]
    return table(heads, cells)


def smallest(rows: list[dict]) -> list[str]:
    """The sentence about the least favourable size of a grid."""
    ratios = {name: ratio(of) for name, of in by_workload(rows, "step").items()}
    known = {name: value for name, value in ratios.items() if value}
    if not known:
        return []
    worst = min(known, key=lambda name: known[name])
    return [f"The smallest ratio is {known[worst]:.2f}, at {WORKLOADS[worst].title}.", ""]


def markdown(rows: list[dict], grid: bool) -> str:
    versions = {r["framework"]: f"{TITLES[r['framework']]} {r['version']}" for r in rows}
    first = rows[0]
    lines = [
        "# Dense models of many sizes" if grid else "# Dense models",
        "",
        f"{first['processor']}, {first['threads']} threads, float32, {first['date']}. "
        + ", ".join(versions[f] for f in RUNNERS if f in versions)
        + ".",
        "",
        f"Milliseconds: the median over {max(r['rounds'] for r in rows)} processes of each one's "
        "median, and half the range of those. Times are comparable within this page only.",
    ]
    titles = {
        "step": (
            "One training step of a model width-width-10" if grid else "One training step",
            "Forward, loss, backward, Adam update, loss read back. Chainrule and Keras: time of a "
            "whole `fit` epoch after the first, divided by its steps, with shuffling and batching. "
            "PyTorch and JAX: a loop over batches that already lie in the framework's memory.",
        ),
        "predict": (
            "Predicting a single sample",
            "From a NumPy array to a NumPy array, the Python call included.",
        ),
    }
    for task, (title, meaning) in titles.items():
        if any(r["task"] == task for r in rows):
            lines += ["", f"## {title}", "", meaning, ""]
            lines += [*(smallest(rows) if grid else []), *comparison(rows, task)]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    work = [
        (w, t) for t in TASKS if t in options.tasks for w in WORKLOADS if w in options.workloads
    ]
    work = [(w, t) for w, t in work if t == "step" or WORKLOADS[w].predict_goal]
    reports: dict[tuple[str, str, str], list[dict]] = {}
    failed = False
    for turn in range(options.rounds):
        for workload, task in work:
            for framework in options.frameworks:
                report = run(framework, workload, task, options)
                if report is None:
                    failed = True
                    continue
                reports.setdefault((framework, workload, task), []).append(report)
                done = f"[{turn + 1}/{options.rounds}] {workload} {task} {framework}"
                print(f"{done}: {report['median']:.4g} ms", flush=True)
    if not reports:
        return 1
    rows = [row(*key, found, options) for key, found in reports.items()]
    write(options.out, rows, markdown(rows, options.grid))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
