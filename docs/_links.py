"""The links of the pages, and those that lead nowhere in pages that were built: `python docs/_links.py docs/_build`."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What pages lead to in the source, and the page that the build makes of it: links work in both.
_PAGES = {
    r"cli/cvbow_cli/(?P<name>\w+)\.py": r"commands/cvbow-\g<name>.md",
    r"cli/cvbow_cli/": "commands/index.md",
    r"cvbow/(?P<name>\w+)/": r"api/cvbow.\g<name>.rst",
    r"cvbow/": "api/index.rst",
    r"examples/": "gallery/index.rst",
    r"benchmarks/README\.md": "benchmarks.md",
    r"CONTRIBUTING\.md": "contributing.md",
}


def as_built(text: str) -> str:
    """Return the text of a page with its links out of docs/ turned to the pages that the build makes."""
    for source, page in _PAGES.items():
        text = re.sub(rf"\]\(\.\./(?P<up>(\.\./)*){source}(?=[#)])", rf"](\g<up>{page}", text)
    return text


class _Page(HTMLParser):
    """The links of a page, and the places in it that links may lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is not None and name in ("href", "src", "srcset"):
                # A srcset is pictures for several screens, each with a factor behind it.
                parts = [part.split()[0] for part in value.split(",")] if name == "srcset" else [value]
                self.links.update(parts)
            elif value is not None and name in ("id", "name"):
                self.places.add(value)


def broken_links(folder: Path) -> list[str]:
    """Return a line for each link of a page below a folder to a file, or a place in a page, that is not there."""
    # Those in _static are templates of the theme.
    paths = [path for path in folder.resolve().rglob("*.html") if "_static" not in path.parts]
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in paths}
    found = []
    for path, page in sorted(pages.items()):
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = target in pages if target.suffix == ".html" else target.exists()
            if not there or (target in pages and unquote(parts.fragment) not in pages[target].places):
                found.append(f"{path.relative_to(folder.resolve())}: {link}")
    return found


if __name__ == "__main__":
    broken = broken_links(Path(sys.argv[1]))
    print(*broken, sep="\n", end="\n" if broken else "")
    print(f"{len(broken)} links lead nowhere")
    sys.exit(bool(broken))
