"""Data sets: digits comes with the package; mnist and fashion_mnist from a folder, a cache or a
download."""

from __future__ import annotations

from chainrule.datasets import digits, fashion_mnist, mnist

__all__ = ["digits", "fashion_mnist", "mnist"]
