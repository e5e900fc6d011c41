"""Callbacks: which hooks are called, and what the ready-made ones do."""

import csv
import functools

import numpy as np
import pytest

import chainrule
from chainrule import callbacks, layers

X = np.random.default_rng(0).standard_normal((20, 3)).astype("float32")
Y = (X[:, :1] * 2).astype("float32")


def make(rate=0.1, **options):
    chainrule.utils.set_random_seed(1)
    model = chainrule.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile(chainrule.optimizers.SGD(rate), "mse", **options)
    return model


def fit(*given, epochs=3, model=None, **settings):
    model = model or make()
    return model.fit(
        X, Y, epochs=epochs, batch_size=8, verbose=0, callbacks=list(given), **settings
    )


class Recorder(callbacks.Callback):
    def __init__(self):
        self.calls = []


for _name in dir(callbacks.Callback):
    if _name.startswith("on_") and _name not in ("on_batch_begin", "on_batch_end"):

        def _hook(self, *arguments, _name=_name, **named):
            self.calls.append(
                (_name, arguments[0] if len(arguments) > 1 else None, dict(arguments[-1] or {}))
            )

        setattr(Recorder, _name, _hook)


def test_hooks_in_order():
    recorder = Recorder()
    fit(recorder, epochs=1, validation_data=(X[:8], Y[:8]))
    assert [call[:2] for call in recorder.calls] == [
        ("on_train_begin", None),
        ("on_epoch_begin", 0),
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 0),
        ("on_train_batch_begin", 1),
        ("on_train_batch_end", 1),
        ("on_train_batch_begin", 2),
        ("on_train_batch_end", 2),
        ("on_test_begin", None),
        ("on_test_batch_begin", 0),
        ("on_test_batch_end", 0),
        ("on_test_end", None),
        ("on_epoch_end", 0),
        ("on_train_end", None),
    ]
    logs = {call[0]: call[2] for call in recorder.calls}
    assert set(logs["on_epoch_end"]) == {"loss", "val_loss"}
    assert set(logs["on_train_batch_end"]) == {"loss"}
    assert logs["on_test_end"]["loss"] == logs["on_epoch_end"]["val_loss"]


def test_hooks_of_evaluate_and_predict():
    recorder = Recorder()
    model = make()
    model.evaluate(X, Y, verbose=0, callbacks=[recorder])
    model.predict(X, verbose=0, callbacks=[recorder])
    assert [call[0] for call in recorder.calls] == [
        "on_test_begin",
        "on_test_batch_begin",
        "on_test_batch_end",
        "on_test_end",
        "on_predict_begin",
        "on_predict_batch_begin",
        "on_predict_batch_end",
        "on_predict_end",
    ]


def test_batches_are_numbered_from_zero_and_only_on_request():
    batches = []
    fit(callbacks.LambdaCallback(on_batch_end=lambda batch, logs: batches.append(batch)), epochs=2)
    assert batches == [0, 1, 2, 0, 1, 2]
    from chainrule._run import Run

    assert not Run(make(), [callbacks.History(), callbacks.EarlyStopping()], {}).wants_batches


def test_lambda_callback_refuses_unknown_hooks():
    with pytest.raises(ValueError, match="no hook 'on_epoch'"):
        callbacks.LambdaCallback(on_epoch=print)


def test_errors_end_the_run_and_leave_a_model():
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyError("enough")

    model = make()
    with pytest.raises(KeyError, match="enough"):
        fit(Stop(), epochs=5, model=model)
    assert len(model.history.epoch) <= 2
    assert model.fit(X, Y, verbose=0).epoch == [0]


def test_only_callbacks_are_taken():
    with pytest.raises(ValueError, match="derived from callbacks.Callback"):
        fit(print)


def test_stop_training():
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    assert fit(Stop(), epochs=9).epoch == [0, 1]


def test_early_stopping_restores_the_best_weights():
    kept = []

    class Spoil(callbacks.Callback):
        """Makes every epoch after the second worse."""

        def on_epoch_begin(self, epoch, logs=None):
            if epoch >= 2:
                self.model.set_weights([w + epoch for w in self.model.get_weights()])

        def on_epoch_end(self, epoch, logs=None):
            kept.append(self.model.get_weights())

    model = make()
    stopping = callbacks.EarlyStopping(monitor="loss", patience=2, restore_best_weights=True)
    history = fit(Spoil(), stopping, epochs=20, model=model)
    best = int(np.argmin(history.history["loss"]))
    assert stopping.best_epoch == best
    assert history.epoch[-1] == best + 2
    np.testing.assert_array_equal(model.get_weights()[0], kept[best][0])


def test_an_unknown_monitor_is_an_error():
    with pytest.raises(ValueError, match=r"no log 'val_los'.*\['loss'\]"):
        fit(callbacks.EarlyStopping(monitor="val_los"))


def test_checkpoints(tmp_path):
    model = make()
    fit(callbacks.ModelCheckpoint(tmp_path / "m-{epoch:02d}-{loss:.2f}.safetensors"), model=model)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name[:5] for name in names] == ["m-01-", "m-02-", "m-03-"]
    last = chainrule.models.load_model(tmp_path / names[-1])
    np.testing.assert_array_equal(last.get_weights()[0], model.get_weights()[0])


def test_best_checkpoint_only(tmp_path):
    path = tmp_path / "best.safetensors"
    checkpoint = callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True)
    model = make()
    fit(checkpoint, model=model)
    best = checkpoint.best
    stamp = path.stat().st_mtime_ns
    model.optimizer.learning_rate = 0.0
    model.set_weights([w + 10 for w in model.get_weights()])
    fit(checkpoint, model=model, epochs=2)
    assert checkpoint.best == best
    assert path.stat().st_mtime_ns == stamp
    with pytest.raises(ValueError, match="models are saved after epochs"):
        callbacks.ModelCheckpoint(path, save_freq=5)


def test_checkpoints_of_weights_alone(tmp_path):
    path = tmp_path / "w.safetensors"
    model = make()
    fit(callbacks.ModelCheckpoint(path, save_weights_only=True), model=model)
    other = make()
    other.load_weights(path)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="weights alone"):
        chainrule.models.load_model(path)


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(callbacks.CSVLogger(path))
    fit(callbacks.CSVLogger(path, append=True), epochs=1)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "0"]
    assert float(rows[2]["loss"]) == history.history["loss"][2]


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_csv_logger_keeps_what_comes_later(tmp_path):
    path = tmp_path / "log.csv"
    log = callbacks.CSVLogger(path)
    history = fit(log, epochs=5, validation_split=0.5, validation_freq=2).history
    rows = rows_of(path)
    assert list(rows[0]) == ["epoch", "loss", "val_loss"]
    assert [row["val_loss"] for row in rows[::2]] == ["NA"] * 3
    assert [float(row["val_loss"]) for row in rows[1::2]] == history["val_loss"]
    assert [float(row["loss"]) for row in rows] == history["loss"]
    assert list(tmp_path.iterdir()) == [path]


def test_csv_logger_appends_under_the_right_names(tmp_path):
    path = tmp_path / "log.csv"
    fit(callbacks.CSVLogger(path, separator=";"), epochs=2, validation_split=0.5)
    before = path.read_text()
    history = fit(
        callbacks.LearningRateScheduler(lambda epoch: 0.25),
        callbacks.CSVLogger(path, separator=";", append=True),
        epochs=1,
        model=make(metrics=["mae"]),
    ).history
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch;loss;val_loss;learning_rate;mae"
    assert [line.rpartition(";NA;NA")[0] for line in lines[1:3]] == before.splitlines()[1:]
    assert lines[3] == f"0;{history['loss'][0]};NA;0.25;{history['mae'][0]}"

    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"\[CSVLogger\] only a file of logs.*\['a', 'b'\]"):
        fit(callbacks.CSVLogger(other, append=True))
    assert other.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize(("left", "kept"), [("3", 3), ("3,0.5", 4), ("", 3)])
def test_csv_logger_goes_on_after_a_killed_run(tmp_path, left, kept):
    """A row that its writer could not end is removed; a whole one without its end is ended."""
    path = tmp_path / "log.csv"
    fit(callbacks.CSVLogger(path), epochs=3)
    lines = path.read_text().splitlines()
    with path.open("a") as file:
        file.write(left)
    fit(callbacks.CSVLogger(path, append=True), epochs=2)
    rows = rows_of(path)
    expected = ["0", "1", "2", *(["3"] if kept == 4 else []), "0", "1"]
    assert [row["epoch"] for row in rows] == expected
    assert len(rows) == kept + 2
    assert path.read_text().splitlines()[: len(lines)] == lines
    assert all(float(row["loss"]) >= 0 for row in rows)


def test_terminate_on_nan(capsys):
    model = make(rate=1e30, on_nonfinite="ignore")
    history = fit(callbacks.TerminateOnNaN(), epochs=50, model=model)
    assert len(history.epoch) < 50
    assert "NaN or infinite" in capsys.readouterr().out


def test_learning_rate_scheduler():
    history = fit(callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2))
    np.testing.assert_allclose(history.history["learning_rate"], [0.05, 0.025, 0.0125])
    with pytest.raises(ValueError, match="must return a number"):
        fit(callbacks.LearningRateScheduler(lambda epoch: "fast"))


def step(epoch, base=0.1, gamma=0.5):
    return base * gamma**epoch


class Halving:
    def __call__(self, epoch):
        return 0.2 * 0.5**epoch

    def method(self, epoch, /):
        return 0.2 * 0.5**epoch

    def doubled(self, epoch, rate):
        return self(epoch) + 0 * rate


@pytest.mark.parametrize(
    "schedule",
    [
        functools.partial(step, base=0.2),
        functools.partial(step, gamma=0.5, base=0.2),
        lambda epoch, *, gamma=0.5: 0.2 * gamma**epoch,
        lambda epoch, **settings: 0.2 * 0.5**epoch,
        lambda *arguments: 0.2 * 0.5 ** arguments[0],
        lambda epoch, rate: 0.2 * 0.5**epoch,
        [0.2, 0.1, 0.05].__getitem__,
        {0: 0.2, 1: 0.1, 2: 0.05}.get,
        Halving(),
        Halving().method,
        Halving().doubled,
    ],
)
def test_schedules_of_all_kinds(schedule):
    history = fit(callbacks.LearningRateScheduler(schedule))
    np.testing.assert_allclose(history.history["learning_rate"], [0.2, 0.1, 0.05], rtol=1e-6)


def test_schedules_that_cannot_be_called():
    for schedule in (0.1, None, [0.1]):
        with pytest.raises(TypeError, match="schedule must be a function"):
            callbacks.LearningRateScheduler(schedule)
    for schedule in (lambda: 0.1, lambda a, b, c: 0.1, lambda epoch, *, rate: 0.1):
        with pytest.raises(ValueError, match="schedule must take the epoch"):
            callbacks.LearningRateScheduler(schedule)

    def wrong(epoch):
        return len(epoch)

    with pytest.raises(TypeError, match="has no len"):
        fit(callbacks.LearningRateScheduler(wrong))


def test_reduce_on_plateau():
    model = make(rate=0.0)
    model.optimizer.learning_rate = 1e-30
    plateau = callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=2, min_lr=0.0)
    history = fit(plateau, epochs=6, model=model)
    np.testing.assert_allclose(
        history.history["learning_rate"], np.array([1, 1, 1, 0.5, 0.5, 0.25]) * 1e-30, rtol=1e-6
    )
