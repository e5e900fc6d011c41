#!/usr/bin/env python3
"""Writes the API reference, docs/api/*.md, from the docstrings of the installed package.

python tools/make_docs.py           write docs/api/
python tools/make_docs.py --check   exit with 1 if it is not up to date
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import chainrule

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "api"
NOTE = "<!-- Made by tools/make_docs.py from the docstrings: do not edit. -->\n\n"
# Modules with a page, in the order of the index. A page describes the names in __all__.
NAMESPACES = (
    "models layers losses metrics optimizers initializers activations callbacks ops datasets utils "
    "config dtype_policies backend"
).split()
WIDTH = 88  # the most characters of a signature on one line
SHORT = 60  # the most characters of a signature that is a heading
# Annotations that are left out of signatures: to Python's type checkers they all mean Any.
UNTYPED = ("Any", "Array", "DType", "Number", "Tensor")
SECTION = re.compile(r"^(Args|Returns|Raises|Example):$")


# --- docstrings -----------------------------------------------------------------------------------


def items(lines: list[str]) -> list[str]:
    """`name: meaning` lines of a section, continued by deeper ones, as a Markdown list."""
    result: list[str] = []
    for line in lines:
        head, colon, rest = line.strip().partition(": ")
        if not line.startswith(" ") and colon and re.fullmatch(r"[\w, ]+", head):
            names = ", ".join(f"`{name.strip()}`" for name in head.split(","))
            result.append(f"- {names}: {rest}")
        elif result:
            result[-1] += " " + line.strip()
        else:
            result.append(line.strip())
    return result


def is_code(paragraph: str) -> bool:
    return paragraph.lstrip().startswith(">>>") or "\n    " in f"\n{paragraph}"


def prose(lines: list[str]) -> list[str]:
    """Paragraphs as Markdown; examples and indented paragraphs become code blocks."""
    result: list[str] = []
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    for paragraph in filter(None, paragraphs):
        if is_code(paragraph):
            language = "pycon" if ">>>" in paragraph else "text"
            text = inspect.cleandoc(paragraph) if language == "pycon" else paragraph
            result += [f"```{language}", text, "```", ""]
        else:
            result += [re.sub(r"(?<!`)__init__", "`__init__`", paragraph), ""]
    return result


def markdown(doc: str | None) -> list[str]:
    """A docstring with sections (Args, Returns, Raises, Example) as lines of Markdown."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    for line in inspect.cleandoc(doc or "").splitlines():
        heading = SECTION.match(line)
        if heading:
            sections.append((heading[1], []))
        else:
            sections[-1][1].append(line)
    result: list[str] = []
    for title, lines in sections:
        body = inspect.cleandoc("\n".join(lines)).splitlines()
        if not body:
            continue
        if title in ("Args", "Raises"):
            result += [f"{title}:", "", *items(body), ""]
        elif title:
            result += [f"{title}:", "", *prose(body)]
        else:
            result += prose(body)
    return result


# --- signatures -----------------------------------------------------------------------------------


def shown_parameter(parameter: inspect.Parameter) -> str:
    annotation = str(parameter.annotation)
    known = (
        parameter.annotation is not inspect.Parameter.empty
        and annotation.removesuffix(" | None") not in UNTYPED
    )
    bare = parameter.replace(annotation=inspect.Parameter.empty, default=inspect.Parameter.empty)
    text = f"{bare}: {annotation}" if known else str(bare)
    if parameter.default is inspect.Parameter.empty:
        return text
    return f"{text} = {parameter.default!r}" if known else f"{text}={parameter.default!r}"


def signature(name: str, function: Any) -> str:
    """name(a, b: int = 3), on several lines if it is long."""
    shown = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not any(
            text.startswith("*") for text in shown
        ):
            shown.append("*")
        shown.append(shown_parameter(parameter))
    line = f"{name}({', '.join(shown)})"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {text}," for text in shown), ")"])


def heading(level: str, name: str, call: str) -> list[str]:
    """A short call is the heading; a long one stands below the name."""
    if "\n" not in call and len(call) <= SHORT:
        return [f"{level} `{call}`", ""]
    return [f"{level} {name}", "", "```text", call, "```", ""]


def function_page(name: str, function: Any, level: str = "##") -> list[str]:
    return [*heading(level, name, signature(name, function)), *markdown(function.__doc__)]


# --- classes --------------------------------------------------------------------------------------


def members(cls: type, public: set[type]) -> dict[str, Any]:
    """Public members of a class and of its bases, without bases that have an entry on a page."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if base is object or base.__name__ == "pybind11_object" or (base in public and base != cls):
            continue
        for name, member in vars(base).items():
            shown = callable(member) or isinstance(member, (property, classmethod))
            if shown and not name.startswith("_") and name not in found and member.__doc__:
                found[name] = member
    return found


def member_page(name: str, member: Any) -> list[str]:
    if isinstance(member, property):
        return [f"### `{name}`", "", *markdown(member.__doc__)]
    if isinstance(member, classmethod):
        return function_page(name, member.__func__, "###")
    if inspect.isfunction(member):
        return function_page(name, member, "###")
    # A member of the extension module: its docstring begins with a signature in terms of C++.
    given, _, doc = member.__doc__.partition("\n\n")
    arguments = ", ".join(re.findall(r"(\w+): ", given)[1:])
    return [f"### `{name}({arguments})`", "", *markdown(doc)]


def class_page(name: str, cls: type, public: set[type]) -> list[str]:
    has_own = inspect.isfunction(cls.__init__)  # the extension module's takes what is internal
    lines = heading("##", name, signature(name, cls.__init__)) if has_own else [f"## {name}", ""]
    lines += markdown(cls.__doc__)
    base = next((b for b in cls.__mro__[1:] if b in public), None)
    if base is not None:
        lines += [f"Has the members of `{base.__name__}`.", ""]
        if base.__name__ not in ("Layer", "Model"):
            return lines  # what else it has are its arguments, or hooks of the base
    if "_catalog_class" in vars(cls):
        return lines  # its arguments are its properties
    for member_name, member in members(cls, public).items():
        lines += member_page(member_name, member)
    return lines


# --- pages ----------------------------------------------------------------------------------------


def entries(module: ModuleType) -> list[tuple[str, Any]]:
    """Public names: base classes first, then classes, then functions."""
    named = [(name, getattr(module, name)) for name in module.__all__]
    base = {"Model", "Layer", "Loss", "Metric", "Optimizer", "Initializer", "Callback"}
    return sorted(
        named, key=lambda item: (item[0] not in base, not inspect.isclass(item[1]), item[0])
    )


def is_plain(function: Any) -> bool:
    """Whether a function has nothing but tensors as arguments."""
    annotations = [str(p.annotation) for p in inspect.signature(function).parameters.values()]
    return all(a in ("Tensor", "Sequence[Tensor]") for a in annotations)


def ops_page(module: ModuleType) -> list[str]:
    """A table of the functions that take only tensors, with one line each. Then the others."""
    lines = ["## Functions of tensors alone", "", "| function | meaning |", "|---|---|"]
    rest: list[str] = []
    for name, function in entries(module):
        if not is_plain(function):
            rest += function_page(name, function)
            continue
        meaning = " ".join(re.split(r"\n\n", inspect.cleandoc(function.__doc__ or ""))[0].split())
        parameters = inspect.signature(function).parameters
        call = f"{name}({', '.join(parameters)})"
        lines.append(f"| `{call}` | {meaning.replace('|', chr(92) + '|')} |")
    return [*lines, "", *rest]


def page(namespace: str) -> str:
    module = importlib.import_module(f"chainrule.{namespace}")
    lines = [f"# chainrule.{namespace}", "", *markdown(module.__doc__)]
    if namespace in ("ops", "activations"):
        lines += ops_page(module)
        return NOTE + "\n".join(lines).rstrip() + "\n"
    classes = {value for _, value in entries(module) if inspect.isclass(value)}
    public = classes | {chainrule.Layer, chainrule.Model}
    for name, value in entries(module):
        if inspect.ismodule(value):
            lines += [f"## {name}", "", *markdown(value.__doc__)]
            for inner in value.__all__:
                lines += function_page(f"{name}.{inner}", getattr(value, inner), "###")
        elif inspect.isclass(value):
            lines += class_page(name, value, public)
        else:
            lines += function_page(name, value)
    return NOTE + "\n".join(lines).rstrip() + "\n"


def index() -> str:
    lines = ["# API reference", ""]
    lines += ["Made from the docstrings; `help()` in Python shows the same.", ""]
    for namespace in NAMESPACES:
        module = importlib.import_module(f"chainrule.{namespace}")
        doc = inspect.cleandoc(module.__doc__ or "")
        first = re.split(r"(?<=\.)\s|\n\n", doc.replace("\n", " "))[0]
        lines.append(f"- [chainrule.{namespace}]({namespace}.md): {first}")
    top = ", ".join(f"`{name}`" for name in ("Input", "Layer", "Model", "Sequential"))
    lines += ["", f"{top} are in `chainrule` itself, too.", ""]
    lines += ["The C++ reference is the headers: `cpp/include/chainrule/`."]
    return NOTE + "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """{file name: text}"""
    return {"README.md": index(), **{f"{name}.md": page(name) for name in NAMESPACES}}


def main() -> int:
    check = "--check" in sys.argv[1:]
    expected = pages()
    stale = sorted({path.name for path in FOLDER.glob("*.md")} - set(expected))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in expected.items():
        path = FOLDER / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not check:
                path.write_text(text)
    if stale:
        print(("not up to date: " if check else "wrote ") + ", ".join(stale))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
