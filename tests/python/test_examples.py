"""The example programs run, and what they claim holds: each asserts it and ends with an error if
it does not."""

import os
import re
import sys
from pathlib import Path

import processes
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "python"
# What an example prints when its claim holds, with the least number if there is one.
CLAIMS = {
    "batch_normalization.py": (r"two held-out digits is found in ([\d.]+) % of the pairs", 95.0),
    "custom_layer.py": (r"Predictions less than 0.1 from the surface: ([\d.]+) %", 95.0),
    "digits.py": (r"Accuracy on 355 held-out digits: ([\d.]+) %", 95.0),
    "functional.py": (r"Accuracy on pairs of held-out digits: ([\d.]+) %", 95.0),
    "mnist.py": (r"Test accuracy: ([\d.]+) %", 98.0),
    "resume.py": (r"All losses and all weights are equal bit for bit\.", None),
}


def run(name, folder, **environment):
    """What the example prints; it runs in an empty folder, with warnings as errors."""
    result = processes.run(
        [sys.executable, "-W", "error", FOLDER / name],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=1800,  # MNIST with the reference kernels on a busy machine
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def check(name, printed):
    pattern, least = CLAIMS[name]
    found = re.search(pattern, printed)
    assert found, printed
    if least is not None:
        assert float(found[1]) >= least, printed


def test_every_example_is_here():
    assert {path.name for path in FOLDER.glob("*.py")} == set(CLAIMS)


@pytest.mark.parametrize("name", sorted(set(CLAIMS) - {"mnist.py"}))
def test_example(name, tmp_path):
    check(name, run(name, tmp_path))


def mnist_folder():
    """The folder with mnist.npz: the one that CHAINRULE_DATA names, or one beside the checkout."""
    given = os.environ.get("CHAINRULE_DATA")
    folder = Path(given) if given else ROOT.parent / "shared" / "data"
    if (folder / "mnist.npz").is_file():
        return folder
    if given:
        pytest.fail(f"CHAINRULE_DATA must name a folder with mnist.npz. Received: {given}")
    pytest.skip("mnist.npz is not on this machine: name its folder in CHAINRULE_DATA")


def test_mnist(tmp_path):
    folder = mnist_folder().resolve()
    check("mnist.py", run("mnist.py", tmp_path, CHAINRULE_DATA=str(folder)))
