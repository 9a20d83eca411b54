"""Every page is found and every link leads somewhere, here and on the site; programs can be imported.

`make docs` builds the site strictly and finds the same; this takes milliseconds and names the place.
"""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml
from markdown.extensions.toc import slugify

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
FENCED = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PAGES = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    if (ROOT / name).exists()
)
PROGRAMS = {
    **{
        f"{page.relative_to(ROOT).as_posix()}:{number}": program
        for page in PAGES
        for number, program in enumerate(
            re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE), 1
        )
    },
    **{file.relative_to(ROOT).as_posix(): file.read_text() for file in sorted((ROOT / "examples").rglob("*.py"))},
}


@cache
def text_of(page: Path) -> str:
    return FENCED.sub("", page.read_text())


@cache
def anchors_of(page: Path) -> frozenset[str]:
    headings = re.findall(r"^#+ (.+?)\s*$", text_of(page), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "") for heading in headings)
    return frozenset(slugify(heading, "-") for heading in plain)


def problem_of(page: Path, link: str) -> str | None:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT):
        return "leads out of the repository"
    if not target.exists():
        return "leads nowhere"
    if target.is_dir() and target.is_relative_to(DOCS):
        return "leads to a folder: name a page of it"
    if anchor and target.suffix == ".md" and anchor not in anchors_of(target):
        return f"has no heading {anchor}"
    return None


def pages_in(navigation: object) -> list[str]:
    if isinstance(navigation, str):
        return [navigation]
    children = navigation.values() if isinstance(navigation, dict) else navigation
    return [page for child in children for page in pages_in(child)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path):
    links = [link for link in LINK.findall(text_of(page)) if "://" not in link and not link.startswith("mailto:")]
    broken = [f"{link} {problem}" for link in links if (problem := problem_of(page, link))]
    assert not broken, f"{page.relative_to(ROOT)}: " + "; ".join(broken)


def test_the_navigation_names_every_page_once():
    named = pages_in(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    written = [page.relative_to(DOCS).as_posix() for page in PAGES if page.is_relative_to(DOCS)]
    missing = sorted(set(written) - set(named))
    assert not missing, "not in the navigation, add them to `nav` in mkdocs.yml: " + ", ".join(missing)
    assert sorted(named) == sorted(written), "mkdocs.yml names pages that are not there, or some twice"


def makes_an_application(statement: ast.stmt) -> bool:
    """Whether it does so where the module is imported: not in a function, a class, or only if it is the main one."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    if isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test):
        return any(makes_an_application(one) for one in statement.orelse)
    return any(isinstance(one, ast.Call) and ast.unparse(one.func) == "KafkaStreams" for one in ast.walk(statement))


def test_no_import_of_a_program_runs_an_application():
    """`moldau streams run` imports what has the topology, and so does whoever tests it."""
    running = [name for name, text in PROGRAMS.items() if any(map(makes_an_application, ast.parse(text).body))]
    assert not running, 'put it under `if __name__ == "__main__":`: ' + ", ".join(running)
    assert sum("KafkaStreams(" in text for text in PROGRAMS.values()) >= 5
