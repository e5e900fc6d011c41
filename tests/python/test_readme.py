"""README.md and docs/*.md: their programs run, their commands and names exist, their numbers are
those that were measured."""

import importlib.util
import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import processes
import pytest

import chainrule

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What docs/cpp.md says that programs may be compiled with.
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Woverloaded-virtual -Werror"
HEADERS = "\n".join(path.read_text() for path in (ROOT / "cpp" / "include").rglob("*.*"))


def label(path):
    return str(path.relative_to(ROOT))


def blocks(path):
    """(language, text, line) of each fenced block."""
    text = path.read_text()
    return [(m[1], m[2], text[: m.start(2)].count("\n")) for m in FENCE.finditer(text)]


def load_script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- programs -------------------------------------------------------------------------------------


def with_python(path):
    return any(language == "python" for language, _, _ in blocks(path))


@pytest.mark.parametrize("page", [p for p in PAGES if with_python(p)], ids=label)
def test_python_blocks_run(page, tmp_path, monkeypatch, capsys):
    """In turn, sharing names; a `text` block after one is what it prints."""
    monkeypatch.chdir(tmp_path)
    chainrule.backend.clear_session()
    names = {"__name__": "page"}
    printed = None
    for language, text, line in blocks(page):
        if language == "python":
            code = compile("\n" * line + text, str(page), "exec")  # errors name the page's line
            exec(code, names)
            printed = capsys.readouterr().out
        elif language == "text" and printed is not None:
            assert printed.rstrip() == text.rstrip(), f"{label(page)}, line {line}"
        if language != "python":
            printed = None


def cpp_programs():
    return {
        f"{page.stem.lower()}_{line}": text
        for page in PAGES
        for language, text, line in blocks(page)
        if language == "cpp"
    }


def tool(name):
    """A program of the tests' build requirements: installed beside Python, or on the PATH."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    assert found, f"{name} is needed: it is among the build requirements of the tests"
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the pages' C++ programs, compiled against the installed package."""
    cmake, ninja = tool("cmake"), tool("ninja")
    folder = tmp_path_factory.mktemp("pages")
    lines = [
        "cmake_minimum_required(VERSION 3.24)",
        "project(pages LANGUAGES CXX)",
        "set(CMAKE_CXX_FLAGS -O1)",
        "find_package(chainrule REQUIRED)",
    ]
    for name, text in cpp_programs().items():
        (folder / f"{name}.cpp").write_text(text)
        lines += [
            f"add_executable({name} {name}.cpp)",
            f"target_link_libraries({name} PRIVATE chainrule::chainrule)",
            f"target_compile_options({name} PRIVATE {WARNINGS})",
        ]
    (folder / "CMakeLists.txt").write_text("\n".join(lines) + "\n")
    asked = [sys.executable, "-m", "chainrule", "--cmake-dir"]
    package = processes.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    configure = [cmake, "-S", folder, "-B", folder / "build", f"-Dchainrule_DIR={package}"]
    for command in (
        [*configure, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"],
        [cmake, "--build", folder / "build", "--parallel", "2"],
    ):
        result = processes.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    return folder / "build"


@pytest.mark.parametrize("name", sorted(cpp_programs()))
def test_cpp_blocks_are_programs_that_run(name, built, tmp_path):
    result = processes.run([built / name], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


# --- commands -------------------------------------------------------------------------------------


def commands():
    return [
        (label(page), shlex.split(line, comments=True))
        for page in PAGES
        for language, text, _ in blocks(page)
        if language == "sh"
        for line in text.splitlines()
        if line.strip()
    ]


def accepted_by_dev(words, monkeypatch):
    dev = load_script(ROOT / "dev.py")
    called = []
    monkeypatch.setattr(dev, "Venv", lambda *_: None)
    for name in ("demo", "test", "emulate", "lint", "format_files", "generate", "bench"):
        monkeypatch.setattr(dev, name, lambda *_, name=name: called.append(name))
    monkeypatch.setattr(sys, "argv", words)
    return dev.main() == 0 and len(called) == 1


def accepted_by_cmake(words):
    cmake_lists = (ROOT / "CMakeLists.txt").read_text()
    names = [word[2:].partition("=")[0] for word in words if word.startswith("-D")]
    known = {"CMAKE_BUILD_TYPE", "CMAKE_PREFIX_PATH", "chainrule_DIR"}
    return all(name in known or f"option({name} " in cmake_lists for name in names)


@pytest.mark.parametrize(("page", "words"), commands(), ids=lambda value: str(value)[:60])
def test_commands_are_known(page, words, monkeypatch):
    program, *rest = words
    if program in ("python", "python3") and rest[0] == "dev.py":
        assert accepted_by_dev(rest, monkeypatch)
    elif program in ("python", "python3") and rest[0].endswith(".py"):
        assert (ROOT / rest[0]).is_file()
    elif program == "chainrule":
        command = [sys.executable, "-m", "chainrule", rest[0], "--help"]
        assert processes.run(command, capture_output=True).returncode == 0
    elif program == "cmake":
        assert accepted_by_cmake(rest)
    else:
        # Settings before a command, and commands of others.
        assert words == ["pip", "install", "."] or "=" in program, f"{page}: {words}"


def test_the_readme_shows_both_set_up_commands():
    lines = [words[1:] for page, words in commands() if page == "README.md"]
    assert ["dev.py", "demo"] in lines
    assert ["dev.py", "test"] in lines


def test_presets_in_the_readme_exist():
    named = re.search(r"CMake presets are (.*?)\.", (ROOT / "README.md").read_text())[1]
    presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
    visible = {preset["name"] for preset in presets if not preset.get("hidden")}
    assert set(re.findall(r"`([\w-]+)`", named)) == visible


# --- names, links, numbers ------------------------------------------------------------------------

NAMESPACES = [name for name in chainrule.__all__ if name.islower() and name[0] != "_"]
PYTHON_NAME = re.compile(rf"^(?:chainrule|cr|keras|{'|'.join(NAMESPACES)})(?:\.\w+)+")
CPP_NAME = re.compile(r"\b(?:\w+::)+(\w+)")
FILES = {"md", "py", "pyi", "h", "cpp", "def", "npz", "safetensors", "txt", "toml", "json"}


def inline_code(page):
    """Words in backticks, outside of blocks."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text()))


def resolve(dotted):
    parts = dotted.split(".")
    if parts[0] in ("chainrule", "cr", "keras"):
        parts = parts[1:]
    value = chainrule
    for part in parts:
        value = getattr(value, part)


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_names_exist(page):
    for code in inline_code(page):
        found = PYTHON_NAME.match(code)
        if found and found[0].rpartition(".")[2] not in FILES:
            resolve(found[0])
        for name in CPP_NAME.findall(code):
            assert re.search(rf"\b{name}\b", HEADERS) or code.startswith("std::"), code


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_every_page_of_docs_is_linked_from_the_readme():
    text = (ROOT / "README.md").read_text()
    for page in DOCS:
        assert f"(docs/{page.name})" in text


update_readme = load_script(ROOT / "tools" / "update_readme.py")


def test_the_readme_is_up_to_date():
    text = update_readme.README.read_text()
    assert text == update_readme.updated(text), "run: python tools/update_readme.py"


make_performance = load_script(ROOT / "tools" / "make_performance.py")


def test_the_page_of_measurements_is_up_to_date():
    text = make_performance.PAGE.read_text()
    assert text == make_performance.updated(text), "run: python tools/make_performance.py"


def test_the_floor_counts_operations_and_bytes():
    """Dense 3-2 and 2-1 on 4 samples: 16 operations for each of 6 + 2 weights in the forward pass
    and in the kernels' gradients (2 operations, 4 samples, 2 passes), 8 for each of the second
    layer's 2 in the gradient of its inputs; 11 parameters with the biases."""
    workload = make_performance.Workload("small", "small", (3, 2, 1), 4)
    assert workload.operations() == 16 * 8 + 8 * 2
    assert workload.parameters() == 11
    seconds = 144 / 2e9 + 28 * 11 / 1e9
    assert make_performance.floor_ms(workload, 2, 1e9) == pytest.approx(seconds * 1e3, rel=1e-12)


def test_results_become_sections(tmp_path, monkeypatch):
    (tmp_path / "gemm.md").write_text("# Products\n\nText.\n\n## One #\n\n| a |\n")
    monkeypatch.setattr(make_performance, "RESULTS", tmp_path)
    assert make_performance.measured("gemm") == "## Products\n\nText.\n\n### One #\n\n| a |"


def test_measurements_are_quoted(tmp_path, monkeypatch):
    path = tmp_path / "dense.md"
    path.write_text(
        "# Dense models\n\nA machine, 2 threads.\n\n## One training step\n\nMeaning.\n\n"
        "| work | Chainrule | PyTorch | JAX jit | times faster than the best peer | goal |\n"
        "|---|---|---|---|---|---|\n"
        "| small | 0.1 ±1% | 1 ±2% | 0.95 ±3% | 9.50 | 10 |\n"
        "| large | 2 ±1% | 3 ±2% | - | 1.50 | - |\n"
    )
    monkeypatch.setattr(update_readme, "RESULTS", path)
    assert update_readme.claim() == (
        "A training step of dense models is 1.5 to 9.5 times as fast as with the fastest of\n"
        "PyTorch and JAX jit, [side by side on one machine](#speed)."
    )
    assert update_readme.dense() == (
        "**One training step.** Meaning.\n\n"
        "| work | Chainrule | PyTorch | JAX jit | times faster than the best peer |\n"
        "|---|---|---|---|---|\n"
        "| small | 0.1 ±1% | 1 ±2% | 0.95 ±3% | 9.50 |\n"
        "| large | 2 ±1% | 3 ±2% | - | 1.50 |\n\n"
        "A machine, 2 threads."
    )
    path.unlink()
    assert "Not measured yet" in update_readme.dense()
