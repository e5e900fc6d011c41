#!/usr/bin/env python3
"""Damages model files, weights, JSON and configurations at random and loads them.

    python tests/fuzz/fuzz_files.py                      10,000 mutants
    python tests/fuzz/fuzz_files.py --mutants 1000000 --seed 7
    python tests/fuzz/fuzz_files.py --only 1234          one mutant again, with its traceback

A mutant may load or raise ValueError, RuntimeError or a class derived from them (or OSError, where
a file is read). Anything else is a failure: another exception, a crash, more than --patience
seconds for one mutant, memory that grows. The mutants run in a process of their own, which this one
watches; each follows from the seed and its number alone.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

WARM_UP = 1000  # mutants before memory is measured
MOST_GROWTH = 100 * 2**20  # bytes
ALLOWED = (ValueError, RuntimeError, OSError)


# --- watching -------------------------------------------------------------------------------------


def watch(options: argparse.Namespace) -> int:
    """Runs the mutants in another process; returns the number of failures."""
    with tempfile.TemporaryDirectory() as folder:
        progress = Path(folder, "progress")
        progress.write_bytes(struct.pack("<q", -1))
        command = [
            sys.executable,
            __file__,
            *("--worker", folder),
            *("--mutants", str(options.mutants)),
            *("--seed", str(options.seed)),
        ]
        worker = subprocess.Popen(command)
        seen, since = -2, time.monotonic()
        try:
            while worker.poll() is None:
                time.sleep(0.2)
                now = struct.unpack("<q", progress.read_bytes())[0]
                if now != seen:
                    seen, since = now, time.monotonic()
                elif time.monotonic() - since > options.patience:
                    print(f"fuzz: mutant {seen} hangs (seed {options.seed})", flush=True)
                    return 1
        finally:
            worker.kill()
            worker.wait()
        if worker.returncode < 0:
            name = signal.Signals(-worker.returncode).name
            last = struct.unpack("<q", progress.read_bytes())[0]
            print(f"fuzz: mutant {last} ended the process by {name} (seed {options.seed})")
        return int(worker.returncode != 0)


# --- mutants --------------------------------------------------------------------------------------

NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    7,
    255,
    2**31 - 1,
    2**31,
    2**32,
    2**53,
    2**62,
    2**63 - 1,
    2**63,
    -(2**63),
]
VALUES = [
    *NUMBERS,
    *(0.0, -0.0, 0.5, 1e-320, 1e308, -1.5, True, False, None, "", "x", "relu", "\0", "é" * 40),
    *([], {}, [[]], [None], {"class_name": "Dense"}, {"class_name": "Dense", "config": {}}),
]


def nodes(tree, path=()):
    """(container, key) of every value in a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from nodes(value)


def nested(rng, value):
    for _ in range(rng.choice([1, 2, 10, 300, 5000])):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def changed_tree(rng, tree, others):
    """A tree with a few values replaced, removed, doubled, exchanged or renamed."""
    tree = json.loads(json.dumps(tree))
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        places = list(nodes(tree))
        if not places:
            return tree
        holder, key = rng.choice(places)
        value = holder[key]
        kind = rng.randrange(8)
        if kind == 0:
            holder[key] = rng.choice(VALUES)
        elif kind == 1 and isinstance(value, (int, float)):
            holder[key] = rng.choice([value + 1, value - 1, -value, value * 2, float(value)])
        elif kind == 2:
            del holder[key]
        elif kind == 3 and isinstance(holder, list):
            holder.insert(rng.randrange(len(holder) + 1), value)
        elif kind == 4:
            other, name = rng.choice(list(nodes(rng.choice(others))))
            holder[key] = json.loads(json.dumps(other[name]))
        elif kind == 5:
            other, name = rng.choice(places)
            holder[key] = json.loads(json.dumps(other[name])) if other is not holder else 0
        elif kind == 6 and isinstance(holder, dict):
            del holder[key]
            holder[rng.choice([*map(str, holder), "units", "class_name", "config", "z"])] = value
        elif kind == 7:
            holder[key] = rng.choice([str(value), [value], {"a": value}, NUMBERS[-1]])
    return tree


def deep_text(rng, text):
    """JSON text with one value nested far deeper than any limit."""
    depth = rng.choice([10, 255, 257, 3000, 100_000])
    at = text.find(":") + 1
    return text[:at] + "[" * depth + text[at:] + "]" * depth


def changed_bytes(rng, content, others):
    """Bytes with flipped bits, cut, filled, doubled or exchanged parts."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        b = min(b, a + rng.choice([1, 4, 16, 10_000]))
        kind = rng.randrange(8)
        if kind <= 1 and data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[a:b]
        elif kind == 3:
            data[a:b] = bytes(b - a)
        elif kind == 4:
            data[a:a] = data[a:b]
        elif kind == 5:
            data[a:b] = rng.randbytes(b - a)
        elif kind == 6:
            other = rng.choice(others)
            data[a:] = other[min(a, len(other)) :]
        elif kind == 7:
            data[:8] = struct.pack("<Q", rng.choice([0, 1, 8, len(data), 2**32, 2**63, 2**64 - 1]))
    return bytes(data)


def split(content):
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header, data):
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def changed_file(rng, content, others):
    """A file damaged as bytes, in its header, or in the configuration that its header holds."""
    kind = rng.randrange(10)
    if kind < 3:
        return changed_bytes(rng, content, others)
    header, data = split(content)
    headers = [split(other)[0] for other in others]
    if kind < 5:
        return joined(changed_tree(rng, header, headers), data)
    if kind == 5:
        text = json.dumps(header)
        if rng.random() < 0.5:
            return joined(deep_text(rng, text), data)
        name = rng.choice(list(header))  # the same key twice
        return joined(text[:-1] + f",{json.dumps(name)}:{json.dumps(header[name])}}}", data)
    metadata = header["__metadata__"]
    key = rng.choice([key for key in ("model", "compile", "weights") if key in metadata])
    if kind == 6:
        metadata[key] = rng.choice(
            [
                deep_text(rng, metadata[key]),
                changed_bytes(rng, metadata[key].encode(), [b"{}"]).decode("latin-1"),
            ]
        )
        return joined(header, data)
    configs = [
        json.loads(h["__metadata__"][k])
        for h in headers
        for k in ("model", "compile")
        if k in h["__metadata__"] and h["__metadata__"][k] != "null"
    ]
    metadata[key] = json.dumps(changed_tree(rng, json.loads(metadata[key]), configs))
    return joined(header, data)


# --- the process that loads them ------------------------------------------------------------------


class Fuzzer:
    """Loads mutants of a few files."""

    def __init__(self, folder: str) -> None:
        import corpus  # beside this file

        self.corpus = corpus
        self.path = os.path.join(folder, "mutant.safetensors")
        self.models = [make() for make in corpus.MODELS]
        self.files, self.weights = [], []
        for model in self.models:
            model.save(self.path)
            self.files.append(Path(self.path).read_bytes())
            model.save_weights(self.path)
            self.weights.append(Path(self.path).read_bytes())
        self.configs = [json.loads(model.to_json()) for model in self.models]

    def run(self, rng: random.Random) -> None:
        kind = rng.randrange(10)
        if kind < 6:
            self.load_file(changed_file(rng, rng.choice(self.files), self.files), rng)
        elif kind < 8:
            self.load_weights(rng)
        else:
            self.load_json(rng)

    def load_file(self, content: bytes, rng: random.Random) -> None:
        Path(self.path).write_bytes(content)
        model = self.corpus.load(self.path, compile=rng.random() < 0.7)
        self.corpus.use(model)

    def load_weights(self, rng: random.Random) -> None:
        model = rng.choice(self.models)
        before = [w.tobytes() for w in model.get_weights()]
        files = self.weights + self.files
        Path(self.path).write_bytes(changed_file(rng, rng.choice(files), files))
        try:
            model.load_weights(self.path)
        except ALLOWED:
            if [w.tobytes() for w in model.get_weights()] != before:
                raise AssertionError("a refused file changed weights") from None
            raise

    def load_json(self, rng: random.Random) -> None:
        tree = changed_tree(rng, rng.choice(self.configs), self.configs)
        for holder, key in nodes(tree):  # an order of a terabyte is carried out as far as it goes
            if isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
                holder[key] = min(max(holder[key], -(2**10)), 2**10)
        text = json.dumps(tree)
        kind = rng.randrange(4)
        if kind == 0:
            text = deep_text(rng, text)
        elif kind == 1:
            text = changed_bytes(rng, text.encode(), [b"{}"]).decode("latin-1")
        if kind < 3:
            self.corpus.from_json(text)
        else:
            self.corpus.from_config(tree)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def work(options: argparse.Namespace) -> int:
    sys.path.insert(0, str(Path(__file__).parent))
    with open(Path(options.worker, "progress"), "r+b") as file:
        progress = mmap.mmap(file.fileno(), 8)
    fuzzer = Fuzzer(options.worker)
    limit = resident() + 8 * 2**30  # what asks for more gets an error, not the whole machine
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    failures = loaded = 0
    first = memory = 0
    for number in range(options.mutants):
        progress[:] = struct.pack("<q", number)
        if number == WARM_UP:
            memory = resident()
            first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        try:
            fuzzer.run(random.Random(f"{options.seed}/{number}"))
            loaded += 1
        except ALLOWED as error:
            if not str(error):
                print(f"fuzz: mutant {number}: an error without a message", flush=True)
                failures += 1
        except Exception as error:
            text = traceback.format_exception_only(error)[-1].strip()
            print(f"fuzz: mutant {number}: {text[:300]}", flush=True)
            failures += 1
    if options.mutants > WARM_UP:
        growth = resident() - memory
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - first
        print(f"fuzz: memory grew by {growth / 2**20:.0f} MB, its peak by {peak / 2**20:.0f} MB")
        failures += growth > MOST_GROWTH or peak > 4 * MOST_GROWTH
    print(f"fuzz: {options.mutants} mutants, {loaded} loaded, {failures} failures", flush=True)
    return int(failures > 0)


def one(options: argparse.Namespace) -> int:
    sys.path.insert(0, str(Path(__file__).parent))
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(folder)
        fuzzer.run(random.Random(f"{options.seed}/{options.only}"))
    print("fuzz: loaded")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=60, help="seconds for one mutant")
    parser.add_argument("--only", type=int, help="run one mutant in this process")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(options)
    return one(options) if options.only is not None else watch(options)


if __name__ == "__main__":
    sys.exit(main())
