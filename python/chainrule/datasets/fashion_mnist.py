"""Fashion-MNIST: images of clothes, 28 x 28 pixels, in ten classes (Xiao, Rasul and Vollgraf 2017;
MIT)."""

from __future__ import annotations

import gzip
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._arguments import checked
from chainrule.datasets import _files

__all__ = ["load_data"]

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
# The checksums that the authors publish with the files.
MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}


@checked
def load_data(path: str | PathLike[str] | None = None) -> _files.Split:
    """60,000 images to train on and 10,000 to test, in the official order.

    They are read from the first of these places:

    - `path`, if it is given;
    - the folder in the environment variable CHAINRULE_DATA: from `fashion_mnist.npz`, or from
      `fashion_mnist_part.npz`, which holds a part of the images: x_train, y_train, and x_val and
      y_val, which are returned as the test images;
    - the cache, ~/.chainrule/datasets or $CHAINRULE_HOME/datasets. They are downloaded to it once
      (31 MB; the authors' MD5 checksums are tested).

    Args:
        path: An .npz file with the arrays x_train, y_train, x_test and y_test.

    Returns:
        (x_train, y_train), (x_test, y_test): uint8 arrays; x of shape (n, 28, 28) from 0 to 255, y
        of shape (n,) from 0 to 9: T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker,
        bag, ankle boot.

    Raises:
        FileNotFoundError: if `path` does not exist.
        RuntimeError: if the files are in none of the places and cannot be downloaded.
    """
    file = (
        Path(path)
        if path is not None
        else _files.local("fashion_mnist.npz", "fashion_mnist_part.npz")
    )
    if file is not None:
        part = "val" if file.name == "fashion_mnist_part.npz" else "test"
        x, y, x_test, y_test = _files.read(file, "x_train", "y_train", f"x_{part}", f"y_{part}")
        return (x, y), (x_test, y_test)
    files = [_files.cached(f"fashion_mnist/{name}", URL + name, "md5", MD5[name]) for name in MD5]
    x, y, x_test, y_test = (_idx(name) for name in files)
    return (x, y), (x_test, y_test)


def _idx(path: Path) -> np.ndarray[Any, Any]:
    """A gzipped IDX file of bytes: two zeros, the type 8, the rank, the lengths as big-endian
    int32, the elements."""
    with gzip.open(path) as file:
        content = file.read()
    rank = content[3]
    shape = np.frombuffer(content, ">i4", rank, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
