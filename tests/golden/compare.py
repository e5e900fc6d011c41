"""What "equal" means for golden values."""

from __future__ import annotations

import numpy as np

# float32 has 6e-8; a sum of a few dozen rounded products, twice, stays well below these.
RELATIVE = 1e-5
OF_LARGEST = 1e-6


def assert_close(actual, expected, what: str, part: float = 1.0) -> None:
    """|actual - expected| <= part (1e-5 |expected| + 1e-6 max|expected|); NaN fails."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (
        f"{what}: shape {actual.shape}, expected {expected.shape}"
    )
    if expected.size == 0:
        return
    wide, wanted = actual.astype(np.float64), expected.astype(np.float64)
    limit = part * (RELATIVE * np.abs(wanted) + OF_LARGEST * np.abs(wanted).max())
    error = np.abs(wide - wanted)
    ok = error <= limit
    if not ok.all():
        worst = np.unravel_index(
            np.argmax(np.where(ok, -1.0, np.nan_to_num(error - limit, nan=np.inf))), ok.shape
        )
        raise AssertionError(
            f"{what}: {np.count_nonzero(~ok)} of {ok.size} elements differ; "
            f"at {tuple(map(int, worst))} {float(wide[worst])!r}, "
            f"expected {float(wanted[worst])!r} (allowed difference {limit[worst]:.2g})"
        )


def assert_distribution(
    sample, mean: float, std: float, low: float, high: float, what: str
) -> None:
    """Mean and standard deviation of `sample` within 5 standard errors, within [low, high].

    Of the distributions used here the normal one has the largest standard error of the standard
    deviation, std / sqrt(2 n). A finite bound must also be nearly reached: 1 % of the range allows
    for the thin tails of a truncated normal distribution.
    """
    x = np.asarray(sample, dtype=np.float64)
    n = x.size
    assert abs(x.mean() - mean) <= 5 * std / np.sqrt(n), f"{what}: mean {x.mean()}, expected {mean}"
    assert abs(x.std() - std) <= 5 * std / np.sqrt(2 * n), f"{what}: std {x.std()}, expected {std}"
    rounding = 1e-6 * max(abs(mean), std)
    assert x.min() >= low - rounding, f"{what}: {x.min()} is below {low}"
    assert x.max() <= high + rounding, f"{what}: {x.max()} is above {high}"
    if np.isfinite(high - low):
        margin = 0.01 * (high - low)
        assert x.min() <= low + margin, f"{what}: nothing near {low}, smallest is {x.min()}"
        assert x.max() >= high - margin, f"{what}: nothing near {high}, largest is {x.max()}"
