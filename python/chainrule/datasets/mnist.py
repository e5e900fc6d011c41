"""MNIST: handwritten digits of 28 x 28 pixels (LeCun, Cortes and Burges; CC BY-SA 3.0)."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from chainrule._arguments import checked
from chainrule.datasets import _files

__all__ = ["load_data"]

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


@checked
def load_data(path: str | PathLike[str] | None = None) -> _files.Split:
    """60,000 images to train on and 10,000 to test, in the official order.

    They are read from the first of these places:

    - `path`, if it is given;
    - `mnist.npz` in the folder in the environment variable CHAINRULE_DATA;
    - the cache, ~/.chainrule/datasets or $CHAINRULE_HOME/datasets. They are downloaded to it once
      (11 MB; the SHA-256 checksum is tested).

    Args:
        path: An .npz file with the arrays x_train, y_train, x_test and y_test.

    Returns:
        (x_train, y_train), (x_test, y_test): uint8 arrays; x of shape (n, 28, 28) from 0 to 255, y
        of shape (n,) from 0 to 9.

    Raises:
        FileNotFoundError: if `path` does not exist.
        RuntimeError: if the file is in none of the places and cannot be downloaded.
    """
    file = Path(path) if path is not None else _files.local("mnist.npz")
    if file is None:
        file = _files.cached("mnist.npz", URL, "sha256", SHA256)
    x, y, x_test, y_test = _files.read(file, "x_train", "y_train", "x_test", "y_test")
    return (x, y), (x_test, y_test)
