"""Callbacks that watch logs: which values are better, and what they refuse before an epoch is
spent."""

import os

import numpy as np
import pytest

import chainrule
from chainrule import callbacks, layers, ops

X = np.random.default_rng(0).standard_normal((40, 3)).astype("float32")
Y = (X[:, :1] * 2).astype("float32")
LABELS = (X[:, 0] > 0).astype("int32")


def r2(y_true, y_pred):
    return 1.0 - ops.mean(ops.square(y_true - y_pred), axis=-1)


def make(rate=0.05, **options):
    chainrule.utils.set_random_seed(1)
    model = chainrule.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile(chainrule.optimizers.SGD(rate), "mse", **options)
    return model


def classifier():
    chainrule.utils.set_random_seed(1)
    model = chainrule.Sequential([layers.Input((3,)), layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["acc"])
    return model


def fit(*given, model=None, y=Y, epochs=3, **settings):
    model = model or make()
    return model.fit(X, y, epochs=epochs, verbose=0, callbacks=list(given), **settings)


class Epochs(callbacks.Callback):
    """Counts the epochs that have begun."""

    def __init__(self):
        self.count = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.count += 1


def refused_before_training(error, message, callback, model=None, **settings):
    epochs = Epochs()
    model = model or make(metrics=["mae"])
    before = model.get_weights()
    with pytest.raises(error, match=message):
        fit(epochs, callback, model=model, **settings)
    assert epochs.count == 0
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


MAKERS = {
    "EarlyStopping": lambda monitor, **s: callbacks.EarlyStopping(monitor, patience=9, **s),
    "ModelCheckpoint": lambda monitor, **s: callbacks.ModelCheckpoint(
        "best.safetensors", monitor, save_best_only=True, **s
    ),
    "ReduceLROnPlateau": lambda monitor, **s: callbacks.ReduceLROnPlateau(
        monitor, min_delta=0.0, **s
    ),
}


@pytest.mark.parametrize("name", MAKERS)
def test_auto_mode_asks_for_the_direction_of_metrics_of_ones_own(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    maker = MAKERS[name]
    refused_before_training(
        ValueError,
        rf"\[{name}\] whether 'val_r2' .*mode='max' or mode='min'",
        maker("val_r2"),
        make(metrics=[r2]),
        validation_split=0.2,
    )
    callback = maker("r2", mode="max")
    history = fit(callback, model=make(metrics=[r2]))
    assert callback.best == max(history.history["r2"]) != min(history.history["r2"])
    callback = maker("r2", mode="min")
    history = fit(callback, model=make(metrics=[r2]))
    assert callback.best == min(history.history["r2"])


@pytest.mark.parametrize("name", MAKERS)
def test_auto_mode_knows_losses_and_the_metrics_of_the_package(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for monitor, best in (("acc", max), ("val_acc", max), ("loss", min), ("val_loss", min)):
        callback = MAKERS[name](monitor)
        history = fit(callback, model=classifier(), y=LABELS, validation_split=0.3)
        assert callback.best == best(history.history[monitor])
    callback = MAKERS[name]("mae")
    history = fit(callback, model=make(metrics=["mae"]))
    assert callback.best == min(history.history["mae"])


def test_auto_mode_knows_the_logs_of_several_outputs():
    x = layers.Input((3,))
    outputs = [layers.Dense(1, name="a")(x), layers.Dense(2, activation="softmax", name="b")(x)]
    model = chainrule.Model(x, outputs)
    model.compile(
        "sgd", ["mse", "sparse_categorical_crossentropy"], metrics={"b": ["accuracy"], "a": [r2]}
    )
    stop = callbacks.EarlyStopping("b_accuracy", patience=9)
    history = fit(stop, model=model, y=[Y, LABELS]).history
    assert stop.best == max(history["b_accuracy"])
    stop = callbacks.EarlyStopping("a_loss", patience=9)
    assert stop.best != min(fit(stop, model=model, y=[Y, LABELS]).history["b_accuracy"])
    refused_before_training(
        ValueError, "'a_r2'", callbacks.EarlyStopping("a_r2"), model=model, y=[Y, LABELS]
    )


def test_no_number_is_never_the_best():
    stop = callbacks.EarlyStopping("loss")
    assert not stop.improves(float("nan"), None)
    assert not stop.improves(float("nan"), 1.0)
    stop.mode = "min"
    assert stop.improves(1.0, None)


@pytest.mark.parametrize("name", MAKERS)
def test_monitors_that_cannot_be(name):
    refused_before_training(
        ValueError, r"no log 'vl_loss'.*Received: logs \[.*'loss', 'mae'\]", MAKERS[name]("vl_loss")
    )
    refused_before_training(ValueError, "no log 'val_loss'", MAKERS[name]("val_loss"))
    for monitor in (None, 3, ["loss"]):
        with pytest.raises(TypeError, match=rf"\[{name}\] monitor must be a str"):
            MAKERS[name](monitor)
    with pytest.raises(ValueError, match=rf"\[{name}\] mode must be"):
        MAKERS[name]("loss", mode="maximum")


def test_logs_that_other_callbacks_add_can_be_monitored(tmp_path):
    class Add(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["mine"] = float(epoch)

    stop = callbacks.EarlyStopping("mine", mode="max", patience=2)
    path = tmp_path / "{epoch}-{mine:.0f}.safetensors"
    fit(Add(), stop, callbacks.ModelCheckpoint(path))
    assert stop.best == 2.0
    assert sorted(os.listdir(tmp_path)) == [f"{e + 1}-{e}.safetensors" for e in range(3)]
    with pytest.raises(ValueError, match=r"no log 'theirs'.*'mine'"):
        fit(Add(), callbacks.ModelCheckpoint(tmp_path / "{theirs}.safetensors"))
    rate = callbacks.LearningRateScheduler(lambda epoch: 0.1)
    fit(rate, callbacks.ModelCheckpoint(tmp_path / "{learning_rate:.1f}.safetensors"))
    assert (tmp_path / "0.1.safetensors").exists()


def test_checkpoints_make_their_folder(tmp_path):
    path = tmp_path / "runs" / "a" / "m-{epoch:02d}.safetensors"
    fit(callbacks.ModelCheckpoint(path), epochs=2)
    assert sorted(os.listdir(path.parent)) == ["m-01.safetensors", "m-02.safetensors"]
    path = tmp_path / "of" / "{epoch}" / "m.safetensors"
    fit(callbacks.ModelCheckpoint(path), epochs=2)
    assert sorted(os.listdir(tmp_path / "of")) == ["1", "2"]
    assert (tmp_path / "of" / "2" / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{val_loss:.2f}.safetensors", r"no log 'val_loss'.*\['loss', 'mae'\]"),
        ("{los}.safetensors", "no log 'los'. Did you mean 'loss'"),
        ("{epoch:.q}.safetensors", "filepath must be a name"),
        ("{epoch.safetensors", "filepath must be a name"),
        ("{epoch!x}.safetensors", "filepath must be a name"),
        ("{}.safetensors", "filepath must be a name"),
        ("{0}.safetensors", "no log '0'"),
        ("m.h5", "use the suffix .safetensors"),
        ("{epoch}.keras", "use the suffix .safetensors"),
    ],
)
def test_names_of_checkpoints_that_cannot_be(tmp_path, name, message):
    refused_before_training(ValueError, message, callbacks.ModelCheckpoint(tmp_path / name))


def test_names_with_logs_of_epochs_that_validate(tmp_path):
    path = tmp_path / "{epoch}-{val_loss:.1f}.safetensors"
    settings = {"validation_split": 0.5, "validation_freq": 2}
    refused_before_training(
        ValueError, "validation_freq=2", callbacks.ModelCheckpoint(path), **settings
    )
    fit(callbacks.ModelCheckpoint(path, save_best_only=True), **settings)
    assert [name[:2] for name in os.listdir(tmp_path)] == ["2-"]


def test_places_of_checkpoints_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "file" / "m.safetensors")
    refused_before_training(OSError, "file", checkpoint)
    refused_before_training(IsADirectoryError, "directory", callbacks.ModelCheckpoint(tmp_path))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):  # as root
        return
    checkpoint = callbacks.ModelCheckpoint(closed / "m.safetensors")
    refused_before_training(PermissionError, "closed", checkpoint)


def test_a_model_that_cannot_be_saved_is_said_before_training(tmp_path):
    class Times(layers.Layer):
        def __init__(self, factor, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, inputs):
            return inputs * self.factor

    model = chainrule.Sequential([layers.Input((3,)), Times(2.0), layers.Dense(1)])
    model.compile("sgd", "mse")
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "m.safetensors")
    refused_before_training(NotImplementedError, "get_config", checkpoint, model)
