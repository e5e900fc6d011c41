"""Where models are saved: paths, permissions, the system's errors, weights alone, configurations
that no file can hold, and processes killed in the middle."""

import errno
import json
import os
import re
import resource
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import chainrule
from chainrule import layers, models, optimizers

pytestmark = pytest.mark.once

X = np.ones((4, 4), "float32")


def make(units=3, **names):
    return chainrule.Sequential([layers.Input((4,)), layers.Dense(units, **names)])


def weights(model):
    return [w.tobytes() for w in model.get_weights()]


# --- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_paths_of_every_kind(tmp_path, kind):
    model = make()
    for name in ("m.safetensors", "\udcff.safetensors", "é\n.safetensors", "n" * 255):
        path = kind(str(tmp_path / name))
        model.save(path)
        assert weights(models.load_model(path)) == weights(model)
        model.save_weights(path)
        model.load_weights(path)
        with pytest.raises(ValueError, match="the file exists"):
            model.save(path, overwrite=False)
    assert len(list(tmp_path.iterdir())) == 4
    with pytest.raises(FileNotFoundError) as caught:
        models.load_model(kind(str(tmp_path / "\udcfe")))
    assert caught.value.filename == str(tmp_path / "\udcfe")


def test_permissions_stay(tmp_path):
    path = tmp_path / "m.safetensors"
    mask = os.umask(0o027)
    try:
        make().save(path)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    for mode in (0o600, 0o644, 0o664):
        path.chmod(mode)
        make().save(path)
        make().save_weights(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_links(tmp_path):
    (tmp_path / "link").symlink_to("target")
    for _ in range(2):
        make().save(tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "target").is_file()


def refusals(folder):
    """(path, what saving there raises)"""
    (folder / "file").write_text("")
    (folder / "round").symlink_to("round")
    yield folder, IsADirectoryError
    yield folder / "absent" / "m", FileNotFoundError
    yield folder / "file" / "m", NotADirectoryError
    yield folder / ("n" * 256), OSError
    yield folder / "round", OSError


def test_errors_of_the_system_are_os_errors(tmp_path):
    for path, error in refusals(tmp_path):
        for save in (make().save, make().save_weights):
            with pytest.raises(error, match=r"\[save\] the") as caught:
                save(path)
            assert caught.value.errno
            assert caught.value.filename == str(path)
    for load in (models.load_model, make().load_weights):
        with pytest.raises(FileNotFoundError, match=r"\[load\] the file could not be opened"):
            load(tmp_path / "absent")
        with pytest.raises(IsADirectoryError):
            load(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "round"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_files_and_folders_that_may_not_be_written(tmp_path):
    path = tmp_path / "m"
    make().save(path)
    path.chmod(0o400)
    with pytest.raises(PermissionError):
        make().save(path)
    path.chmod(0o000)
    with pytest.raises(PermissionError):
        models.load_model(path)
    path.chmod(0o600)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            make().save(path)
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "m"
    make().save(path)
    content = path.read_bytes()
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        with pytest.raises(OSError, match="could not be written: File too large") as caught:
            make(5000).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


# --- weights --------------------------------------------------------------------------------------


def test_weights_alone(tmp_path):
    path = tmp_path / "w.safetensors"
    a, b = make(), make()  # whose layers have different names
    a.save_weights(path)
    with safe_open(path, "numpy") as file:
        assert file.metadata()["format"] == "chainrule-weights"
        assert json.loads(file.metadata()["weights"]) == [w.path for w in a.weights]
    b.load_weights(path)
    assert weights(a) == weights(b)
    with pytest.raises(ValueError, match="weights alone: use load_weights"):
        models.load_model(path)


def test_weights_of_a_whole_model_and_of_other_programs(tmp_path):
    path = tmp_path / "m.safetensors"
    a, b, c = make(), make(), make()
    a.compile("adam", "mse")
    a.fit(X, X[:, :3], verbose=0)
    a.save(path)
    b.compile("adam", "mse")
    b.load_weights(path)
    assert weights(a) == weights(b)
    assert b.optimizer.iterations == 0
    # Rewritten without metadata, and sorted by name.
    save_file({w.path: v for w, v in zip(a.weights, a.get_weights(), strict=True)}, path)
    a2 = chainrule.models.clone_model(a)
    a2.load_weights(path)
    assert weights(a2) == weights(a)
    with pytest.raises(ValueError, match="must be float32"):
        c.load_weights(path)  # other names, and the bias first


def test_weights_of_other_shapes_change_nothing(tmp_path):
    path = tmp_path / "w.safetensors"
    two = chainrule.Sequential([layers.Input((4,)), layers.Dense(4), layers.Dense(5)])
    two.save_weights(path)
    other = chainrule.Sequential([layers.Input((4,)), layers.Dense(4), layers.Dense(6, name="d")])
    before = weights(other)
    rule = re.escape(
        "tensor 'd/kernel' must be float32 (4, 6). Received: in the file=float32 (4, 5)"
    )
    with pytest.raises(ValueError, match=rule):
        other.load_weights(path)
    assert weights(other) == before
    with pytest.raises(ValueError, match="as many weights as the model.*file=4, in the model=2"):
        make().load_weights(path)
    with pytest.raises(RuntimeError, match="the model has no shape yet"):
        chainrule.Sequential([layers.Dense(2)]).load_weights(path)


@pytest.mark.parametrize("name", ["m.weights.h5", "m.keras", b"m.H5"])
def test_files_of_keras_say_what_to_do(name):
    for call in (make().save, make().save_weights, make().load_weights):
        with pytest.raises(ValueError, match=r"use the suffix .safetensors; .* set_weights\(\)"):
            call(name)


# --- names of tensors -----------------------------------------------------------------------------


class Rate(layers.Layer):
    """Whose weight in a layer "optimizer" has the name of the optimizer's."""

    def build(self, input_shape):
        self.rate = self.add_weight((), "ones", name="learning_rate")
        self.count = self.add_weight((), "ones", name="iterations")

    def call(self, x):
        return x * self.rate * self.count


def test_layers_with_the_names_of_the_optimizer(tmp_path):
    path = tmp_path / "m.safetensors"
    for name in ("optimizer", "%optimizer", "random_state", "__metadata__", "a/b", "velocity"):
        model = chainrule.Sequential([layers.Input((4,)), Rate(name=name), layers.Dense(3)])
        model.compile(optimizers.SGD(0.01, momentum=0.9), "mse")
        model.fit(X, X[:, :3], verbose=0)
        model.save(path)
        for compile in (True, False):
            loaded = models.load_model(path, {"Rate": Rate}, compile=compile)
            assert weights(loaded) == weights(model)
        loaded = models.load_model(path, {"Rate": Rate})
        assert loaded.optimizer.iterations == 1
        for one in (loaded, model):
            one.fit(X, X[:, :3], verbose=0)
        assert weights(loaded) == weights(model)


def test_older_files_of_a_layer_called_optimizer(tmp_path):
    path = tmp_path / "m.safetensors"
    model = make(name="optimizer")
    model.compile(optimizers.SGD(0.01, momentum=0.9), "mse")
    model.fit(X, X[:, :3], verbose=0)
    model.save(path)
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    del metadata["weights"]
    tensors = {name.replace("%", ""): value for name, value in load_file(path).items()}
    assert "optimizer/kernel" in tensors
    save_file(tensors, path, metadata)
    assert weights(models.load_model(path)) == weights(model)
    assert weights(models.load_model(path, compile=False)) == weights(model)


# --- what no file can hold ------------------------------------------------------------------------


class Holder(layers.Layer):
    """A layer whose configuration holds anything."""

    def __init__(self, held=None, **kwargs):
        super().__init__(**kwargs)
        self.held = held

    def call(self, x):
        return x

    def get_config(self):
        return {**super().get_config(), "held": self.held}


class Itself:
    """As an array that gives itself as its list."""

    def tolist(self):
        return self


def endless():
    cycle = []
    cycle.append(cycle)
    array = np.empty(1, object)
    array[0] = array
    deep = []
    for _ in range(200_000):
        deep = [deep]
    keyed = {}
    keyed["a"] = {"b": keyed}
    return {"list": cycle, "array": array, "deep": deep, "tolist": Itself(), "dict": keyed}


@pytest.mark.parametrize("held", endless().values(), ids=endless())
def test_values_that_hold_themselves(tmp_path, held):
    model = chainrule.Sequential([layers.Input((4,)), Holder(held, name="h")])
    rule = "nested deeper than 256"
    for call in (model.to_json, model.get_config, lambda: model.save(tmp_path / "m")):
        with pytest.raises(ValueError, match=rule):
            call()
    with pytest.raises(ValueError, match=r"\[Dense\] units must be a number"):
        layers.Dense(held)
    config = {"name": "s", "layers": [{"class_name": "Dense", "config": {"units": held}}]}
    with pytest.raises(ValueError, match=rule):
        chainrule.Sequential.from_config(config)
    assert list(tmp_path.iterdir()) == []
    text = '{"class_name": "Sequential", "config": ' + "[" * 200_000 + "]" * 200_000 + "}"
    with pytest.raises(ValueError, match=rule):
        models.model_from_json(text)


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [1.0, v], lambda v: {"a": {"b": v}}])
def test_infinity_names_layer_and_argument(tmp_path, value, wrap):
    inner = chainrule.Sequential([layers.Input((4,)), Holder(wrap(value), name="clip")])
    model = chainrule.Sequential([layers.Input((4,)), inner])
    rule = r"argument 'held' of Holder must be finite.* Received: held=.*, name='clip'"
    with pytest.raises(ValueError, match=r"\[save\] " + rule):
        model.save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"\[to_json\] " + rule):
        model.to_json()
    assert list(tmp_path.iterdir()) == []


def test_layers_whose_constructor_takes_nothing(tmp_path):
    class Plain(layers.Layer):
        def __init__(self):
            super().__init__()

        def build(self, shape):
            self.w = self.add_weight((shape[-1],), "ones")

        def call(self, x):
            return x * self.w

    model = chainrule.Sequential([chainrule.Input((4,)), Plain(), layers.Dense(1)])
    model.layers[0].trainable = False
    model.layers[0].w.assign([1, 2, 3, 4])
    model.save(tmp_path / "m")
    again = models.load_model(tmp_path / "m", {"Plain": Plain})
    x = np.ones((1, 4), "float32")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.layers[0].trainable is False
    assert chainrule.models.clone_model(model).layers[0].trainable is False


class Fussy(layers.Layer):
    """A layer that takes one argument and says so in Python's way."""

    def __init__(self, *, size, **kwargs):
        super().__init__(**kwargs)
        self.size = {"one": 1}[size]

    def call(self, x):
        return x

    def get_config(self):
        return {**super().get_config(), "size": "one"}


@pytest.mark.parametrize("new", ['"size": "two"', '"other": "one"', '"size": []'])
def test_configurations_that_own_classes_do_not_take(new):
    """Their KeyErrors and TypeErrors become ValueErrors that name the class."""
    text = chainrule.Sequential([layers.Input((4,)), Fussy(size="one")]).to_json()
    assert models.model_from_json(text, {"Fussy": Fussy})
    with pytest.raises(ValueError, match=r"\[Fussy\] from_config\(\) did not take"):
        models.model_from_json(text.replace('"size": "one"', new), {"Fussy": Fussy})


# --- killed in the middle -------------------------------------------------------------------------

KILLER = """
import os, random, signal, sys, time
import numpy as np
import chainrule as cr

folder = sys.argv[1]
path = folder + "/m.safetensors"
rng = random.Random(1)

def make(value):
    model = cr.Sequential([cr.Input((64,)), cr.layers.Dense(2048)])
    model.set_weights([np.full_like(w, value) for w in model.get_weights()])
    return model

old, new = make(1.0), make(2.0)
old.save(path)
began = time.perf_counter()
new.save(path)
took = time.perf_counter() - began
left = 0
for round in range(50):
    child = os.fork()
    if child == 0:
        for i in range(10_000):
            (old, new)[i % 2].save(path)
        os._exit(1)
    time.sleep(took * (0.5 + 3 * rng.random()))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    left += len(os.listdir(folder)) - 1
    value = {w.flat[0] for w in cr.models.load_model(path).get_weights()}
    for w in cr.models.load_model(path).get_weights():
        assert (w == w.flat[0]).all()
    assert value in ({1.0}, {2.0}), value
new.save(path)
assert os.listdir(folder) == ["m.safetensors"], os.listdir(folder)
print(left)
"""


def test_killed_saves_leave_the_old_or_the_new_file(tmp_path):
    """Fifty processes are killed while they save; the next save removes what they left."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLER, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0, "no kill met a save: the test shows nothing"
