#!/usr/bin/env python3
"""Writes the type stubs of chainrule's generated namespaces, from the installed package.

python tools/make_stubs.py           write python/chainrule/*.pyi
python tools/make_stubs.py --check   exit with 1 if they are not up to date
"""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from chainrule import _core

FOLDER = Path(__file__).resolve().parents[1] / "python" / "chainrule"
HEADER = '"""Made by tools/make_stubs.py: do not edit."""\n\n'
IMPORTS = """\
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import _core
from chainrule._arguments import DType, Number, Tensor
"""
NAMESPACES = ("layers", "losses", "metrics", "optimizers", "initializers", "activations", "ops")
# Annotations of constructors' arguments, for types of fields.
TYPES = {
    "Initializer": "Any",
    "DTypePolicy | str | None": "Any",
    "str | Callable | None": "str | Callable[..., Any] | None",
    "tuple[int, ...]": "int | Sequence[int | None]",
    "float": "float",
}


def signature_text(function: Any) -> str:
    """The signature in a stub: `(self, x: Any, axis: int = ...) -> Any: ...`."""
    signature = inspect.signature(function)
    parameters = []
    for parameter in signature.parameters.values():
        text = str(
            parameter.replace(default=inspect.Parameter.empty, annotation=inspect.Parameter.empty)
        )
        if parameter.annotation is not inspect.Parameter.empty:
            text += f": {parameter.annotation}"
        elif parameter.name not in ("self", "cls"):
            text += ": Any"
        if parameter.default is not inspect.Parameter.empty:
            text += " = ..."
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not any(
            "*" in p for p in parameters
        ):
            parameters.append("*")
        parameters.append(text)
    result = (
        "Any"
        if signature.return_annotation is inspect.Signature.empty
        else signature.return_annotation
    )
    if getattr(function, "__name__", "") == "__init__":
        result = "None"
    return f"({', '.join(parameters)}) -> {result}: ..."


def member_lines(name: str, member: Any) -> list[str]:
    if isinstance(member, property):
        return ["    @property", f"    def {name}(self) -> Any: ..."]
    if isinstance(member, classmethod):
        return ["    @classmethod", f"    def {name}{signature_text(member.__func__)}"]
    return [f"    def {name}{signature_text(member)}"]


def base_class(cls: Any) -> list[str]:
    """The stub of the base class of a kind, from its Python members."""
    shown = ("__init__", "__call__")
    lines = [f"class {cls.__name__}(_core.{cls.__mro__[1].__name__}):"]
    for name, member in vars(cls).items():
        is_member = inspect.isfunction(member) or isinstance(member, (property, classmethod))
        if (
            is_member
            and (not name.startswith("_") or name in shown)
            and name != "__init_subclass__"
        ):
            lines += member_lines(name, member)
    return [*lines, ""]


def catalog_class(kind: str, base: str, name: str, fields: list[Any]) -> list[str]:
    arguments = []
    for field, field_type, _, required, _ in fields:
        shown = "str | None" if field == "name" else TYPES.get(field_type, field_type)
        arguments.append(f"{field}: {shown}" + ("" if required else " = ..."))
    lines = [
        f"class {name}({base}):",
        f"    def __init__(self, {', '.join(arguments)}) -> None: ...",
    ]
    for field, *_ in fields:
        if isinstance(vars(_core.classes[f"{kind}.{name}"]).get(field), property):
            lines += ["    @property", f"    def {field}(self) -> Any: ..."]
    return [*lines, ""]


def namespace(module: ModuleType) -> str:
    kind = module.__name__.rpartition(".")[2]
    kinds = ("layers", "losses", "metrics", "optimizers", "initializers")
    described = (
        {name: fields for name, _, _, _, fields in _core.describe(kind)} if kind in kinds else {}
    )
    base = _core.classes[f"{kind}."].__name__ if kind in kinds else ""
    imported, lines = [], []
    names = sorted(module.__all__, key=lambda name: (name != base, name))
    for name in names:
        value = getattr(module, name)
        if name in described:
            lines += catalog_class(kind, base, name, described[name])
        elif getattr(value, "__module__", "") not in (module.__name__, "chainrule.losses"):
            imported.append(f"from {value.__module__} import {name} as {name}")
        elif inspect.isclass(value):
            lines += base_class(value)
        else:
            lines += [f"def {name}{signature_text(value)}"]
    text = IMPORTS + "\n".join(sorted(imported)) + "\n\n__all__: list[str]\n\n"
    return HEADER + text + "\n".join(lines).rstrip() + "\n"


def core() -> str:
    """The stub of the extension module: only names; the package above it has the types."""
    lines = ["from typing import Any", "", "__version__: str", ""]
    for name, value in sorted(vars(_core).items()):
        if inspect.isclass(value):
            lines.append(f"class {name}:")
            lines.append("    def __init__(self, *args: Any, **kwargs: Any) -> None: ...")
            for member in sorted(vars(value)):
                if member in (
                    "__init__",
                    "__doc__",
                    "__module__",
                    "__new__",
                    "__hash__",
                    "__eq__",
                    "__ne__",
                ):
                    continue
                if callable(getattr(value, member)):
                    lines.append(f"    def {member}(self, *args: Any, **kwargs: Any) -> Any: ...")
                else:
                    lines.append(f"    {member}: Any")
            lines.append("")
        elif inspect.ismodule(value) or isinstance(value, (dict, list)):
            lines.append(f"{name}: Any")
        elif isinstance(value, (int, float)):
            lines.append(f"{name}: {type(value).__name__}")
        elif callable(value) and not name.startswith("__"):
            lines.append(f"def {name}(*args: Any, **kwargs: Any) -> Any: ...")
    return HEADER + "\n".join(lines).rstrip() + "\n"


def stubs() -> dict[str, str]:
    """{file name: text}"""
    result = {
        f"{name}.pyi": namespace(importlib.import_module(f"chainrule.{name}"))
        for name in NAMESPACES
    }
    return {"_core.pyi": core(), **result}


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = []
    for name, text in stubs().items():
        path = FOLDER / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text)
    if stale:
        print(("not up to date: " if check else "wrote ") + ", ".join(stale))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
