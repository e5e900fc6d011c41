"""A function of tensors is described once, in the file of its op: what follows from that."""

import doctest
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import chainrule
from chainrule import _functions, activations, ops

pytestmark = pytest.mark.once

INCLUDE = Path(__file__).resolve().parents[2] / "cpp" / "include" / "chainrule"
DESCRIBED = _functions.described()
IN_PYTHON = {
    (module, name): f
    for f in DESCRIBED
    if f.python
    for module in [activations if f.name.startswith("activations.") else ops]
    for name in [f.python, *f.aliases]
}
# Functions that only the engine calls: files and Python do not know them.
OF_THE_ENGINE = {
    "moments",
    "pack",
    "pad",
    "random_bernoulli",
    "random_fold",
    "random_normal",
    "random_uniform",
    "scatter_add",
    "slice",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
}
# Described functions that C++ has under other names: operator[] of Python's values.
OF_PYTHON = {"get_item"}


def declared() -> set[str]:
    """The functions of tensors that ops.h declares."""
    lines = (INCLUDE / "elementwise.def").read_text()
    names = set(re.findall(r"^(?:UNARY|BINARY|TERNARY)\((\w+),", lines, re.MULTILINE))
    header = (INCLUDE / "ops.h").read_text()
    return names | set(re.findall(r"^(?:\w+|std::vector<Value>) (\w+)\(", header, re.MULTILINE))


def test_what_is_declared_in_cpp_is_described_and_the_reverse():
    described = {f.name for f in DESCRIBED if not f.name.startswith("activation")}
    assert declared() - OF_THE_ENGINE == described - OF_PYTHON
    assert declared() >= OF_THE_ENGINE


@pytest.mark.parametrize(("module", "name"), IN_PYTHON, ids=lambda x: getattr(x, "__name__", x))
def test_signature_and_docstring_follow(module, name):
    described, function = IN_PYTHON[module, name], getattr(module, name)
    assert name in module.__all__
    assert function.__name__ == name
    assert function.__module__ == module.__name__
    found = inspect.signature(function).parameters
    assert list(found) == [parameter.name for parameter in described.parameters]
    for parameter in described.parameters:
        default = inspect.Parameter.empty if parameter.required else parameter.default
        assert found[parameter.name].default == default
        assert parameter.doc.endswith("."), parameter
        assert f"    {parameter.name}: {parameter.doc}" in function.__doc__
    assert function.__doc__.startswith(described.doc)
    assert described.doc.endswith("."), described.doc


@pytest.mark.parametrize(
    ("module", "name"),
    [key for key, described in IN_PYTHON.items() if described.example],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_examples_give_what_they_say(module, name):
    globs = {"np": np, "ops": ops}
    parsed = doctest.DocTestParser().get_doctest(
        getattr(module, name).__doc__, globs, name, None, None
    )
    assert parsed.examples
    assert doctest.DocTestRunner().run(parsed).failed == 0


def test_errors_name_the_function_the_argument_and_what_is_near():
    with pytest.raises(TypeError, match=r"\[softmax\] .*'axes'. Did you mean 'axis'"):
        ops.softmax([1.0], axes=0)
    with pytest.raises(TypeError, match=r"\[argmax\] axis must be an integer. Received: axis='x'"):
        ops.argmax([1.0], axis="x")
    with pytest.raises(
        ValueError, match=r"\[one_hot\] .*must be positive. Received: num_classes=0"
    ):
        ops.one_hot([1], 0)
    with pytest.raises(ValueError, match=r"\[swapaxes\] axis2 must be in \[-2, 2\).*axis2=2"):
        ops.swapaxes([[1.0]], 0, 2)
    for call in (lambda: ops.sum([1.0], axis=()), lambda: ops.transpose([[1.0]], axes=())):
        with pytest.raises(ValueError, match=r"ax[ie]s must not be empty; None stands for"):
            call()
    x = chainrule.Input((3,))
    make = chainrule.layers.Operation
    with pytest.raises(ValueError, match=r"\[softmax\] there is no option 'axes'. Did you mean"):
        make("softmax", options={"axes": 0})(x)
    with pytest.raises(ValueError, match=r"\[reshape\] the option 'shape' is required"):
        make("reshape")(x)
    with pytest.raises(ValueError, match=r"\[sum\] keepdims must be True or False.*keepdims='x'"):
        make("sum", options={"keepdims": "x"})(x)


def test_configurations_of_before_are_read():
    """What files hold of functions whose defaults in Python are others, or that had one axis."""
    x = np.float32([[[1, 2], [3, 4]]])

    def apply(function, **options):
        return chainrule.layers.Operation(function, options=options or None)(x)

    assert apply("argmax").shape == (1, 2)  # along the last axis
    np.testing.assert_array_equal(apply("squeeze", axis=0), x[0])
    np.testing.assert_array_equal(apply("sum", axes=-1, keepdims=False), x.sum(-1))
    assert len(chainrule.layers.Operation("split", options={"parts": 2})(x)) == 2
    joined = chainrule.layers.Operation("concatenate")([x, x])
    assert joined.shape == (1, 2, 4)  # along the last axis


def test_squeezing_leaves_the_axis_of_samples():
    x = chainrule.Input((1, 3, 1))
    model = chainrule.Model(x, ops.squeeze(x))
    assert model.predict(np.ones((1, 1, 3, 1)), verbose=0).shape == (1, 3)
