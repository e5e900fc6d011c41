"""Model: training, evaluation and prediction."""

from __future__ import annotations

import sys
from typing import Any

from chainrule import _catalog, _core, _data, _threads, optimizers
from chainrule._arguments import checked
from chainrule._inspection import NonFinite, Profile, ProfiledInstruction
from chainrule._layer import flatten, one_or_list
from chainrule._run import Run
from chainrule._structure import Structure
from chainrule.callbacks import History, display_for

BATCH_SIZE = _core.default_batch_size  # where none is given


class Model(Structure):
    """Layers connected to an acyclic graph.

    Args:
        inputs: One symbol made by Input, a list of them, or a dict.
        outputs: Symbols that depend on the inputs alone, likewise.
        name: Name of the model.

    Example:

    >>> x = Input((64,))
    >>> model = Model(x, layers.Dense(10)(layers.Dense(32, activation="relu")(x)))
    >>> model.output_shape
    (None, 10)
    """

    history: Any = None

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """Applies the model as a layer: to symbols, to symbolic values, or to arrays.

        Args:
            inputs: One input, a list of them, or a dict by their names.
            training: Whether to compute as in training (dropout...).

        Returns:
            One output or a list; a dict if the model was made with one. Symbols for symbols,
            symbolic values for symbolic values, arrays for arrays.
        """
        if training is not None:
            training = _core.truth(training, type(self).__name__, "training")
        if not training:
            outputs = _core.predict_at_once(self, inputs, sys.maxsize)
            if outputs is not None:
                return outputs
        if isinstance(inputs, dict):
            inputs = _data.arrays(inputs, _core.input_names(self), "inputs", type(self).__name__)
        outputs = super().__call__(inputs, training=training)
        return self._structured(flatten(outputs)) if _core.output_keys(self) else outputs

    @checked
    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        *,
        on_nonfinite: str = "raise",
    ) -> None:
        """Sets the optimizer, the loss and the metrics for training.

        Args:
            optimizer: Required: a name ("adam") or an object.
            loss: A name, an object or a function (y_true, y_pred) of symbolic values; a list or
                dict of them for several outputs, None for an output without loss.
            loss_weights: Factors of the losses of several outputs.
            metrics: A list of names, objects or functions; for several outputs a list of lists or a
                dict.
            weighted_metrics: The same, for metrics that take account of sample and class weights.
            run_eagerly, steps_per_execution, jit_compile: Not supported.
            on_nonfinite: "raise" stops with an error before a loss that is NaN or infinite changes
                a weight; "ignore" goes on, as Keras does.

        Raises:
            ValueError: for unknown names, with the nearest valid ones.
        """
        if optimizer is None:
            known = ", ".join(_catalog.names("optimizers"))
            raise ValueError(f"[compile] an optimizer is required, one of: {known}")
        _data.refuse(
            "compile",
            run_eagerly=(run_eagerly, False),
            steps_per_execution=(steps_per_execution, 1),
            jit_compile=(jit_compile, "auto"),
        )
        if on_nonfinite not in ("raise", "ignore"):
            raise ValueError(
                f"[compile] on_nonfinite must be 'raise' or 'ignore'. Received: {on_nonfinite!r}"
            )
        names = self.output_names
        _core.compile(
            self,
            optimizers.get(optimizer),
            _data.loss_objects(loss, names),
            _data.metric_pairs(metrics, weighted_metrics, names),
            _data.loss_weights(loss_weights, names),
            on_nonfinite == "raise",
        )

    @property
    def compiled(self) -> bool:
        """Whether compile() was called."""
        return _core.compiled(self)

    @property
    def optimizer(self) -> Any:
        """The optimizer; its learning_rate can be set."""
        return _core.optimizer_of(self)

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that evaluate() returns, in its order. Complete after the first run
        on data."""
        return ["loss", *(name for name in _core.log_names(self) if name != "loss")]

    @property
    def stop_training(self) -> bool:
        """Whether fit() is to end after the present step. Callbacks set it."""
        return _core.get_stop_training(self)

    @stop_training.setter
    def stop_training(self, stop: bool) -> None:
        _core.set_stop_training(self, _core.truth(stop, "Model", "stop_training"))

    @checked
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: Any = None,
        validation_steps: Any = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        *,
        threads: int | None = None,
    ) -> History:
        """Trains for whole epochs.

        Args:
            x: An array with the samples along its first axis; a list or dict of them for several
                inputs.
            y: Targets, likewise for the outputs. An output without loss and metrics needs none:
                None in the list, no key in the dict.
            batch_size: Samples a step; 32 by default.
            epochs: Number of the last epoch.
            verbose: 0 prints nothing, 1 shows progress, 2 prints a line per epoch; "auto" is 1.
            callbacks: Objects of classes derived from callbacks.Callback.
            validation_split: Fraction of the samples, from the end, to validate on after each
                epoch.
            validation_data: (x, y) or (x, y, sample_weight) to validate on.
            shuffle: Whether each epoch takes the samples in a new random order.
            class_weight: {label: weight}, for models with one output.
            sample_weight: A weight for each sample, (samples,), or for each step of a sequence,
                (samples, steps). For several outputs one array for all, or a list or dict with one
                for each; None weighs all samples of an output the same.
            initial_epoch: Number of the first epoch, from 0; to continue training.
            steps_per_epoch, validation_steps: Not supported.
            validation_batch_size: batch_size by default.
            validation_freq: Epochs from one validation to the next.
            threads: The most threads that this call may use; None is get_num_threads().

        Returns:
            The History of this call: `history` is a dict from the name of a log to its values, one
            for each epoch.

        Raises:
            ValueError: for data that do not fit the model.
            RuntimeError: before compile(), or for a loss that is NaN or infinite.
            KeyboardInterrupt: on Ctrl-C, after the running step; `model.history` holds the epochs
                so far.

        Example:

        >>> model = Sequential([Input((2,)), layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=2, verbose=0).epoch
        [0, 1]
        """
        _data.refuse(
            "fit",
            steps_per_epoch=(steps_per_epoch, None),
            validation_steps=(validation_steps, None),
        )
        data = _data.parts(self, x, y, sample_weight, "fit")
        validation = _data.validation_parts(self, validation_data)
        size = BATCH_SIZE if batch_size is None else batch_size
        settings: dict[str, Any] = {
            "batch_size": size,
            "epochs": epochs,
            "initial_epoch": initial_epoch,
            "shuffle": shuffle,
            "validation_split": validation_split,
            "validation_batch_size": validation_batch_size or 0,
            "validation_freq": validation_freq,
            "threads": _threads.option(threads, "fit"),
            "class_weight": _data.class_weights(class_weight, "fit"),
            "validation_data": validation,
        }
        split = 0.0 if validation is not None else settings["validation_split"]
        params = {
            "verbose": verbose,
            "epochs": epochs,
            "steps": _data.steps(data[0][0], split, size),
        }
        history = History()
        run = Run(
            self,
            [] if callbacks is None else flatten(callbacks),
            params,
            display_for(verbose),
            history=history,
            validation_freq=validation_freq if validation is not None or split > 0 else 0,
        )
        try:
            _core.fit(self, data, settings, run)
        finally:
            run.close()
        return history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: Any = None,
        callbacks: Any = None,
        return_dict: bool = False,
        *,
        threads: int | None = None,
    ) -> Any:
        """Loss and metrics over all samples.

        Args:
            x, y, batch_size, verbose, sample_weight, callbacks, threads: As in fit().
            steps: Not supported.
            return_dict: Whether to return a dict.

        Returns:
            The loss; with metrics a list of the loss and the metrics, in the order of
            metrics_names; or a dict.
        """
        if steps is not None:
            _data.refuse("evaluate", steps=(steps, None))
        data = _data.parts(self, x, y, sample_weight, "evaluate")
        size = (
            BATCH_SIZE
            if batch_size is None
            else _core.integer(batch_size, "evaluate", "batch_size")
        )
        return_dict = _core.truth(return_dict, "evaluate", "return_dict")
        most = _threads.option(threads, "evaluate")
        if _is_silent(verbose, callbacks):
            return _results(_core.evaluate(self, data, size, None, most), return_dict)
        run = Run(self, callbacks, {"verbose": verbose}, display_for(verbose))
        try:
            logs = _core.evaluate(self, data, size, run or None, most)
        finally:
            run.close()
        return _results(logs, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: Any = None,
        callbacks: Any = None,
        *,
        threads: int | None = None,
    ) -> Any:
        """The outputs for all samples.

        Args:
            x, batch_size, verbose, callbacks, threads: As in fit().
            steps: Not supported.

        Returns:
            An array; a list of them for several outputs; a dict if the model was made with one.
        """
        size = (
            BATCH_SIZE if batch_size is None else _core.integer(batch_size, "predict", "batch_size")
        )
        if steps is None and threads is None and _is_silent(verbose, callbacks):
            outputs = _core.predict_at_once(self, x, size)
            if outputs is not None:
                return outputs
        _data.refuse("predict", steps=(steps, None))
        most = _threads.option(threads, "predict")
        inputs = _data.arrays(x, _core.input_names(self), "x", "predict")
        run = Run(self, callbacks, {"verbose": verbose}, display_for(verbose))
        try:
            run.call("on_predict_begin", {})
            outputs = _core.predict(self, inputs, size, run or None, most)
            run.call("on_predict_end", {})
        finally:
            run.close()
        return self._structured(outputs)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One training step on all samples.

        Returns:
            Loss and metrics of this batch, before the step, as evaluate() does.
        """
        _core.truth(return_dict, "train_on_batch", "return_dict")  # before anything changes
        data = _data.parts(self, x, y, sample_weight, "train_on_batch")
        weights = _data.class_weights(class_weight, "train_on_batch")
        return _results(_core.train_on_batch(self, data, weights), return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch."""
        _core.truth(return_dict, "test_on_batch", "return_dict")
        data = _data.parts(self, x, y, sample_weight, "test_on_batch")
        return _results(_core.test_on_batch(self, data), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch."""
        outputs = _core.predict_at_once(self, x, sys.maxsize)
        if outputs is not None:
            return outputs
        inputs = _data.arrays(x, _core.input_names(self), "x", "predict_on_batch")
        return _core.predict_on_batch(self, inputs)

    @checked
    def profile(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        batch_size: int = BATCH_SIZE,
        runs: int = 20,
        threads: int | None = None,
    ) -> Profile:
        """Where the time of a training step goes, by layer and op. The model stays as it is.

        Args:
            x, y, sample_weight: As in fit(); the first `batch_size` samples are used.
            batch_size: Samples of the step.
            runs: Steps that are timed; a time is the median over them.
            threads: As in fit().

        Returns:
            A Profile: print it, or look at its `instructions`. The times of the instructions add up
            to more than a step of fit() takes, since reading the clock adds some 20 ns to each.

        Raises:
            RuntimeError: before compile(), or for a step that is not finite.

        Example:

        >>> model = Sequential([Input((2,)), layers.Dense(1, name="d")])
        >>> model.compile("sgd", "mse")
        >>> model.profile(np.ones((8, 2)), np.ones((8, 1))).by_layer()["d"] > 0
        True
        """
        data = _data.parts(self, x, y, sample_weight, "profile")
        most = _threads.option(threads, "profile")
        return Profile(
            [ProfiledInstruction(*row) for row in _core.profile(self, data, batch_size, runs, most)]
        )

    @checked
    def find_nonfinite(
        self, x: Any, y: Any = None, sample_weight: Any = None, *, batch_size: int = BATCH_SIZE
    ) -> NonFinite | None:
        """Finds where a NaN or infinite loss or gradient comes from: the first value that is not
        finite in training steps on these data. Each step starts from the present weights. The model
        stays as it is. Slow: every op runs on its own.

        Args:
            x, y, sample_weight: As in fit(); all batches are tried, in order.
            batch_size: Samples of a batch.

        Returns:
            The value, or None if loss and gradients of all batches are finite.

        Example:

        >>> model = Sequential([Input((2,)), layers.Dense(1), layers.Activation("exponential")])
        >>> model.compile("sgd", "mse")
        >>> model.set_weights([np.full((2, 1), 50.0), np.zeros(1)])
        >>> model.find_nonfinite(np.ones((8, 2)), np.ones((8, 1))).op
        'exp'
        """
        data = _data.parts(self, x, y, sample_weight, "find_nonfinite")
        found = _core.find_nonfinite(self, data, batch_size)
        return None if found is None else NonFinite(*found)

    def reset_metrics(self) -> None:
        """Resets all metrics. Every run that reports metrics does so when it begins."""
        _core.reset_metrics(self)


def _results(logs: dict[str, float], return_dict: bool) -> Any:
    if return_dict:
        return logs
    return one_or_list([logs["loss"], *(v for name, v in logs.items() if name != "loss")])


def _is_silent(verbose: Any, callbacks: Any) -> bool:
    """Whether a run neither shows progress nor has callbacks."""
    return callbacks is None and isinstance(verbose, int) and verbose == 0
