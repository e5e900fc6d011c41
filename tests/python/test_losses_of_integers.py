"""Losses and metrics of integer arrays compute with numbers that do not wrap."""

import numpy as np
import pytest

from chainrule import losses, metrics


@pytest.mark.parametrize("name", ["MeanSquaredError", "MeanAbsoluteError"])
@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [
        (np.uint8([[200]]), np.uint8([[250]])),
        (np.int32([[0]]), np.int32([[50000]])),
        (np.int64([[2**62]]), np.int64([[-(2**62)]])),
        ([[0]], [[4 * 10**9]]),
        ([[True]], [[False]]),
    ],
)
def test_integers_do_not_wrap(name, y_true, y_pred):
    difference = np.float64(np.asarray(y_true)) - np.float64(np.asarray(y_pred))
    power = 2 if name == "MeanSquaredError" else 1
    expected = np.mean(np.abs(difference) ** power)
    assert getattr(losses, name)()(y_true, y_pred) == pytest.approx(expected, rel=1e-6)
    metric = getattr(metrics, name)()
    metric.update_state(y_true, y_pred)
    assert metric.result() == pytest.approx(expected, rel=1e-6)
