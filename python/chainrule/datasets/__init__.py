"""Data sets: digits comes with the package; mnist and fashion_mnist are read from a folder or a
cache, or downloaded."""

from __future__ import annotations

from chainrule.datasets import digits, fashion_mnist, mnist

__all__ = ["digits", "fashion_mnist", "mnist"]
