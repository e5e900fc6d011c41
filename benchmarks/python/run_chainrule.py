"""Chainrule: `fit`, and `predict` for single samples."""

from __future__ import annotations

from workloads import arguments

options = arguments("chainrule")

from fit_runner import run  # noqa: E402

import chainrule  # noqa: E402  (after the process is bound to its processors)

if __name__ == "__main__":
    chainrule.utils.set_random_seed(0)
    version = f"{chainrule.__version__} ({chainrule._core.info()['instruction_set']})"
    run("chainrule", chainrule, options, lambda model, x: model.predict(x, verbose=0), version)
