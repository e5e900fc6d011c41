"""In float64 Chainrule computes what Keras 3 computes in float64: the cases of tests/golden again.

Their values were computed in float64 and rounded to float32, which is all that may differ.
"""

from functools import cache

import numpy as np
import pytest
import test_golden
from test_golden import (  # noqa: F401  (collected here, too)
    test_activation_function,
    test_activation_layer,
    test_fit,
    test_layer,
    test_loss,
    test_masked_model,
    test_metric,
    test_three_training_steps,
)

import chainrule

recorded = test_golden.golden_file
ROUNDING = 2.0**-24  # of a number to float32, relative
# Recorded in float32, since they are about its rounding: tests/golden/README.md.
ABOUT_FLOAT32 = {"bce_saturated"}


@cache
def golden_file(name):
    """The arrays as the maker gave them to Keras in float64."""
    return {
        case: {key: x.astype("float64") if x.dtype.kind == "f" else x for key, x in arrays.items()}
        for case, arrays in recorded(name).items()
    }


def assert_close(actual, expected, what):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == np.float64, f"{what}: {actual.dtype}"
    largest = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(
        actual, expected, rtol=1.01 * ROUNDING, atol=1e-12 * largest + 1e-44, err_msg=what
    )


@pytest.fixture(autouse=True)
def in_double(request, monkeypatch):
    case = request.node.callspec.params["case"]
    if case["name"] in ABOUT_FLOAT32:
        pytest.skip("about the rounding of float32")
    chainrule.config.set_floatx("float64")
    monkeypatch.setattr(test_golden, "golden_file", golden_file)
    monkeypatch.setattr(test_golden, "assert_close", assert_close)
    yield
    chainrule.config.set_floatx("float32")
