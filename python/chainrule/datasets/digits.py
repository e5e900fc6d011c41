"""Handwritten digits of 8 x 8 pixels: small enough to come with the package.

1,797 images with pixels from 0 to 16, the test part of the UCI set "Optical Recognition of
Handwritten Digits" (E. Alpaydin and C. Kaynak, 1998; CC BY 4.0), as scikit-learn distributes it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chainrule.datasets._files import Split

__all__ = ["load_data"]


def load_data() -> Split:
    """The images and their labels, always split in the same way: of each class, every fifth image
    in the order of the file is for testing. So a class is equally frequent in both parts.

    Returns:
        (x_train, y_train), (x_test, y_test): uint8 arrays; x of shape (n, 8, 8) from 0 to 16, y of
        shape (n,) from 0 to 9; 1,442 images to train on and 355 to test.

    Example:

    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_test.shape
    (355, 8, 8)
    """
    with np.load(Path(__file__).with_name("digits.npz")) as file:
        x, y = file["x"], file["y"]
    test = np.zeros(len(y), dtype=bool)
    for label in range(10):
        test[np.flatnonzero(y == label)[4::5]] = True
    return (x[~test], y[~test]), (x[test], y[test])
