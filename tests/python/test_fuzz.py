"""Damaged files, weights, JSON and configurations: ten thousand of them (tests/fuzz)."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

FUZZER = Path(__file__).parents[1] / "fuzz" / "fuzz_files.py"


def fuzz(*arguments, timeout=900):
    return subprocess.run(
        [sys.executable, str(FUZZER), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def test_ten_thousand_mutants():
    done = fuzz("--mutants", 10_000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fuzz: 10000 mutants" in done.stdout
    loaded = int(done.stdout.split("mutants, ")[1].split(" loaded")[0])
    assert 500 < loaded < 9500, "the mutants are damaged too much or too little to show anything"


FAULTS = {
    "a crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "by SIGSEGV"),
    "a hang": ("import time; time.sleep(600)", "hangs"),
    "another exception": ("raise KeyError('units')", "KeyError"),
    "growth": ("kept.append(bytearray(b'x' * 2**20))", "memory grew"),
}


@pytest.mark.parametrize(("fault", "message"), FAULTS.values(), ids=FAULTS)
def test_the_fuzzer_sees(tmp_path, fault, message):
    """Faults put into what loads the mutants."""
    for name in ("fuzz_files.py", "corpus.py"):
        (tmp_path / name).write_text((FUZZER.parent / name).read_text())
    with open(tmp_path / "corpus.py", "a") as file:
        file.write(
            f"\n\nkept = []\n\n\ndef load(path, compile):\n    {fault}\n    raise ValueError(1)\n"
        )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "fuzz_files.py"), "--mutants", "1300", "--patience", "15"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert message in done.stdout
