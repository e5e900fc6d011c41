"""A C++ program outside of the project, built against the installed package; models that cross."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import processes
import pytest

import chainrule as keras

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(keras.__file__).parent / "datasets" / "digits.safetensors"


def run(*command):
    result = processes.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder with the example programs, built against the package."""
    cmake = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
    assert cmake, "cmake is needed: it is among the build requirements of the tests"
    folder = tmp_path_factory.mktemp("cpp")
    package = run(sys.executable, "-m", "chainrule", "--cmake-dir").strip()
    ninja = shutil.which("ninja", path=str(Path(sys.executable).parent)) or shutil.which("ninja")
    run(
        cmake, "-S", ROOT / "tests" / "install", "-B", folder, "-G", "Ninja",
        f"-DCMAKE_MAKE_PROGRAM={ninja}", f"-Dchainrule_DIR={package}",
    )  # fmt: skip
    begin = os.times()
    run(cmake, "--build", folder, "--target", "digits")
    end = os.times()  # of the processor: others may work on this machine
    seconds = end.children_user + end.children_system - begin.children_user - begin.children_system
    assert seconds < 10, f"compiling the example took {seconds:.1f} s"
    run(cmake, "--build", folder)
    return folder


def test_a_plug_in_with_threads_can_be_unloaded(programs):
    printed = run(programs / "plugin_host", programs / "libplugin.so", 5)
    assert printed.endswith("loaded 5 times\n")


def test_everything_of_ones_own_trains_is_saved_and_loaded(programs, tmp_path):
    """An op, a layer, a loss, a metric, an optimizer and an initializer."""
    assert run(programs / "own", tmp_path / "model").endswith("as it should be\n")


def digits():
    (_, _), (x_test, y_test) = keras.datasets.digits.load_data()
    return x_test.reshape(-1, 64).astype("float32") / 16, y_test


def test_a_program_is_small(programs):
    assert (programs / "digits").stat().st_size < 3 * 1024 * 1024


def test_without_type_information_the_compiler_says_so(tmp_path):
    compiler = shutil.which("c++") or shutil.which("g++")
    assert compiler
    for header, good in (("chainrule.h", False), ("layers.h", False), ("blas.h", True)):
        source = tmp_path / "own.cpp"
        source.write_text(f"#include <chainrule/{header}>\nint main() {{ return 0; }}\n")
        result = processes.run(
            [compiler, "-std=c++20", "-fsyntax-only", "-fno-rtti",
             "-I", ROOT / "cpp" / "include", source],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (result.returncode == 0) == good, result.stderr
        assert ("compile without -fno-rtti" in result.stderr) == (not good)


def test_python_loads_what_cpp_saved(programs, tmp_path):
    path = tmp_path / "from_cpp.safetensors"
    printed = run(programs / "digits", DATA, path)
    x_test, y_test = digits()
    model = keras.models.load_model(path)
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    assert f"held-out accuracy: {accuracy:.4f}" in printed
    assert f"held-out loss: {loss:.4f}" in printed
    assert accuracy >= 0.97
    model.fit(x_test, y_test, epochs=1, verbose=0)  # and it trains on
    assert int(model.optimizer.iterations) > 0


def test_cpp_loads_what_python_saved(programs, tmp_path):
    path = tmp_path / "from_python.safetensors"
    (x_train, y_train), _ = keras.datasets.digits.load_data()
    x_test, _ = digits()
    keras.utils.set_random_seed(3)
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(32, activation="gelu")(inputs)
    outputs = keras.layers.Dense(10)(keras.layers.Concatenate()([hidden, inputs]))
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss)
    model.fit(x_train.reshape(-1, 64) / 16, y_train, epochs=3, verbose=0)
    model.save(path)
    classes = [int(line) for line in run(programs / "predict", path, DATA).split()]
    assert classes == np.argmax(model.predict(x_test, verbose=0), axis=1).tolist()
