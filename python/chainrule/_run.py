"""The observer of a fit, an evaluation or a prediction: calls the callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import _core
from chainrule import callbacks as cb


class Run:
    """The observer. The engine calls its methods by name, between steps."""

    def __init__(
        self,
        model: Any,
        callbacks: Any,
        params: dict[str, Any],
        display: Any = None,
        history: Any = None,
        validation_freq: int = 0,
    ) -> None:
        """For a fit: `history` becomes the last callback, and every `validation_freq` epochs there
        are logs of validation (0: never)."""
        given = [] if callbacks is None else callbacks
        self.callbacks = list(given) if isinstance(given, (list, tuple)) else [given]
        for callback in self.callbacks:
            if not isinstance(callback, cb.Callback):
                raise ValueError(
                    f"[callbacks] each callback must be an object of a class derived from "
                    f"callbacks.Callback. Received: {callback!r}"
                )
        if display is not None and not any(isinstance(c, cb.ProgbarLogger) for c in self.callbacks):
            self.callbacks.insert(0, display)  # its line ends before others print
        if history is not None:
            self.callbacks.append(history)
        self.model = model
        self.history = history
        self.validation_freq = validation_freq
        for callback in self.callbacks:
            callback.set_params(params)
            callback.set_model(model)
        self.wants_batches = any(_overrides_batches(c) for c in self.callbacks)
        self.displays = [c for c in self.callbacks if isinstance(c, cb.ProgbarLogger)]

    def __bool__(self) -> bool:
        return bool(self.callbacks)

    def call(self, hook: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)

    def close(self) -> None:
        """Ends the line of a progress bar, whatever happened."""
        for display in self.displays:
            display.close()

    # --- called by the engine ---

    def on_train_begin(self) -> None:
        names = _core.log_names(self.model)
        if self.validation_freq:
            twice = next((name for name in names if f"val_{name}" in names), None)
            if twice is not None:
                raise ValueError(
                    f"[fit] 'val_{twice}' would be the value of '{twice}' in validation, and that "
                    f"of a metric: name the metric otherwise. Received: metrics={list(names)}"
                )
            names |= {f"val_{name}": better for name, better in names.items()}
        if any(isinstance(c, _ADD_LEARNING_RATE) for c in self.callbacks):
            names["learning_rate"] = None
        complete = not any(_may_add_logs(c) for c in self.callbacks)
        for callback in self.callbacks:
            callback._expect(names, complete, self.validation_freq)
        self.model.history = self.history
        self.call("on_train_begin", {})

    def on_train_end(self) -> None:
        self.call("on_train_end", self.history.last())

    def on_epoch_begin(self, epoch: int) -> None:
        self.call("on_epoch_begin", epoch, {})

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.call("on_epoch_end", epoch, logs)
        self.model.history = self.history  # after a fit inside this one

    def on_test_begin(self) -> None:
        self.call("on_test_begin", {})

    def on_test_end(self, logs: dict[str, float]) -> None:
        self.call("on_test_end", logs)

    def on_batch_begin(self, phase: str, step: int) -> None:
        self.call(f"on_{phase}_batch_begin", step, {})

    def on_batch_end(self, phase: str, step: int, logs: dict[str, float]) -> None:
        self.call(f"on_{phase}_batch_end", step, logs)

    def on_progress(
        self, phase: str, step: int, steps: int, logs: Callable[[], dict[str, float]]
    ) -> None:
        for display in self.displays:
            display.on_progress(phase, step, steps, logs)


_ADD_LEARNING_RATE = (cb.LearningRateScheduler, cb.ReduceLROnPlateau)


def _may_add_logs(callback: Any) -> bool:
    """Whether the callback's on_epoch_end() is user-defined."""
    ours = type(callback).on_epoch_end.__module__.startswith("chainrule.")
    return not ours or "on_epoch_end" in callback.__dict__


_BATCH_HOOKS = [
    f"on_{phase}_batch_{moment}"
    for phase in ("train", "test", "predict")
    for moment in ("begin", "end")
]


def _overrides_batches(callback: Any) -> bool:
    hooks = [*_BATCH_HOOKS, "on_batch_begin", "on_batch_end"]
    cls = type(callback)
    return any(
        getattr(cls, hook) is not getattr(cb.Callback, hook) or hook in callback.__dict__
        for hook in hooks
    )
