"""Build the documentation as a site, and check every link of it.

    python scripts/site.py            writes build/docs; open build/docs/index.html

In: README.md and the other pages of the root, docs/, and docstrings of what users import. Out: HTML
that asks no other host for anything. Exit code 1 with a line for each dead link, missing anchor, or
file that another host would have to send. Called by `make docs`; needs the extra `docs`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "build" / "docs-pages"
"""The Markdown of the site; `docs_dir` of mkdocs.yml."""
SITE = ROOT / "build" / "docs"
"""The HTML; `site_dir` of mkdocs.yml."""
FILES = "files"
"""Folder of the site for files of the repository that a page links to."""

OF_THE_ROOT = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "AGENTS.md": "agents.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages that lie beside docs/ in the repository, and their names in the site."""

PYTHON_PAGE = """# Python

What a script says to orch is `import orch`; how a program reads runs is `import orchestrator`.

## import orch

::: orch

## import orchestrator

::: orchestrator.api.launching.launch

::: orchestrator.api.loaded

::: orchestrator.api.table.Table
"""
"""Docstrings, which are read as text: nothing of ours is imported."""

LINK = re.compile(r"(\]\(|src=\")([^)\s\"]+)([)\"])")
"""A link or picture of Markdown, or a picture of HTML."""
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def page_of(path: Path) -> str | None:
    """Where a file of the repository lies in the site's Markdown; None: it is no part of it."""
    name = path.relative_to(ROOT).as_posix()
    if name in OF_THE_ROOT:
        return OF_THE_ROOT[name]
    return name.removeprefix("docs/") if name.startswith("docs/") else None


def moved(text: str, source: Path) -> str:
    """The text of a page with its links as they are in the site; linked files come along."""
    here = Path(page_of(source) or "").parent

    def link(match: re.Match[str]) -> str:
        target, mark, anchor = match[2].partition("#")
        if not target or urlsplit(target).scheme:
            return match[0]
        path = (source.parent / target).resolve()
        place = page_of(path)
        if place is None:
            place = f"{FILES}/{path.relative_to(ROOT).as_posix()}"
            if path.is_file():
                (PAGES / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, PAGES / place)
        return f"{match[1]}{os.path.relpath(place, here)}{mark}{anchor}{match[3]}"

    parts = FENCE.split(text)
    return "".join(part if part.startswith("```") else LINK.sub(link, part) for part in parts)


def gather() -> None:
    """Write the Markdown of the site: one folder with every page, whatever folder it comes from."""
    for folder in (PAGES, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES)
    for source in [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in OF_THE_ROOT)]:
        (PAGES / str(page_of(source))).write_text(moved(source.read_text(), source))
    (PAGES / "python.md").write_text(PYTHON_PAGE)


class Page(HTMLParser):
    """What a page of HTML can be linked by, what it links to, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one tag."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(values.get("href", ""))
        elif "src" in values:
            self.loaded.append(values["src"])


def dead(site: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """A line for each link, picture or script of a page that is not there."""
    for path, page in pages.items():
        for target in [*page.links, *page.loaded]:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            aim = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            aim = aim / "index.html" if aim.is_dir() else aim
            anchor = unquote(parts.fragment) if aim in pages else ""
            if not aim.exists() or (anchor and anchor not in pages[aim].anchors):
                yield f"{path.relative_to(site)}: {target} is not there"


def foreign(site: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """A line for each file that another host would have to send."""
    for path, page in pages.items():
        for target in page.loaded:
            if urlsplit(target).netloc:
                yield f"{path.relative_to(site)}: loads {target} from another host"
    for sheet in site.rglob("*.css"):
        if re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text()):
            yield f"{sheet.relative_to(site)}: loads something from another host"


def faults(site: Path) -> list[str]:
    """A line for each thing that is wrong with the HTML below a folder."""
    found = sorted(path for path in site.rglob("*.html") if path.name != "404.html")
    pages = {path: Page(path) for path in found}
    return [*dead(site, pages), *foreign(site, pages)]


def main() -> int:
    """Build the site, and print what is wrong with it."""
    gather()
    program = Path(sys.executable).with_name("zensical")
    if not program.exists():
        print("make docs needs the extra docs: pip install -e '.[docs]'", file=sys.stderr)
        return 2
    built = subprocess.run([str(program), "build", "--clean"], cwd=ROOT, check=False)
    if built.returncode:
        return built.returncode
    wrong = faults(SITE)
    print("\n".join(wrong) if wrong else f"every link leads somewhere: {SITE}/index.html")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
