"""The number of threads that runs use."""

from __future__ import annotations

from typing import Any

from chainrule import _core


def option(given: Any, where: str) -> int:
    """A number of threads as the engine takes it: 0 for None."""
    if given is None:
        return 0
    number = _core.integer(given, where, "threads")
    if not 1 <= number <= _core.max_threads:
        raise ValueError(
            f"[{where}] threads must be from 1 to {_core.max_threads}, or None. Received: "
            f"threads={given!r}"
        )
    return number


def set_num_threads(threads: int | None) -> None:
    """Fixes the number of threads of all later runs of this process. Results do not depend on it.

    The argument `threads` of fit(), evaluate() and predict() takes precedence. A run inside a
    parallel region of OpenMP uses one thread. If no number is fixed, the environment variable
    CHAINRULE_NUM_THREADS counts, then the first number of OMP_NUM_THREADS. Without these, a model
    uses as many of the processors that the system grants as prove fastest.

    Args:
        threads: From 1 to 256. None: no longer fixed.

    Example:

    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(None)
    """
    _core.set_num_threads(option(threads, "set_num_threads"))


def get_num_threads() -> int:
    """The most threads that a run would use now."""
    return _core.get_num_threads()


def shutdown_threads() -> None:
    """Ends the worker threads, after the work that they have now. The next run starts new ones."""
    _core.shutdown_threads()
