"""The command line: `chainrule demo`, `chainrule info`; also `python -m chainrule`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from chainrule import _core


def cmake_dir() -> Path:
    """The folder of chainrule-config.cmake in this package."""
    return Path(__file__).resolve().parent / "lib" / "cmake" / "chainrule"


def demo(epochs: int, output: Path | None) -> int:
    """Trains a small network on the embedded digits."""
    import chainrule as cr

    (x_train, y_train), (x_test, y_test) = cr.datasets.digits.load_data()
    print(
        f"Training a network to read handwritten digits: {len(x_train)} images of 8 x 8 pixels to "
        f"learn from, {len(x_test)} others to test it."
    )
    cr.utils.set_random_seed(1)
    model = cr.Sequential(
        [
            cr.Input((8, 8)),
            cr.layers.Flatten(),
            cr.layers.Dense(256, activation="relu"),
            cr.layers.Dropout(0.3),
            cr.layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=cr.optimizers.Adam(0.002),
        loss=cr.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    model.fit(x_train.astype("float32") / 16, y_train, epochs=epochs)
    seconds = time.perf_counter() - start
    accuracy = model.evaluate(x_test.astype("float32") / 16, y_test, verbose=0, return_dict=True)[
        "accuracy"
    ]
    path = output or Path(tempfile.gettempdir(), "chainrule-digits.safetensors")
    model.save(path)
    print(f"Accuracy on the {len(x_test)} held-out digits: {100 * accuracy:.1f} %")
    print(f"Time to train for {epochs} epochs: {seconds:.2f} s")
    print(f"Saved the model: {path}")
    return 0


def info() -> int:
    """Prints what this build is and what it runs on."""
    found = _core.info()
    print(f"chainrule        {found['version']}")
    print(
        f"instruction set  {found['instruction_set']} (of {', '.join(found['instruction_sets'])})"
    )
    print(f"threads          {found['threads']}")
    print(f"build            {found['build']}, {found['compiler']}")
    print(f"python           {sys.version.split()[0]}")
    print(f"cmake            {cmake_dir() if cmake_dir().is_dir() else 'not in this installation'}")
    return 0


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chainrule", description="Trains neural networks on the CPU."
    )
    parser.add_argument("--version", action="version", version=f"chainrule {_core.__version__}")
    parser.add_argument(
        "--cmake-dir", action="store_true", help="print where find_package(chainrule) looks"
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo_parser = commands.add_parser("demo", help="train a small network on the embedded digits")
    demo_parser.add_argument(
        "--epochs", type=positive, default=40, help="times to see all images (default: 40)"
    )
    demo_parser.add_argument("--output", type=Path, metavar="PATH", help="where to save the model")
    commands.add_parser("info", help="version, instruction set, threads, build")
    return parser


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.cmake_dir:
        if not cmake_dir().is_dir():
            raise RuntimeError(
                f"the CMake package is not in this installation. Looked for: {cmake_dir()}"
            )
        print(cmake_dir())
        return 0
    if options.command == "demo":
        return demo(options.epochs, options.output)
    if options.command == "info":
        return info()
    parser.print_help()
    return 2


def main(arguments: list[str] | None = None) -> int:
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        status = run(parser, options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 1
    except (RuntimeError, ValueError, OSError) as error:
        print(f"chainrule: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
