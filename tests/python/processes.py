"""Processes that tests start. Each ends within its time limit, or is killed and fails its test."""

import contextlib
import subprocess
import threading

LIMIT = 300  # seconds: many times what the slowest takes on a busy machine


def run(command, *, timeout=LIMIT, **settings):
    """What subprocess.run gives: the same, but never without a time limit."""
    return subprocess.run(command, timeout=timeout, **settings)


@contextlib.contextmanager
def started(command, *, timeout=LIMIT, **settings):
    """A process for the block, e.g. to read its output line by line.

    After `timeout` seconds it is killed, so that a read that waits for it ends, and TimeoutError is
    raised at the end of the block, which waits for the process.
    """
    killed = threading.Event()

    def kill():
        killed.set()
        process.kill()

    with subprocess.Popen(command, **settings) as process:
        watchdog = threading.Timer(timeout, kill)
        watchdog.start()
        try:
            yield process
            process.wait(timeout=timeout)
        finally:
            watchdog.cancel()
            process.kill()  # nothing happens if it has ended
            if killed.is_set():
                raise TimeoutError(f"killed after {timeout} s: {command}")
