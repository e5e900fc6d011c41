"""Callbacks that watch a log: they stop training, save the model, or reduce the learning rate."""

from __future__ import annotations

import errno
import math
import os
import re
import string
from os import PathLike
from typing import Any

from chainrule import _core, _names
from chainrule._arguments import checked, shown
from chainrule._callback import Callback
from chainrule._structure import refuse_foreign


def _value(logs: Any, monitor: str, where: str) -> float | None:
    """The monitored value; None in epochs without validation."""
    if monitor in logs:
        return float(logs[monitor])
    if monitor.startswith("val_") and monitor[4:] in logs:
        return None
    raise _no_log(monitor, list(logs), where)


def _no_log(name: str, known: list[str], where: str) -> ValueError:
    hint = _core.did_you_mean(name, known) or "."
    return ValueError(f"[{where}] there is no log '{name}'{hint} Received: logs {sorted(known)}")


class _Monitor(Callback):
    """Watches one log for improvement. `mode` says which values are better: "min", "max", or
    "auto", which asks the model before the first epoch."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        where = type(self).__name__
        if not isinstance(monitor, str):
            raise ValueError(
                f"[{where}] monitor must be the name of a log, as 'val_loss'. "
                f"Received: monitor={monitor!r}"
            )
        if mode not in ("auto", "min", "max"):
            raise ValueError(
                f"[{where}] mode must be 'auto', 'min' or 'max'. Received: mode={mode!r}"
            )
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(min_delta)
        self.best: float | None = None

    def improves(self, value: float, on: float | None) -> bool:
        """Whether `value` is better than `on`. Any number is better than None; NaN never is."""
        if math.isnan(value):
            return False
        if on is None:
            return True
        gain = value - on if self._better() == "max" else on - value
        return gain > self.min_delta

    def _better(self, names: dict[str, str | None] | None = None) -> str:
        """ "min" or "max"."""
        if self.mode != "auto":
            return self.mode
        if names is None:
            names = _core.log_names(self.model)
        better = names.get(self.monitor, names.get(self.monitor.removeprefix("val_")))
        if better is None:
            raise ValueError(
                f"[{type(self).__name__}] whether '{self.monitor}' is to become larger or smaller "
                f"is not known: pass mode='max' or mode='min'. Received: mode='auto'"
            )
        return better

    def _expect(self, names: dict[str, str | None], complete: bool, validation_freq: int) -> None:
        if complete and self.monitor not in names:
            raise _no_log(self.monitor, list(names), type(self).__name__)
        self._better(names)


class EarlyStopping(_Monitor):
    """Stops training when a log has not improved for some epochs.

    Args:
        monitor: Name of the log.
        min_delta: Smallest change that counts.
        patience: Epochs to wait.
        verbose: 1 prints when it stops.
        mode: Which values are better: "min" or "max". "auto" knows it for losses and for the
            metrics of this package; for others it raises an error.
        baseline: A value that the log must improve on.
        restore_best_weights: Whether to end with the weights of the best epoch.
        start_from_epoch: First epoch to watch.
    """

    @checked
    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int | bool = 0,
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
        self.best = None
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
        filepath: The file. May contain {epoch} and logs, as in
            "m-{epoch:02d}-{val_loss:.3f}.safetensors". Its folder is made. A path that cannot work
            is an error before the first epoch.
        monitor: The log that decides which model is best.
        verbose: 1 prints when it saves.
        save_best_only: Whether to save only when the log improves.
        save_weights_only: Whether to save only the weights, by save_weights().
        mode: Which values are better: "min" or "max". "auto" knows it for losses and for the
            metrics of this package; for others it raises an error.
        save_freq: Must be "epoch".
        initial_value_threshold: A value that the log must improve on before the first save.
    """

    @checked
    def __init__(
        self,
        filepath: str | PathLike[str],
        monitor: str = "val_loss",
        verbose: int | bool = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        if not isinstance(save_freq, str) or save_freq != "epoch":
            raise ValueError(
                f"[ModelCheckpoint] models are saved after epochs: leave out save_freq. "
                f"Received: save_freq={shown(save_freq)}"
            )
        self.filepath = str(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        if initial_value_threshold is not None:
            self.best = initial_value_threshold

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_best_only:
            value = _value(logs, self.monitor, "ModelCheckpoint")
            if value is None or not self.improves(value, self.best):
                return
            self.best = value
        path = self._path(epoch, logs or {})
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose > 0:
            print(f"Epoch {epoch + 1}: saved {path}")

    def _path(self, epoch: int, logs: dict[str, float]) -> str:
        for name in self._fields():
            if name != "epoch" and name not in logs:
                raise _no_log(name, list(logs), "ModelCheckpoint, filepath")
        try:
            return self.filepath.format(**{**logs, "epoch": epoch + 1})
        except (ValueError, LookupError, AttributeError) as error:
            raise ValueError(
                f"[ModelCheckpoint] filepath must be a name in which {{epoch}} and logs may stand, "
                f"as 'm-{{epoch:02d}}.safetensors': {error}. Received: '{self.filepath}'"
            ) from None

    def _waits_for_validation(self) -> bool:
        return self.save_best_only and self.monitor.startswith("val_")

    def _fields(self) -> list[str]:
        """The names in braces in filepath."""
        try:
            parts = list(string.Formatter().parse(self.filepath))
        except ValueError:
            return []  # format() says what is wrong
        return [re.split(r"[.[]", field)[0] for _, field, _, _ in parts if field]

    def _expect(self, names: dict[str, str | None], complete: bool, validation_freq: int) -> None:
        if not self.save_weights_only:
            _names.require(self.model, "save", compiled=True)
        if self.save_best_only:
            super()._expect(names, complete, validation_freq)
        rare = [name for name in self._fields() if name.startswith("val_")]
        if rare and validation_freq > 1 and not self._waits_for_validation():
            raise ValueError(
                f"[ModelCheckpoint] filepath must not hold logs of validation, which only some "
                f"epochs have, unless save_best_only=True watches one. Received: "
                f"'{self.filepath}', validation_freq={validation_freq}"
            )
        logs = dict.fromkeys(names if complete else [*names, *self._fields()], 0.5)
        logs.pop("epoch", None)
        path = self._path(0, logs)
        refuse_foreign(path)
        if not self.save_weights_only:
            self.model.get_config()  # raises for layers that cannot be saved
        fixed = self.filepath.partition("{")[0] if "{" in self.filepath else path
        folder = os.path.dirname(fixed) or "."
        os.makedirs(folder, exist_ok=True)
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)


class ReduceLROnPlateau(_Monitor):
    """Reduces the learning rate when a log has stopped improving.

    Args:
        monitor: Name of the log.
        factor: The rate is multiplied by this number below 1.
        patience: Epochs to wait.
        verbose: 1 prints the rate.
        mode: Which values are better: "min" or "max". "auto" knows it for losses and for the
            metrics of this package; for others it raises an error.
        min_delta: Smallest change that counts.
        cooldown: Epochs after a reduction that do not count as waiting.
        min_lr: Smallest rate.
    """

    @checked
    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int | bool = 0,
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
        self.best = None

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
