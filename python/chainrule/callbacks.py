"""Callbacks: code of your own that runs between epochs, and between batches if it asks for them."""

from __future__ import annotations

import weakref
from typing import Any

from chainrule._arguments import checked, message, shown
from chainrule._callback import Callback
from chainrule._callbacks import CSVLogger, LearningRateScheduler, TerminateOnNaN
from chainrule._monitors import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from chainrule._progress import Progress

Logs = dict[str, float]

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]


class History(Callback):
    """The result of fit(): `epoch` is a list of the epochs' numbers, and `history` a dict {log:
    [value, ...]}."""

    _model: Any = None

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def set_model(self, model: Any) -> None:
        """Keeps a weak reference: the model refers to its History, and would else never be
        freed."""
        self._model = weakref.ref(model)

    @property
    def model(self) -> Any:
        """The model, as long as it lives."""
        return None if self._model is None else self._model()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_model"}

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []
        self.history = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def last(self) -> Logs:
        """The logs of the last epoch."""
        return {name: values[-1] for name, values in self.history.items()}


class LambdaCallback(Callback):
    """Hooks from functions.

    Args:
        hooks: Functions by the names of the hooks: LambdaCallback(on_epoch_end=lambda epoch, logs:
            ...).
    """

    def __init__(self, **hooks: Any) -> None:
        for name, function in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise ValueError(f"[LambdaCallback] there is no hook '{name}'")
            if function is not None and not callable(function):
                raise TypeError(message("LambdaCallback", "a function", name, function))
            if function is not None:
                setattr(self, name, function)


class ProgbarLogger(Callback):
    """Shows progress, as verbose=1 does. In a log file it writes a line per epoch."""

    @checked
    def __init__(self, bar: bool = True) -> None:
        self.bar = bar
        self.progress = Progress(bar, 0)
        self.training = False

    def on_train_begin(self, logs: Any = None) -> None:
        self.training = True
        self.progress = Progress(self.bar, int(self.params.get("epochs", 1)))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        width = len(str(self.progress.epochs))
        self.progress.begin(f"Epoch {epoch + 1:{width}}/{self.progress.epochs}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.progress.end(logs or {})

    def on_train_end(self, logs: Any = None) -> None:
        self.training = False

    def on_test_begin(self, logs: Any = None) -> None:
        if not self.training:
            self.progress.begin("Evaluate")

    def on_test_end(self, logs: Any = None) -> None:
        if not self.training:
            self.progress.end(logs or {})

    def on_predict_begin(self, logs: Any = None) -> None:
        self.progress.begin("Predict")

    def on_predict_end(self, logs: Any = None) -> None:
        self.progress.end({})

    def on_progress(self, phase: str, step: int, steps: int, logs: Any) -> None:
        """Called between two steps, some times a second."""
        self.progress.advance(phase, step, steps, logs)

    def close(self) -> None:
        """Called when the run is over, also after an error."""
        self.progress.close()
        self.training = False


def display_for(verbose: Any) -> ProgbarLogger | None:
    """The display that `verbose` asks for; None for 0."""
    if isinstance(verbose, (bool, int)) and verbose in (0, 1, 2):
        return None if verbose == 0 else ProgbarLogger(bar=verbose == 1)
    if isinstance(verbose, str) and verbose == "auto":
        return ProgbarLogger()
    raise ValueError(f"[verbose] must be 'auto', 0, 1 or 2. Received: verbose={shown(verbose)}")
