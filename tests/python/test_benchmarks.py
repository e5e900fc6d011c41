"""The scripts that measure: what they make of the times that they are given."""

import argparse
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "python"


@pytest.fixture
def scripts(monkeypatch):
    """Their folder is searched for modules, as when one of them is run."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in (path.stem for path in FOLDER.glob("*.py")):
        sys.modules.pop(name, None)


def row(workload, framework, ms, task="step"):
    return {"workload": workload, "framework": framework, "median_ms": str(ms), "task": task}


@pytest.mark.usefixtures("scripts")
def test_a_product_is_compared_with_the_fastest_of_the_others():
    import gemm

    rates = {"chainrule": 90.0, "openblas": 100.0, "eigen": 60.0}
    cells = gemm.cells(("tn", 784, 512, 128), rates, 180.0, list(rates))
    assert cells == [
        *("784 x 512 x 128, A transposed", "90.0", "100.0", "60.0"),
        *("0.90", "0.95", "50%"),
    ]
    assert gemm.cells(("nn", 2, 2, 2), {"chainrule": 9.0}, 90.0, ["chainrule"])[-3:] == [
        *("-", "-", "10%"),
    ]


@pytest.mark.usefixtures("scripts")
def test_the_smallest_ratio_of_a_grid_is_named():
    import compare

    rows = [row("mlp8x1", "chainrule", 1), row("mlp8x1", "torch", 9), row("mlp8x1", "jax", 3)]
    rows += [row("mlp8x16", "chainrule", 2), row("mlp8x16", "jax", 5)]
    rows += [row("mlp32x1", "jax", 1)]  # not measured with Chainrule: no ratio
    assert compare.smallest(rows) == ["The smallest ratio is 2.50, at width 8, batch 16.", ""]
    assert compare.smallest([]) == []


@pytest.mark.usefixtures("scripts")
def test_medians_of_runs_are_taken_by_column():
    import threads

    runs = [[{"width": "8", "ratio": str(value)}] for value in (1.2, 0.9, 1.0)]
    assert threads.medians(runs, ("width",)) == [{"width": "8", "ratio": 1.0}]


@pytest.mark.usefixtures("scripts")
def test_the_pool_stands_beside_openmp():
    import threads

    def rows(*times):
        return [
            {"width": "8", "batch": batch, "auto_us": time, "best_us": time}
            for batch, time in zip(("1", "16"), times, strict=True)
        ]

    both = threads.beside(rows(2.0, 4.0), rows(4.0, 2.0)[::-1])
    assert [threads.ratio_to_pool(row) for row in both] == [2.0, 0.5]
    lines = threads.openmp_lines(both)
    assert lines[1].endswith("The geometric mean is 1.00.")
    assert lines[-1] == "| 8 | 2.00 | 0.50 |"


@pytest.mark.usefixtures("scripts")
def test_the_worst_error_over_the_instruction_sets_counts():
    import ulp

    rows = [
        {"isa": isa, "function": "exp", "dtype": "float32", "max_ulp": value}
        for isa, value in (("avx2", "0.50"), ("reference", "1.25"), ("avx512", "0.75"))
    ]
    assert "| exp | 1.25 | - |" in ulp.markdown(rows)


@pytest.mark.usefixtures("scripts")
def test_expressions_are_compared_by_the_medians_of_both_sides():
    import expressions

    head = "expression,size,threads,chainrule_us,eigen_us,times_faster"
    runs = [
        expressions.times_of(
            [head, *(f"C = A,{n},1,{ours},{peer},9" for n in expressions.SHOWN)],
        )
        for ours, peer in ((0.004, 0.006), (0.008, 0.012), (0.005, 99))
    ]
    cells = expressions.cells("C = A", expressions.medians(runs))
    assert cells == ["`C = A`", *["2.40 (5 ns)"] * len(expressions.SHOWN)]
    durations = [expressions.duration(x) for x in (0.9996, 12.34, 4567)]
    assert durations == ["1 us", "12.3 us", "4.57 ms"]
    with pytest.raises(ValueError, match="without Eigen"):
        expressions.times_of([head, "C = A,4,1,1.0,,"])


@pytest.mark.usefixtures("scripts")
def test_interpreters_of_unknown_frameworks_are_refused(capsys):
    import results

    parser = argparse.ArgumentParser()
    found = results.interpreters(parser, ["torch=/a", "jax=/b=c"], ["torch", "jax"])
    assert found == {"torch": "/a", "jax": "/b=c"}
    for item in ("keras=/a", "torch=", "torch"):
        with pytest.raises(SystemExit):
            results.interpreters(parser, [item], ["torch", "jax"])
        assert f"Received: {item}" in capsys.readouterr().err


@pytest.mark.usefixtures("scripts")
def test_measuring_processes_run_without_settings_of_one_library(monkeypatch):
    import results

    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    environment = results.environment(2)
    assert "OPENBLAS_CORETYPE" not in environment
    assert environment["OMP_NUM_THREADS"] == "2"
