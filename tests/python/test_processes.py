"""No test can hang because of a process that it starts."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import started

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
ENDLESS = [sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(600)"]


def has_limit(call):
    return any(keyword.arg == "timeout" for keyword in call.keywords)


def calls(tree):
    """The dotted names that are called, with the calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield ast.unparse(node.func), node


def limitless(source):
    """Lines that start a process without a time limit. A Popen has one if its function waits for
    something with a timeout, or kills, as a watchdog does."""
    tree = ast.parse(source)
    found = []
    for name, call in calls(tree):
        short = name.removeprefix("subprocess.")
        if name in ("os.system", "os.popen"):
            found.append(call.lineno)
        elif name.startswith("subprocess.") and short != "Popen" and short.islower():
            if not has_limit(call):
                found.append(call.lineno)
        elif short == "Popen":
            homes = [
                node
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef)
                and node.lineno <= call.lineno <= (node.end_lineno or 0)
            ]
            watched = [
                each
                for home in homes
                for verb, each in calls(home)
                if has_limit(each) or verb.endswith(".kill")
            ]
            if not watched:
                found.append(call.lineno)
    return found


def test_processes_without_time_limit_are_found():
    assert limitless("subprocess.run(command)\nsubprocess.run(command, timeout=3)") == [1]
    assert limitless("x = 1\nsubprocess.check_output(command)") == [2]
    assert limitless("os.system('ls')") == [1]
    assert limitless("def f():\n    p = subprocess.Popen(command)\n    p.wait()") == [2]
    assert limitless("def f():\n    p = subprocess.Popen(command)\n    p.wait(timeout=3)") == []


def test_every_process_has_a_time_limit():
    found = {
        f"{file.relative_to(ROOT)}:{line}"
        for file in (ROOT / "tests").rglob("*.py")
        for line in limitless(file.read_text())
    }
    assert found == set()


def read_all(timeout):
    with started(ENDLESS, timeout=timeout, stdout=subprocess.PIPE) as process:
        process.stdout.read()


def test_a_process_that_hangs_is_killed():
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"killed after 0\.5 s"):
        read_all(0.5)
    assert time.monotonic() - start < 60


def test_a_process_that_a_failed_test_leaves_is_killed():
    with pytest.raises(ZeroDivisionError), started(ENDLESS) as process:
        raise ZeroDivisionError
    assert process.returncode == -9
