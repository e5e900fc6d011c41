"""Finds the files of data sets: in a folder of the user's, in the cache, or by a download into the
cache."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import _core

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
Split = tuple[Arrays, Arrays]

FOLDER = "CHAINRULE_DATA"  # environment variable: a folder with files of data sets
HOME = "CHAINRULE_HOME"  # environment variable: a folder to use instead of ~/.chainrule
TIMEOUT = 30  # seconds without an answer


def cache_folder() -> Path:
    """The folder of downloaded files."""
    home = os.environ.get(HOME)
    return (Path(home) if home else Path.home() / ".chainrule") / "datasets"


def local(*names: str) -> Path | None:
    """The first of these files that is in the user's folder."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise ValueError(f"[datasets] {FOLDER} must name a folder. Received: {FOLDER}='{folder}'")
    return next((path for name in names if (path := Path(folder, name)).is_file()), None)


def cached(name: str, url: str, algorithm: str, digest: str) -> Path:
    """A file of the cache, downloaded if it is not there. The checksum is tested.

    Raises:
        RuntimeError: if it cannot be downloaded, or its checksum is wrong.
    """
    path = cache_folder() / name
    if path.is_file():
        if checksum(path.read_bytes(), algorithm) == digest:
            return path
        raise RuntimeError(
            f"[datasets] a file of the cache is damaged: delete it. Received: '{path}'"
        )
    content = download(url)
    found = checksum(content, algorithm)
    if found != digest:
        raise RuntimeError(
            f"[datasets] the {algorithm} checksum of the download must be {digest}. Received: "
            f"{found}, from {url}"
        )
    write(path, content)
    return path


def checksum(content: bytes, algorithm: str) -> str:
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()


def download(url: str) -> bytes:
    print(f"Downloading {url}", flush=True)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            content: bytes = answer.read()
            return content
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise RuntimeError(
            f"[datasets] the download failed: {error}. Without a network, put the file into a "
            f"folder and name the folder in the environment variable {FOLDER}. Received: url={url}"
        ) from error


def write(path: Path, content: bytes) -> None:
    """Writes a file atomically: it is never there in part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _core.replace_file(os.fsencode(path), content)


def read(path: Path, *names: str) -> list[np.ndarray[Any, Any]]:
    """The arrays of these names of an .npz file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return [file[name] for name in names]
    except OSError as error:
        if error.errno is None:  # NumPy raises it for files that are no .npz file
            raise _no_npz(path, names, error) from error
        text = f"[datasets] the file cannot be read: {error.strerror}"
        raise type(error)(error.errno, text, str(path)) from error
    except Exception as error:  # damaged files raise many kinds of errors
        raise _no_npz(path, names, error) from error


def _no_npz(path: Path, names: tuple[str, ...], error: Exception) -> ValueError:
    return ValueError(
        f"[datasets] the file must be an .npz file with the arrays {', '.join(names)}: "
        f"{error}. Received: '{path}'"
    )
