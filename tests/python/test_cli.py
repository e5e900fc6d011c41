"""The command line."""

import re
import subprocess
import sys

import processes
import pytest
from processes import started

import chainrule

pytestmark = pytest.mark.once


def run(*arguments, check=True):
    command = [sys.executable, "-m", "chainrule", *map(str, arguments)]
    return processes.run(command, check=check, capture_output=True, text=True)


def test_demo_learns_to_read_digits(tmp_path):
    path = tmp_path / "digits.safetensors"
    out = run("demo", "--output", path).stdout
    accuracy = float(re.search(r"held-out digits: ([\d.]+) %", out)[1])
    assert accuracy >= 97.0
    assert float(re.search(r"Time to train .*: ([\d.]+) s", out)[1]) < 5
    assert f"Saved the model: {path}" in out
    (_, _), (x_test, y_test) = chainrule.datasets.digits.load_data()
    model = chainrule.models.load_model(path)
    again = model.evaluate(x_test.astype("float32") / 16, y_test, verbose=0, return_dict=True)[
        "accuracy"
    ]
    assert 100 * again == pytest.approx(accuracy, abs=0.06)


def test_demo_with_epochs(tmp_path):
    out = run("demo", "--epochs", 2, "--output", tmp_path / "m.safetensors").stdout
    assert "Epoch 2/2" in out
    assert run("demo", "--epochs", 0, check=False).returncode == 2
    failed = run(
        "demo", "--epochs", 1, "--output", tmp_path / "nowhere" / "m.safetensors", check=False
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith("chainrule: [")


def test_info():
    out = run("info").stdout
    assert re.search(rf"^chainrule +{re.escape(chainrule.__version__)}$", out, re.MULTILINE)
    assert re.search(r"^instruction set +\w+ \(of .*reference\)$", out, re.MULTILINE)
    assert re.search(r"^threads +\d+$", out, re.MULTILINE)


def test_a_reader_that_goes_away_is_no_error_of_ours():
    command = [sys.executable, "-m", "chainrule", "info"]
    with started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()  # long before anything is written
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_version():
    assert run("--version").stdout == f"chainrule {chainrule.__version__}\n"


def test_cmake_dir():
    result = run("--cmake-dir", check=False)
    if result.returncode == 0:
        assert result.stdout.strip().endswith("lib/cmake/chainrule")
    else:
        assert "the CMake package is not in this installation" in result.stderr


def test_no_command_shows_the_help():
    result = run(check=False)
    assert result.returncode == 2
    assert "demo" in result.stdout
