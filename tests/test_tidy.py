"""The house rules that a machine can check: how long a module and a function may be, and what no file may say.

The limits are those of CONTRIBUTING.md. A module over the limit holds two things; a function over the limit cannot
be seen whole.
"""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES_MAX = 620
FUNCTION_LINES_MAX = 70
# Tables are read by key, not from top to bottom.
TABLES = ("python/moldau/config/", "python/moldau/errors.py", "python/moldau/_core.pyi")
KNOWS_THE_EXTENSION = (
    "python/moldau/server/",
    "python/moldau/testing/",
    "python/moldau/streams/",
    "python/moldau/client/fetching/",
    "python/moldau/client/producing/",
    "python/moldau/client/serdes/",
    "python/moldau/connect/connectors/postgres/",
    "python/moldau/wire/",
)
BANNED_STEMS = {"utils", "util", "helpers", "helper", "common", "misc"}


def tracked(*suffixes: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / name for name in listing.stdout.splitlines() if name.endswith(suffixes) and (ROOT / name).exists()]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def rust_functions(source: str) -> list[tuple[str, int, int]]:
    """Name, first line and length of each function; rustfmt puts the closing brace under the opening `fn`."""
    found: list[tuple[str, int, int]] = []
    lines = source.splitlines()
    for index, line in enumerate(lines):
        match = re.match(r"^(\s*)(?:pub(?:\([a-z]+\))? )?(?:const |async |unsafe )*fn (\w+)", line)
        if match is None:
            continue
        end = next((i for i in range(index, len(lines)) if lines[i] == match[1] + "}"), index)
        found.append((match[2], index + 1, end - index + 1))
    return found


def test_no_module_is_longer_than_one_can_hold_in_mind():
    offenders = []
    for path in tracked(".py", ".rs", ".ts", ".tsx"):
        if name_of(path).startswith(TABLES):
            continue
        length = len(path.read_text().splitlines())
        if length > MODULE_LINES_MAX:
            offenders.append(f"{name_of(path)}: {length} lines")
    assert not offenders, f"over {MODULE_LINES_MAX} lines:\n" + "\n".join(offenders)


def test_every_function_fits_on_a_screen():
    offenders = []
    for path in tracked(".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    offenders.append(f"{name_of(path)}:{node.lineno} {node.name}: {length} lines")
    for path in tracked(".rs"):
        for name, line, length in rust_functions(path.read_text()):
            if length > FUNCTION_LINES_MAX:
                offenders.append(f"{name_of(path)}:{line} {name}: {length} lines")
    assert not offenders, f"over {FUNCTION_LINES_MAX} lines:\n" + "\n".join(offenders)


def test_every_module_says_what_it_is_for():
    offenders = []
    for path in tracked(".py"):
        name = name_of(path)
        source = path.read_text()
        if name.startswith("python/") and source.strip() and ast.get_docstring(ast.parse(source)) is None:
            offenders.append(name)
    for path in tracked(".rs"):
        if "/src/" in name_of(path) and path.stem != "tests" and not path.read_text().startswith("//!"):
            offenders.append(name_of(path))
    assert not offenders, "no opening essay:\n" + "\n".join(offenders)


def test_only_the_server_and_the_kernels_know_the_extension():
    offenders = [
        name_of(path)
        for path in tracked(".py")
        if name_of(path).startswith("python/")
        and not name_of(path).startswith(KNOWS_THE_EXTENSION)
        and re.search(r"^\s*(from|import) moldau(\._core| import .*\b_core\b)", path.read_text(), re.MULTILINE)
    ]
    assert not offenders, "moldau._core is imported by: " + ", ".join(offenders)


def test_no_module_is_a_drawer():
    drawers = [name_of(path) for path in tracked(".py", ".rs") if path.stem in BANNED_STEMS]
    assert not drawers, "named for nothing in particular: " + ", ".join(drawers)


@pytest.mark.parametrize("marker", ["TODO", "FIXME", "todo!(", "unimplemented!("])
def test_nothing_is_left_to_do_in_the_code(marker: str):
    sources = [path for path in tracked(".py", ".rs") if path != Path(__file__)]
    offenders = [name_of(path) for path in sources if marker in path.read_text()]
    assert not offenders, f"{marker} in: " + ", ".join(offenders)
