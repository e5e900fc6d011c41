"""Shows the progress of runs: one line that is updated in a terminal or notebook, plain lines in a
log file."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

INTERVAL = 0.1  # seconds between two updates of the line
BAR = 20  # characters


def is_live(stream: Any) -> bool:
    """Whether a line can be written over: a terminal, or the output of a notebook."""
    is_terminal = getattr(stream, "isatty", None)  # a plain logger has none
    return (is_terminal is not None and bool(is_terminal())) or "ipykernel" in sys.modules


def duration(seconds: float) -> str:
    """12 ms, 3.4 s, 2:05, 1:02:03."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def numbers(logs: dict[str, float]) -> str:
    """loss: 0.1234 - accuracy: 0.9876"""
    ordered = sorted(
        logs.items(), key=lambda item: (item[0].startswith("val_"), not item[0].endswith("loss"))
    )
    return " - ".join(f"{name}: {_number(value)}" for name, value in ordered)


def _number(value: float) -> str:
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"


class Line:
    """One line of output. `live`: update() overwrites it; else only finish() writes. The stream
    needs only write(). If it is None, as sys.stdout may be, nothing is written."""

    def __init__(self, stream: Any = None, live: bool | None = None) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.live = is_live(self.stream) if live is None else live
        encoding = str(getattr(self.stream, "encoding", None) or "ascii").lower()
        self.full, self.empty = ("━", "─") if encoding.startswith("utf") else ("#", ".")
        self.written = 0
        self.last_update = 0.0

    def due(self) -> bool:
        return self.live and time.monotonic() - self.last_update >= INTERVAL

    def bar(self, part: float) -> str:
        filled = round(BAR * part)
        return self.full * filled + self.empty * (BAR - filled)

    def update(self, text: str) -> None:
        if self.live:
            self.last_update = time.monotonic()
            self._write("\r", text)

    def finish(self, text: str) -> None:
        self._write("\r" if self.live and self.written else "", text, "\n")
        self.written = 0

    def break_off(self) -> None:
        """Ends an unfinished line as it stands."""
        if self.written:
            self._out("\n")
            self.written = 0

    def _write(self, start: str, text: str, end: str = "") -> None:
        if self.live:
            columns = shutil.get_terminal_size().columns or 80  # 0: the terminal does not say
            text = text[: max(columns - 1, 20)]
        self._out(start + text + " " * (self.written - len(text)) + end)
        self.written = len(text) if self.live else 0

    def _out(self, text: str) -> None:
        if self.stream is None:
            return
        self.stream.write(text)
        flush = getattr(self.stream, "flush", None)
        if flush is not None:
            flush()


class Progress:
    """The progress of fit(), evaluate() or predict().

    Args:
        bar: Whether to show the running epoch; else only its end.
        epochs: Number of the last epoch; 0 outside of fit().
    """

    def __init__(self, bar: bool, epochs: int, line: Line | None = None) -> None:
        self.bar = bar
        self.epochs = epochs
        self.line = line or Line()
        self.title = ""
        self.steps = 0
        self.start = time.monotonic()

    def begin(self, title: str) -> None:
        self.title = title
        self.steps = 0
        self.start = time.monotonic()

    def advance(
        self, phase: str, step: int, steps: int, logs: Callable[[], dict[str, Any]]
    ) -> None:
        validating = phase == "test" and self.epochs > 0
        if not validating:
            self.steps = steps
        if not self.bar or not self.line.due():
            return
        elapsed = time.monotonic() - self.start
        if validating:
            self.line.update(
                f"{self.title}  {self.line.bar(1.0)}  validating {step}/{steps}  "
                f"{duration(elapsed)}"
            )
            return
        left = elapsed / max(step, 1) * (steps - step)
        bar = self.line.bar(step / max(steps, 1))
        text = f"{self.title}  {bar}  {step}/{steps}  {duration(elapsed)}, {duration(left)} left"
        values = {} if phase == "predict" else logs()
        self.line.update(f"{text}  {numbers(values)}" if values else text)

    def end(self, logs: dict[str, float]) -> None:
        elapsed = time.monotonic() - self.start
        per_step = (
            f" ({duration(elapsed / self.steps)}/step)"
            if self.steps and elapsed / self.steps >= 1e-3
            else ""
        )
        text = f"{self.title}  {self.steps}/{self.steps}  {duration(elapsed)}{per_step}"
        self.line.finish(f"{text}  {numbers(logs)}" if logs else text)

    def close(self) -> None:
        self.line.break_off()
