"""Dtype policies and floatx: which types layers have, and what they cast."""

import copy
import pickle
import re
import shutil
import sysconfig
from pathlib import Path

import numpy as np
import processes
import pytest

import chainrule
from chainrule import config, dtype_policies, layers, ops
from chainrule.dtype_policies import DTypePolicy

RNG = np.random.default_rng(5)
X = RNG.standard_normal((23, 4))
Y = RNG.standard_normal((23, 2))


@pytest.fixture
def any_policy():
    yield
    chainrule.backend.clear_session()
    config.set_floatx("float32")


def sequential(**settings):
    return chainrule.Sequential(
        [
            layers.Input((4,), dtype="float64"),
            layers.Dense(5, "tanh", **settings),
            layers.Dense(2, **settings),
        ]
    )


# --- policies -------------------------------------------------------------------------------------


def test_policy():
    policy = DTypePolicy("float64")
    assert (policy.name, policy.compute_dtype, policy.variable_dtype) == ("float64",) * 3
    assert repr(policy) == '<DTypePolicy "float64">'
    assert policy == DTypePolicy(np.float64) != DTypePolicy()
    assert policy != "float64"
    assert len({policy, DTypePolicy("float64")}) == 1
    assert chainrule.DTypePolicy is DTypePolicy
    for way in (copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))):
        assert way(policy) == policy


def test_policies_by_name_and_configuration():
    assert dtype_policies.get(None) == DTypePolicy("float32")
    assert dtype_policies.get("float64") == DTypePolicy("float64")
    spec = dtype_policies.serialize(DTypePolicy("float64"))
    assert spec == {"class_name": "DTypePolicy", "config": {"name": "float64"}}
    keras = {"module": "keras", "registered_name": None, **spec}
    for form in (spec, keras):
        assert dtype_policies.deserialize(form) == dtype_policies.get(form)
        assert layers.Dense(1, dtype=form).dtype_policy == DTypePolicy("float64")
        assert layers.Dense.from_config({"units": 1, "dtype": form}).dtype == "float64"


@pytest.mark.parametrize(
    "name", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "int32", "x"]
)
def test_unsupported_policies(name):
    message = (
        r"\[DTypePolicy\] layers compute in 'float32' or 'float64'; float16, bfloat16, their mixed "
        rf"policies and quantized ones are not supported. Received: name='{name}'"
    )
    before = config.dtype_policy()
    for call in (
        lambda: DTypePolicy(name),
        lambda: dtype_policies.get(name),
        lambda: config.set_dtype_policy(name),
        lambda: layers.Layer(dtype=name),
        lambda: layers.Dense(1, dtype=name),
        lambda: layers.Dense.from_config(
            {"units": 1, "dtype": {"class_name": "DTypePolicy", "config": {"name": name}}}
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert config.dtype_policy() == before


def test_wrong_arguments():
    for wrong in (3, b"float32", 1.5, ["float32"]):
        for call in (DTypePolicy, dtype_policies.get, config.set_floatx, config.set_dtype_policy):
            with pytest.raises(TypeError, match="Received: "):
                call(wrong)
        with pytest.raises(TypeError, match="Received: "):
            layers.Dense(1, dtype=wrong)
    with pytest.raises(TypeError, match="policy must be a DTypePolicy or its name"):
        config.set_dtype_policy(None)
    with pytest.raises(ValueError, match="class_name must be DTypePolicy"):
        dtype_policies.deserialize({"class_name": "DTypePolicyMap", "config": {}})
    for name in ("float16", "bfloat16", "int32"):
        with pytest.raises(
            ValueError, match=r"\[set_floatx\] value must be 'float32' or 'float64'"
        ):
            config.set_floatx(name)
    assert config.floatx() == "float32"


def test_what_layers_know_of_their_types():
    layer = layers.Dense(2, dtype="float64")
    assert layer.dtype == layer.compute_dtype == layer.variable_dtype == "float64"
    assert repr(layer).endswith("dtype='float64')")
    assert layers.Dense(2).dtype == "float32"
    assert "dtype" not in repr(layers.Dense(2))
    with pytest.raises(AttributeError):
        layer.dtype = "float32"
    for name, expected in (("float64", "float64"), ("int32", "int32")):
        assert layers.InputLayer((3,), dtype=name).dtype == expected
    assert layers.InputLayer((3,), dtype="float64").dtype_policy == DTypePolicy("float64")
    with pytest.raises(ValueError, match="there is no argument 'dtype'"):
        layers.Operation("tanh", dtype="float64")


def test_defaults_follow_floatx(any_policy):
    assert config.floatx() == chainrule.backend.floatx() == "float32"
    assert config.epsilon() == chainrule.backend.epsilon() == 1e-7
    config.set_floatx("float64")
    assert layers.Dense(2).dtype == layers.Input((3,)).dtype == "float64"
    assert chainrule.initializers.Ones()((2,)).dtype == np.float64
    for value in (
        ops.convert_to_tensor([0.1, 0.2]),
        ops.one_hot(np.array([1]), 2),
        ops.zeros((2,)),
        ops.ones((2,)),
        ops.full((2,), 0.1),
        ops.mean(np.array([1, 2])),
        ops.exp(np.array([1, 2])),
        ops.divide(np.array([1, 2]), 3),
        ops.where(np.array([True]), 0.1, 0.2),
    ):
        assert value.dtype == np.float64
    assert ops.add(np.ones(1), [0.1])[0] == 1.1
    chainrule.backend.set_floatx("float32")
    assert layers.Dense(2).dtype == layers.Input((3,)).dtype == "float32"
    assert ops.convert_to_tensor([0.1]).dtype == ops.exp(np.array([1])).dtype == np.float32


def test_a_policy_that_was_set_does_not_follow(any_policy):
    config.set_dtype_policy("float64")
    assert config.dtype_policy() == layers.Dense(2).dtype_policy == DTypePolicy("float64")
    assert layers.Input((3,)).dtype == "float32"
    assert layers.Dense(2, dtype="float32").dtype == "float32"
    config.set_floatx("float32")
    assert layers.Dense(2).dtype == "float64"
    config.set_dtype_policy(DTypePolicy("float32"))
    assert layers.Dense(2).dtype == "float32"
    config.set_floatx("float64")
    assert layers.Dense(2).dtype == "float32"
    chainrule.utils.clear_session()
    assert layers.Dense(2).dtype == "float64"


# --- casts ----------------------------------------------------------------------------------------


class Seen(layers.Layer):
    """Remembers the types of its inputs and of its weight."""

    def build(self, input_shape):
        self.shift = self.add_weight((), "zeros")

    def call(self, x):
        self.seen = (x.dtype, self.shift.dtype)
        return x + self.shift


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_floating_inputs_are_cast(name):
    layer = Seen(dtype=name)
    for array in (X, X.astype("float32")):
        assert layer(array).dtype == np.dtype(name)
        assert layer.seen == (name, name)
    assert layer.weights[0].dtype == layer.get_weights()[0].dtype == name
    for kind in ("float32", "float64"):
        assert layer(layers.Input((4,), dtype=kind)).dtype == name
        assert layer.seen == (name, name)
    layer(layers.Input((4,), dtype="int32"))
    assert layer.seen[0] == "int32"  # whole numbers stay as they are


def test_layers_of_two_types_in_one_model():
    inputs = layers.Input((4,))
    wide = layers.Activation("tanh", dtype="float64")(inputs)
    assert wide.dtype == (wide * 2.0).dtype == "float64"
    assert layers.Add()([inputs, wide]).dtype == "float32"
    assert layers.Add(dtype="float64")([inputs, wide]).dtype == "float64"
    outputs = layers.Dense(2)(wide)
    assert outputs.dtype == "float32"
    model = chainrule.Model(inputs, [outputs, wide])
    narrow, double = model.predict(X, verbose=0)
    assert (narrow.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(double, np.tanh(X.astype("float32").astype("float64")), rtol=1e-15)
    model.compile("adam", ["mse", None])
    assert np.isfinite(model.fit(X, [Y, None], verbose=0).history["loss"]).all()


def test_a_model_inside_casts_to_its_inputs():
    inner = sequential(dtype="float64")
    outputs = inner(layers.Input((4,)))
    assert outputs.dtype == "float64"
    assert inner(X.astype("float32")).dtype == np.float64


def test_a_sequential_without_input_takes_the_type_of_its_first_layer():
    model = chainrule.Sequential([layers.Dense(2, dtype="float64")])
    model.build((None, 4))
    assert model.inputs[0].dtype == "float64"
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(
        model.predict(X, verbose=0), X @ kernel + bias, rtol=1e-13, atol=1e-14
    )


# --- the compiler finds what a new type lacks -----------------------------------------------------

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = (".cpp", ".h", ".inl")
SOURCES = [*ROOT.glob("cpp/**/*"), *ROOT.glob("bindings/*")]


def deciding():
    """Files that decide by element type: with switches over DType."""
    return sorted(
        file for file in SOURCES if file.suffix in SUFFIXES and "case DType::" in file.read_text()
    )


def switches(path):
    """(file, line) of every switch over DType."""
    found = re.finditer(r"switch \(\w+\) \{\n\s*case DType::", path.read_text())
    return {(path, path.read_text()[: match.start()].count("\n") + 1) for match in found}


def test_no_decision_by_type_has_a_default():
    switch = re.compile(r"^( *)switch \(.*?^\1\}", re.MULTILINE | re.DOTALL)
    found = 0
    for file in SOURCES:
        if file.suffix not in SUFFIXES:
            continue
        text = file.read_text()
        for match in switch.finditer(text):
            if "case DType::" in match[0]:
                found += 1
                assert "default:" not in match[0], file
        assert not re.search(r"DType::float(32|64)\s*\?", text), file
    assert found > 10


@pytest.mark.once
def test_a_new_type_does_not_compile_before_every_switch_knows_it(tmp_path):
    """With another enumerator in a copy of the header, each of the switches is named."""
    header = ROOT / "cpp" / "include" / "chainrule" / "shape.h"
    changed = tmp_path / "chainrule" / "shape.h"
    changed.parent.mkdir()
    text = header.read_text()
    changed.write_text(text.replace("uint8, boolean };", "uint8, boolean, newcomer };"))
    assert changed.read_text() != text
    files = [changed if file == header else file for file in deciding()]
    wanted = set.union(*map(switches, files))
    assert len(wanted) > 10

    roots = [tmp_path, ROOT / "cpp" / "include", ROOT / "cpp", ROOT]
    roots += [pytest.importorskip("pybind11").get_include(), sysconfig.get_path("include")]
    compiler = shutil.which("c++") or shutil.which("g++")
    assert compiler
    # Those in headers are templates: this makes all of them.
    user = tmp_path / "user.cpp"
    user.write_text(
        '#include "base/dispatch.h"\n'
        "int use(chainrule::DType type) {\n"
        "  const auto f = [](auto) { return 0; };\n"
        "  return chainrule::with_any(type, f) + chainrule::with_integer(type, f);\n"
        "}\n"
    )
    named = set()
    for source in [user, *(file for file in files if file.suffix == ".cpp")]:
        done = processes.run(
            [
                compiler,
                "-std=c++20",
                "-fsyntax-only",
                "-Wswitch",
                *[f"-I{r}" for r in roots],
                source,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        for path, line in re.findall(r"^(\S+?):(\d+):\d+: .*newcomer", done.stderr, re.MULTILINE):
            named.add((Path(path), int(line)))
    assert sorted(wanted - named) == []
