"""Calls public functions with wrong arguments, one after the other, in a process of its own:

    python argument_runner.py GROUP LOG

LOG gets a line before each call, so that a crash names its culprit, and a line for each fault.
Nothing else may be written, printed or changed.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import argument_cases as cases

import chainrule as cr

MEMORY = 8 << 30  # bytes of address space
SECONDS = 10.0  # for one call
# In messages these are words of the tools that the project is built with, or of its inside.
FOREIGN = re.compile(
    r"incompatible function arguments|pybind11|Unable to cast|std::|bad_\w|_core\b|basic_string|"
    r"vector::|invalid literal|\.cpp\b|\.h:\d|C\+\+ type|unhashable"
)
ALLOWED = (TypeError, ValueError, RuntimeError, OSError, AttributeError)  # and what derives from
# them, but for what says nothing to a caller:
FAULTS = (KeyError, IndexError, UnicodeError, RecursionError)
# A name in brackets; or Python's own words for arguments that a function does not have.
NAMED = re.compile(r"\[[^\]]*[A-Za-z_][^\]]*\] |\w\(\) (got|takes|missing)")


class Timeout(BaseException):
    pass


def expire(signum: int, frame: Any) -> None:
    raise Timeout


def fault_of(call: Callable[[], Any]) -> tuple[str | None, bool]:
    """What is wrong with how a call ends, and whether it was refused."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        call()
        return None, False
    except Timeout:
        return f"takes more than {SECONDS} s", False
    except IndexError as error:  # of a subscript, as Python and NumPy say it
        text = str(error)
        told = "out of range for axis" in text or "index-sized integer" in text
        return (None if told else f"IndexError: {text[:200]}"), True
    except ALLOWED as error:
        text = str(error)
        kind = type(error).__name__
        if isinstance(error, FAULTS):
            return f"{kind}: {text[:200]}", True
        if found := FOREIGN.search(text):
            return f"words of another ({found[0]}): {kind}: {text[:300]}", True
        if not NAMED.search(text) and not isinstance(error, AttributeError):
            return f"names no function: {kind}: {text[:200]}", True
        if len(text) > 2_000:
            return f"a message of {len(text)} characters: {text[:200]}", True
        return None, True
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]}", True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def state_of(thing: Any) -> Any:
    """What a refused call must not have changed."""
    if isinstance(thing, cr.Model):
        optimizer = thing.optimizer
        return (
            [w.tobytes() for w in thing.get_weights()],
            [(layer.name, layer.trainable) for layer in thing.layers],
            (optimizer.learning_rate, optimizer.iterations),
            (thing.name, thing.trainable, thing.stop_training),
        )
    if isinstance(thing, cr.layers.Layer):
        weights = [w.tobytes() for w in thing.get_weights()]
        return weights, thing.name, thing.trainable, thing.built
    if isinstance(thing, (cr.losses.Loss, cr.metrics.Metric, cr.optimizers.Optimizer)):
        return thing.name, str(thing.get_config())
    if hasattr(thing, "numpy"):
        return thing.numpy().tobytes()
    return None


class Run:
    def __init__(self, log: int) -> None:
        self.log = log
        self.calls = 0

    def write(self, kind: str, text: str) -> None:
        os.write(self.log, f"{kind} {text}\n".encode(errors="backslashreplace"))

    def __call__(
        self, what: str, call: Callable[[], Any], thing: Any = None, must_work: bool = False
    ) -> bool:
        """Calls, and notes what is wrong; whether `thing` may have changed."""
        self.write("CALL", what)
        self.calls += 1
        before = state_of(thing)
        fault, refused = fault_of(call)
        if refused and fault is None and must_work:
            fault = "right arguments are refused"
        if fault is not None:
            self.write("FAULT", f"{what}: {fault!r}")
        if refused and state_of(thing) != before:
            self.write("FAULT", f"{what}: refused, but something has changed")
            return True
        return not refused and thing is not None


def try_arguments(
    run: Run, name: str, make: Callable[[], Any], right: Callable[[], dict[str, Any]]
) -> None:
    """All arguments right, then each of them wrong in all ways, one that is unknown, too many, and
    none. `make` gives what is called, and what may have changed by it: None for functions."""
    function, thing = make()
    can = name not in cases.ABSTRACT
    if run(f"{name}()", partial(function, **right()), thing, must_work=can):
        function, thing = make()
    known = list(right())
    known += [p.name for p in cases.parameters(function) if p.name not in known]
    for argument in known:
        for label, wrong in cases.WRONG.items():
            given = {**right(), argument: wrong()}
            if (name, argument, label) in cases.SKIPPED:
                continue
            if run(f"{name}({argument}={label})", partial(function, **given), thing):
                function, thing = make()
    run(f"{name}(surprise=1)", partial(function, **right(), surprise=1), thing)
    run(f"{name}(too many)", partial(function, *range(20)), thing)
    if any(p.default is p.empty for p in cases.parameters(function)):
        run(f"{name}(nothing)", function, thing)


def members_of(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    """Public methods and properties, and operators, of the classes that are chainrule's."""
    inherited = set(cases.INHERITED.get(name, object).__mro__)
    for cls in type(thing).__mro__:
        if cls in inherited or not cls.__module__.startswith("chainrule"):
            continue
        for member, value in vars(cls).items():
            if member in cases.OPERATORS or not member.startswith("_"):
                yield member, value


def try_property(run: Run, name: str, member: str, make: Callable[[], Any]) -> None:
    thing = make()
    for label, wrong in cases.WRONG.items():
        if run(f"{name} = {label}", partial(setattr, thing, member, wrong()), thing):
            thing = make()


def try_positions(run: Run, name: str, member: str, make: Callable[[], Any]) -> None:
    """For functions of the engine, which do not tell their arguments."""
    thing = make()
    for label, wrong in cases.WRONG.items():
        for count in range(3):
            given = [wrong() for _ in range(count)]
            what = f"{name}({', '.join([label] * count)})"
            if run(what, partial(getattr(thing, member), *given), thing):
                thing = make()


def try_object(run: Run, name: str, make: Callable[[], Any]) -> None:
    thing = make()
    for member, value in dict(members_of(name, thing)).items():
        full = f"{name}.{member}"
        if member in cases.HOOKS or member.startswith("on_"):
            continue
        if isinstance(value, property) or not callable(getattr(thing, member, None)):
            try_property(run, full, member, make)
            continue
        try:
            right = cases.arguments(full, getattr(thing, member), cases.METHODS)
        except ValueError:  # it has no signature
            try_positions(run, full, member, make)
            continue

        def bound(member: str = member) -> tuple[Any, Any]:
            fresh = make()
            return getattr(fresh, member), fresh

        try_arguments(run, full, bound, lambda right=right: right)


def main(group: str, log: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, expire)
    warnings.simplefilter("error")
    # 1e300 is infinite in float32: that NumPy says so is right.
    warnings.filterwarnings("ignore", "overflow encountered in cast", RuntimeWarning)
    run = Run(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    if group in cases.OBJECTS:
        try_object(run, group, cases.OBJECTS[group])
    else:
        for name, thing in cases.public():
            if name.split(".")[0] == group:
                right = partial(cases.arguments, name, thing, cases.FUNCTIONS)
                try_arguments(run, name, lambda thing=thing: (thing, None), right)
    run.write("DONE", str(run.calls))


if __name__ == "__main__":
    main(*sys.argv[1:])
