"""The base of all callbacks."""

from __future__ import annotations

from typing import Any

from chainrule import _core


class Callback:
    """The base of all callbacks: override the hooks you need.

    `self.model` is the model and `self.params` holds "epochs", "steps" and "verbose". The engine
    returns to Python after each batch only if a batch hook is overridden. An exception ends the
    run.

    Example:

    >>> class Say(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, logs["loss"])
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        hooks = [name for name in dir(Callback) if name.startswith("on_")]
        names = [name for name in dir(cls) if name.startswith("on_") and name not in hooks]
        for name in names:
            hint = _core.did_you_mean(name, hooks)
            if callable(getattr(cls, name)) and hint:
                raise TypeError(
                    f"[{cls.__name__}] there is no hook '{name}', so it would never be called{hint}"
                )

    model: Any = None
    params: dict[str, Any] = {}  # noqa: RUF012

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy: everything but the model, which the next run sets."""
        return {name: value for name, value in self.__dict__.items() if name != "model"}

    def set_params(self, params: dict[str, Any]) -> None:
        """Called when a run begins."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called when a run begins."""
        self.model = model

    def _expect(self, names: dict[str, str | None], complete: bool, validation_freq: int) -> None:
        """Called before on_train_begin; raises if the callback cannot work.

        Args:
            names: The logs of an epoch, and which values of each are better: "min", "max" or None
                (unknown).
            complete: Whether these are all logs. If not, user-defined callbacks may add others.
            validation_freq: Logs of validation are there every so many epochs; 0: never.
        """

    def on_train_begin(self, logs: Any = None) -> None:
        """fit() begins; the data have been checked."""

    def on_train_end(self, logs: Any = None) -> None:
        """fit() has ended; logs are those of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """An epoch begins; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """An epoch has ended; logs hold its values, those of validation with "val_" before the
        name."""

    def on_test_begin(self, logs: Any = None) -> None:
        """An evaluation or validation begins."""

    def on_test_end(self, logs: Any = None) -> None:
        """An evaluation or validation has ended."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """predict() begins."""

    def on_predict_end(self, logs: Any = None) -> None:
        """predict() has ended."""

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """The same as on_train_batch_begin."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """The same as on_train_batch_end."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """A batch of training begins."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """A batch of training has ended; logs are the running values of the epoch."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """A batch of an evaluation begins."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """A batch of an evaluation has ended."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """A batch of predict() begins."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """A batch of predict() has ended."""
