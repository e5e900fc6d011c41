"""Data sets: where they come from, and that a wrong file is seen."""

import gzip
import hashlib

import numpy as np
import pytest

from chainrule.datasets import _files, digits, fashion_mnist, mnist

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """No user's folder, an empty cache, and no network."""
    monkeypatch.delenv(_files.FOLDER, raising=False)
    monkeypatch.setenv(_files.HOME, str(tmp_path / "home"))

    def refuse(url, timeout):
        raise OSError("no network")

    monkeypatch.setattr(_files.urllib.request, "urlopen", refuse)


def part(count=3, names=("x_train", "y_train", "x_test", "y_test")):
    return {
        name: np.full((count, 28, 28) if name[0] == "x" else (count,), i, np.uint8)
        for i, name in enumerate(names)
    }


def test_digits():
    (x, y), (x_test, y_test) = digits.load_data()
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == (
        (1442, 8, 8),
        (1442,),
        (355, 8, 8),
        (355,),
    )
    assert x.dtype == y.dtype == np.uint8
    assert x.max() == 16
    # Every fifth of each class.
    assert all(abs(np.mean(y_test == c) - np.mean(y == c)) < 0.005 for c in range(10))
    both = np.concatenate([x, x_test]).astype(int)
    assert hashlib.sha256(np.sort(both.sum(axis=(1, 2))).astype("<i4").tobytes()).hexdigest() == (
        "e1693638edb27a862457046e50909f8f343101aac7d62460585d14eabbb5340b"
    )


def test_from_a_path_and_from_the_folder(tmp_path, monkeypatch):
    np.savez(tmp_path / "mnist.npz", **part())
    for load in (lambda: mnist.load_data(tmp_path / "mnist.npz"), mnist.load_data):
        (x, y), (x_test, y_test) = load()
        assert (x[0, 0, 0], y[0], x_test[0, 0, 0], y_test[0]) == (0, 1, 2, 3)
        monkeypatch.setenv(_files.FOLDER, str(tmp_path))
    np.savez(
        tmp_path / "fashion_mnist_part.npz", **part(4, ("x_train", "y_train", "x_val", "y_val"))
    )
    assert fashion_mnist.load_data()[1][0].shape == (4, 28, 28)
    np.savez(tmp_path / "fashion_mnist.npz", **part(5))
    assert fashion_mnist.load_data()[1][0].shape == (5, 28, 28)


def test_offline_says_what_to_do():
    with pytest.raises(RuntimeError, match="the download failed: no network.*CHAINRULE_DATA"):
        mnist.load_data()


def test_wrong_folder_and_wrong_file(tmp_path, monkeypatch):
    monkeypatch.setenv(_files.FOLDER, str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="CHAINRULE_DATA must name a folder"):
        mnist.load_data()
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("other.npz", "text.npz"):
        with pytest.raises(ValueError, match="must be an .npz file with the arrays x_train"):
            mnist.load_data(tmp_path / name)


def serve(monkeypatch, contents):
    """Answers downloads by the end of their address."""
    asked = []

    class Answer:
        def __init__(self, content):
            self.read = lambda: content

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

    def urlopen(url, timeout):
        asked.append(url)
        return Answer(contents[url.rpartition("/")[2]])

    monkeypatch.setattr(_files.urllib.request, "urlopen", urlopen)
    return asked


def test_a_download_is_checked_and_kept(tmp_path, monkeypatch):
    np.savez(tmp_path / "source.npz", **part())
    content = (tmp_path / "source.npz").read_bytes()
    asked = serve(monkeypatch, {"mnist.npz": content})
    with pytest.raises(RuntimeError, match="the sha256 checksum of the download must be 731c5ac6"):
        mnist.load_data()
    assert not (_files.cache_folder() / "mnist.npz").exists()

    monkeypatch.setattr(mnist, "SHA256", hashlib.sha256(content).hexdigest())
    for _ in range(2):
        assert mnist.load_data()[0][0].shape == (3, 28, 28)
    assert len(asked) == 2
    assert [p.name for p in _files.cache_folder().iterdir()] == ["mnist.npz"]
    (_files.cache_folder() / "mnist.npz").write_bytes(content[:-1])
    with pytest.raises(RuntimeError, match="a file of the cache is damaged: delete it"):
        mnist.load_data()


def test_idx_files(monkeypatch):
    arrays = part(6, ("x_train", "y_train", "x_test", "y_test")).values()
    contents = {
        name: gzip.compress(
            bytes([0, 0, 8, a.ndim]) + np.array(a.shape, ">i4").tobytes() + a.tobytes()
        )
        for name, a in zip(fashion_mnist.MD5, arrays, strict=True)
    }
    serve(monkeypatch, contents)
    digests = {name: _files.checksum(content, "md5") for name, content in contents.items()}
    monkeypatch.setattr(fashion_mnist, "MD5", digests)
    (x, y), (x_test, y_test) = fashion_mnist.load_data()
    assert (x.shape, y.shape, x_test[0, 0, 0], y_test[0]) == ((6, 28, 28), (6,), 2, 3)
