"""What mkdocs needs to know beside mkdocs.yml: pages may link to files of the repository that are not in docs/.

A program, the changelog, a folder with a README: what a page links to gets a page of its own in the site, and what
that one links to as well. Everything else that leads nowhere is left alone, so that the strict build fails on it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
DOCS = PurePosixPath("docs")
LINK = re.compile(r"(?<=\]\()([^)#\s]+)")
FOREIGN = re.compile(
    r"""<(?:script|img|iframe)\b[^>]*\bsrc="(?:https?:)?//[^"]*"|<link\b[^>]*\bhref="https?://[^"]*"[^>]*>"""
)
LANGUAGES = {".py": "python", ".csv": "text"}

ORIGINS: dict[str, PurePosixPath] = {}
"""Where the pages of this build come from that do not lie in docs/: a file of the repository for a page's address."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file outside docs/ that can be reached from a page by links."""
    from mkdocs.structure.files import File, InclusionLevel

    ORIGINS.clear()
    todo = [DOCS / file.src_uri for file in files.documentation_pages()]
    while todo:
        for target in linked_from(todo.pop()):
            address = address_of(target)
            if address not in ORIGINS and not target.is_relative_to(DOCS):
                ORIGINS[address] = target
                page = File.generated(config, address, content=content_of(target), inclusion=InclusionLevel.NOT_IN_NAV)
                files.append(page)
                todo.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the links that lead out of docs/, or back into it, at the pages of the site."""
    address = page.file.src_uri
    source = ORIGINS.get(address, DOCS / address)

    def turned(link: re.Match[str]) -> str:
        target = target_of(source, link[0])
        if target is None or (source.is_relative_to(DOCS) and target.is_relative_to(DOCS)):
            return link[0]
        return os.path.relpath(address_of(target), PurePosixPath(address).parent)

    return LINK.sub(turned, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that would load something from elsewhere."""
    from mkdocs.exceptions import PluginError

    if found := FOREIGN.search(output):
        raise PluginError(f"{page.file.src_uri} would load from elsewhere: {found[0]}")
    return output


def linked_from(source: PurePosixPath) -> list[PurePosixPath]:
    """The files of the repository that a page links to."""
    if source.suffix != ".md":
        return []
    found = (target_of(source, link) for link in LINK.findall((ROOT / source).read_text()))
    return [target for target in found if target is not None]


def target_of(source: PurePosixPath, link: str) -> PurePosixPath | None:
    """The file a link in `source` leads to, for a folder its README; nothing if it leads out of the repository."""
    path = PurePosixPath(os.path.normpath(source.parent / link))
    if (ROOT / path).is_dir():
        path /= "README.md"
    return path if (ROOT / path).is_file() else None


def address_of(path: PurePosixPath) -> str:
    """The source of the page that shows a file."""
    inside = path.relative_to(DOCS) if path.is_relative_to(DOCS) else path
    return str(inside) if path.suffix == ".md" else f"{inside}.md"


def content_of(path: PurePosixPath) -> str:
    """Markdown as it is, anything else as a block of code."""
    text = (ROOT / path).read_text()
    if path.suffix == ".md":
        return text
    return f"# {path.name}\n\n`{path}`\n\n```{LANGUAGES.get(path.suffix, 'text')}\n{text}```\n"
