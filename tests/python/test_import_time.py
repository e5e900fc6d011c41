"""Importing chainrule costs little more than importing NumPy."""

import sys

import processes
import pytest

pytestmark = pytest.mark.once

LIMIT = 0.1  # seconds


def seconds(module):
    """The processor time of the fastest of several imports in fresh processes."""
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    command = [sys.executable, "-c", code]
    times = [
        float(processes.run(command, check=True, capture_output=True).stdout) for _ in range(5)
    ]
    return min(times)


def test_import_time():
    assert seconds("chainrule") - seconds("numpy") < LIMIT


def test_nothing_heavy_is_imported():
    code = "import sys, chainrule; print(*sorted(sys.modules))"
    out = processes.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert not {"urllib.request", "http.client", "ssl", "chainrule.datasets", "asyncio"} & set(
        out.split()
    )
