"""The reference pages say what the code says."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
GENERATOR = runpy.run_path(str(ROOT / "tools" / "reference.py"))
PAGES = GENERATOR["pages"]()


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_current(name):
    written = (ROOT / "docs" / "reference" / name).read_text()
    assert written == PAGES[name], f"docs/reference/{name} is out of date: run `make docs`"


def test_no_generated_page_is_left_over():
    generated = {
        page.name for page in (ROOT / "docs" / "reference").glob("*.md") if GENERATOR["GENERATED"] in page.read_text()
    }
    assert generated == set(PAGES)
