"""Measures Chainrule and its peers in turn: one workload in one framework per process.

    python compare.py --python torch=~/torch/bin/python --python jax=~/jax/bin/python

Frameworks without a --python of their own use the interpreter that runs this script (keras takes
jax's, and torch-compile torch's). Writes one row per workload, task and framework to --out (CSV),
and the comparison as a Markdown table beside it. Times are comparable only within one run; between
machines, compare the ratios.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from workloads import TASKS, WORKLOADS

HERE = Path(__file__).resolve().parent
OURS = "chainrule"
RUNNERS = {  # framework: (script, options, whose interpreter if it has none of its own)
    OURS: ("run_chainrule.py", (), None),
    "torch": ("run_torch.py", (), None),
    "torch-compile": ("run_torch.py", ("--compile",), "torch"),
    "jax": ("run_jax.py", (), None),
    "keras": ("run_keras.py", (), "jax"),
}
TITLES = {
    OURS: "Chainrule",
    "torch": "PyTorch",
    "torch-compile": "torch.compile",
    "jax": "JAX jit",
    "keras": "Keras fit (JAX)",
}
FIELDS = (
    "workload task framework version median_ms lowest_ms highest_ms rounds seconds threads "
    "python processor system date"
).split()
# Settings that would choose another kernel or thread count for one framework only.
UNSET = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "KMP_AFFINITY",
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "GOMP_CPU_AFFINITY",
)


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="FRAMEWORK=PATH",
        help="interpreter of a framework",
    )
    parser.add_argument("--frameworks", nargs="+", choices=RUNNERS, default=list(RUNNERS))
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--rounds", type=int, default=5, help="processes per workload and framework"
    )
    parser.add_argument("--seconds", type=float, default=1.5, help="measuring time of a process")
    parser.add_argument(
        "--timeout", type=float, default=300.0, help="seconds after which a process has failed"
    )
    parser.add_argument("--out", type=Path, default=HERE.parent / "results" / "dense.csv")
    options = parser.parse_args(arguments)
    interpreters = {}
    for item in options.python:
        framework, _, path = item.partition("=")
        if framework not in RUNNERS or not path:
            parser.error(
                f"--python must be FRAMEWORK=PATH with one of {', '.join(RUNNERS)}. "
                f"Received: {item}"
            )
        interpreters[framework] = os.path.expanduser(path)
    for framework, (_, _, like) in RUNNERS.items():
        interpreters.setdefault(
            framework, interpreters.get(like, sys.executable) if like else sys.executable
        )
    options.interpreters = interpreters
    if min(options.threads, options.rounds) < 1 or options.seconds <= 0:
        parser.error("--threads, --rounds and --seconds must be positive")
    return options


def environment(threads: int) -> dict[str, str]:
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
    version = subprocess.run(
        [
            options.interpreters[framework],
            "-c",
            "import platform; print(platform.python_version())",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
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
        "python": version,
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "date": date.today().isoformat(),
    }


def cell(found: dict | None) -> str:
    if found is None:
        return "-"
    median, lowest, highest = (
        float(found[key]) for key in ("median_ms", "lowest_ms", "highest_ms")
    )
    return f"{median:.3g} ±{50 * (highest - lowest) / median:.0f}%"


def table(rows: list[dict], task: str) -> list[str]:
    """Lines of a Markdown table: milliseconds, half their range, our ratio to the best peer."""
    rows = [r for r in rows if r["task"] == task]
    frameworks = [f for f in RUNNERS if any(r["framework"] == f for r in rows)]
    heads = ["work", *(TITLES[f] for f in frameworks), "times faster than the best peer", "goal"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, workload in WORKLOADS.items():
        found = {r["framework"]: r for r in rows if r["workload"] == name}
        if not found:
            continue
        peers = [float(r["median_ms"]) for f, r in found.items() if f != OURS]
        ratio = (
            f"{min(peers) / float(found[OURS]['median_ms']):.2f}"
            if peers and OURS in found
            else "-"
        )
        goal = workload.goal if task == "step" else workload.predict_goal
        cells = [
            workload.title,
            *(cell(found.get(f)) for f in frameworks),
            ratio,
            f"{goal:g}" if goal else "-",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def markdown(rows: list[dict]) -> str:
    versions = {r["framework"]: f"{TITLES[r['framework']]} {r['version']}" for r in rows}
    first = rows[0]
    lines = [
        "# Dense models",
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
            "One training step",
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
            lines += ["", f"## {title}", "", meaning, "", *table(rows, task)]
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
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    text = markdown(rows)
    options.out.with_suffix(".md").write_text(text)
    print(f"\n{text}\nWritten: {options.out} and {options.out.with_suffix('.md')}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
