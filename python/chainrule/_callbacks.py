"""Callbacks that write logs, set the learning rate, and stop on NaN."""

from __future__ import annotations

import csv
import inspect
import io
import math
import os
from collections.abc import Callable
from os import PathLike
from typing import Any

from chainrule import _core
from chainrule._arguments import checked, message
from chainrule._callback import Callback


class CSVLogger(Callback):
    """Writes the logs of each epoch to a CSV file. Where an epoch lacks a log, as without
    validation, the file has "NA". If a new log appears later, the file is written anew with another
    column.

    Args:
        filename: The file.
        separator: The character between two values.
        append: Whether to append to an existing file. Its columns keep their order.
    """

    @checked
    def __init__(
        self, filename: str | PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        if len(separator) != 1:
            raise ValueError(message("CSVLogger", "one character", "separator", separator))
        self.filename = str(filename)
        self.separator = separator
        self.append = append
        self._file: Any = None
        self._columns: list[str] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self._columns = []
        if self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0:
            self._columns = self._read()[0]
            self._end_last_row()
        self._open("a" if self.append else "w")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        new = sorted(set(logs) - set(self._columns) - {"epoch"})
        if new or not self._columns:
            self._add_columns(new if self._columns else ["epoch", *new])
        self._write(self._file, [{**logs, "epoch": epoch}])

    def on_train_end(self, logs: Any = None) -> None:
        self._file.close()

    def _open(self, mode: str) -> None:
        self._file = open(self.filename, mode, newline="", encoding="utf-8")

    def _read(self) -> tuple[list[str], list[dict[str, Any]]]:
        with open(self.filename, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, delimiter=self.separator, restval="NA")
            rows = list(reader)
        columns = list(reader.fieldnames or [])
        if "epoch" not in columns or any(None in row for row in rows):
            raise ValueError(
                f"[CSVLogger] only a file of logs can be appended to: its first line names the "
                f"columns, one of them 'epoch'. Received: '{self.filename}', columns={columns}"
            )
        return columns, rows

    def _add_columns(self, names: list[str]) -> None:
        if not self._columns:
            self._columns = names
            csv.writer(self._file, delimiter=self.separator).writerow(names)
            return
        rows = self._read()[1]
        self._columns = self._columns + names
        self._file.close()
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.separator).writerow(self._columns)
        self._write(text, rows)
        _core.replace_file(os.fsencode(self.filename), text.getvalue().encode())
        self._open("a")

    def _write(self, file: Any, rows: list[dict[str, Any]]) -> None:
        writer = csv.DictWriter(file, self._columns, restval="NA", delimiter=self.separator)
        writer.writerows(rows)
        file.flush()

    def _end_last_row(self) -> None:
        """Ends the last line if the program that wrote it was killed; an incomplete row is
        removed."""
        with open(self.filename, "rb+") as file:
            content = file.read()
            if content.endswith(b"\n"):
                return
            before, _, last = content.rpartition(b"\n")
            if before and last.count(self.separator.encode()) < len(self._columns) - 1:
                file.truncate(len(before) + 1)
            else:
                file.write(b"\r\n")


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite: for compile(on_nonfinite="ignore")."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            print(f"Batch {batch}: the loss is NaN or infinite, stopping")
            self.model.stop_training = True


def _takes_rate(schedule: Any) -> bool:
    """Whether a schedule is called with the epoch and the rate, not with the epoch alone."""
    if not callable(schedule):
        raise ValueError(
            f"[LearningRateScheduler] schedule must be a function of the epoch, or of the epoch "
            f"and the rate. Received: {schedule!r}"
        )
    try:
        signature = inspect.signature(schedule)
    except (TypeError, ValueError):  # some functions written in C have none
        return False
    for arguments in ((0, 0.1), (0,)):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return len(arguments) == 2
    raise ValueError(
        f"[LearningRateScheduler] schedule must take the epoch, or the epoch and the rate, as "
        f"positional arguments. Received: a function of {signature}"
    )


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: A function that returns the new rate, of the epoch (from 0), or of the epoch and
            the present rate. If it can be called with two positional arguments, it gets both.
        verbose: 1 prints the rate.
    """

    @checked
    def __init__(self, schedule: Callable[..., float], verbose: int | bool = 0) -> None:
        self.schedule = schedule
        self.verbose = verbose
        self.takes_rate = _takes_rate(schedule)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        rate: Any = (
            self.schedule(epoch, optimizer.learning_rate)
            if self.takes_rate
            else self.schedule(epoch)
        )
        if not isinstance(rate, (int, float)) and not hasattr(rate, "__float__"):
            raise ValueError(
                f"[LearningRateScheduler] the schedule must return a number. Received: {rate!r}"
            )
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print(f"Epoch {epoch + 1}: learning rate {float(rate):.4g}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["learning_rate"] = self.model.optimizer.learning_rate
