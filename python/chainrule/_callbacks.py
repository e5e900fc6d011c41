"""Callbacks that stop, save, log and schedule."""

from __future__ import annotations

import csv
import inspect
import math
import os
from collections.abc import Callable
from typing import Any

from chainrule._callback import Callback


def _larger_is_better(monitor: str, mode: str, where: str) -> bool:
    if mode not in ("auto", "min", "max"):
        raise ValueError(f"[{where}] mode must be 'auto', 'min' or 'max'. Received: mode={mode!r}")
    if mode != "auto":
        return mode == "max"
    return monitor.endswith(("accuracy", "acc", "auc", "precision", "recall"))


def _value(logs: Any, monitor: str, where: str) -> float | None:
    """The monitored value; None in epochs without validation."""
    if monitor in logs:
        return float(logs[monitor])
    if monitor.startswith("val_") and monitor[4:] in logs:
        return None
    raise ValueError(f"[{where}] there is no log '{monitor}'. Received: logs {sorted(logs)}")


class _Monitor(Callback):
    """Watches one log for improvement."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        self.monitor = monitor
        self.larger = _larger_is_better(monitor, mode, type(self).__name__)
        self.min_delta = abs(min_delta)
        self.best = -math.inf if self.larger else math.inf

    def improves(self, value: float, on: float) -> bool:
        gain = value - on if self.larger else on - value
        return gain > self.min_delta


class EarlyStopping(_Monitor):
    """Stops training when a log has not improved for some epochs.

    Args:
        monitor: Name of the log.
        min_delta: Smallest change that counts.
        patience: Epochs to wait.
        verbose: 1 prints when it stops.
        mode: "min", "max" or "auto" (by the name).
        baseline: A value to be better than.
        restore_best_weights: Whether to end with the weights of the best epoch.
        start_from_epoch: First epoch to watch.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = -math.inf if self.larger else math.inf
        self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = _value(logs, self.monitor, "EarlyStopping")
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        self.wait += 1
        if self.improves(value, self.best):
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring the weights of epoch {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(_Monitor):
    """Saves the model after epochs.

    Args:
        filepath: Where; may hold {epoch} and logs: "m-{epoch:02d}-{val_loss:.3f}.safetensors".
        monitor: The log that says which model is best.
        verbose: 1 prints when it saves.
        save_best_only: Whether to save only when the log improves.
        save_weights_only: Must be False: files hold the whole model.
        mode: "min", "max" or "auto" (by the name).
        save_freq: "epoch".
        initial_value_threshold: A value to be better than.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        if save_weights_only or save_freq != "epoch":
            raise ValueError(
                "[ModelCheckpoint] whole models are saved, after epochs. "
                f"Received: save_weights_only={save_weights_only}, save_freq={save_freq!r}"
            )
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        if initial_value_threshold is not None:
            self.best = initial_value_threshold

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_best_only:
            value = _value(logs, self.monitor, "ModelCheckpoint")
            if value is None or not self.improves(value, self.best):
                return
            self.best = value
        path = self.filepath.format(epoch=epoch + 1, **(logs or {}))
        self.model.save(path)
        if self.verbose > 0:
            print(f"Epoch {epoch + 1}: saved {path}")


class CSVLogger(Callback):
    """Writes the logs of each epoch to a file of comma-separated values.

    Args:
        filename: Where.
        separator: Between two values.
        append: Whether to go on with an existing file.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self._file: Any = None
        self._writer: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self._begun = (
            self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        )
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")
        self._writer = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._writer is None:
            names = ["epoch", *sorted(logs)]
            self._writer = csv.DictWriter(
                self._file, names, delimiter=self.separator, extrasaction="ignore"
            )
            if not self._begun:
                self._writer.writeheader()
        self._writer.writerow({"epoch": epoch, **logs})
        self._file.flush()

    def on_train_end(self, logs: Any = None) -> None:
        self._file.close()


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite: for compile(on_nonfinite="ignore")."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            print(f"Batch {batch}: the loss is NaN or infinite, stopping")
            self.model.stop_training = True


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: A function of the epoch (from 0), or of the epoch and the present rate, to the new
            rate.
        verbose: 1 prints the rate.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule = schedule
        self.verbose = verbose
        self.takes_rate = len(inspect.signature(schedule).parameters) > 1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        rate = (
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


class ReduceLROnPlateau(_Monitor):
    """Reduces the learning rate when a log has stopped improving.

    Args:
        monitor: Name of the log.
        factor: What the rate is multiplied with, below 1.
        patience: Epochs to wait.
        verbose: 1 prints the rate.
        mode: "min", "max" or "auto" (by the name).
        min_delta: Smallest change that counts.
        cooldown: Epochs after a reduction in which nothing is counted.
        min_lr: Smallest rate.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not 0.0 < factor < 1.0:
            raise ValueError(
                f"[ReduceLROnPlateau] factor must be between 0 and 1. Received: factor={factor}"
            )
        super().__init__(monitor, mode, min_delta)
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.cooldown_counter = 0
        self.best = -math.inf if self.larger else math.inf

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        logs["learning_rate"] = optimizer.learning_rate
        value = _value(logs, self.monitor, "ReduceLROnPlateau")
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best = value
            self.wait = 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience and optimizer.learning_rate > self.min_lr:
                optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
                self.cooldown_counter = self.cooldown
                self.wait = 0
                if self.verbose > 0:
                    print(f"Epoch {epoch + 1}: learning rate {optimizer.learning_rate:.4g}")
