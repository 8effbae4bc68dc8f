"""The parts that every page is made of: escaped text, numbers, tables, and the page around them."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from cvbow.report._style import STYLE
from cvbow.storage import GENERATOR, check_suffix, replacing

#: What stands in place of a ratio without a denominator.
MISSING = "–"  # noqa: RUF001

# HTML forbids these, and UTF-8 cannot hold half of a surrogate pair, which is how Python spells a byte of a file name
# that is not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")

# A second lock behind the escaping: a page runs no script but the one it was given, and asks nobody for anything.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def escape(text: object) -> str:
    """Return text that means itself, inside an element and inside a quoted attribute."""
    return html.escape(_UNPRINTABLE.sub("\ufffd", str(text)), quote=True)


def isolate(text: object) -> str:
    """Return escaped text whose writing direction does not reach what stands beside it."""
    return f"<bdi>{escape(text)}</bdi>"


def breakable(path: object) -> str:
    """Return an isolated path that breaks where its parts end, rather than within them."""
    return "<bdi>" + "".join(f"{escape(part)}<wbr>" for part in re.split(r"(?<=[/\\_-])", str(path))) + "</bdi>"


def count(number: int) -> str:
    """Return a number with its thousands apart: 12,345."""
    return f"{number:,}"


def data(value: float, text: str) -> str:
    """Return a number's text with its full value beside it, for programs that read the page."""
    return f'<data value="{value!r}">{text}</data>'


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal."""
    return MISSING if share != share else data(share, f"{100 * share:.1f}\u202f%")


def picture(image: Any, alternative: str) -> str:
    """Return a Pillow image as an element that holds it."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=85)
    content = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<img src="data:image/jpeg;base64,{content}" width="{image.width}" height="{image.height}" '
        f'alt="{escape(alternative)}">'
    )


def link(anchor: str, content: str) -> str:
    """Return HTML as a link to a place on the page; as it is, where there is no such place."""
    return f'<a href="#{anchor}">{content}</a>' if anchor else content


def figure(image: Any, alternative: str, caption: str, path: str, anchor: str = "") -> str:
    """Return a Pillow image as a figure; the caption is HTML, and the path stands below it.

    With an anchor the image is a link to there.
    """
    return f"""<figure>
<div class="frame">{link(anchor, picture(image, alternative))}</div>
<figcaption>{caption}
<span class="path">{breakable(path)}</span></figcaption>
</figure>
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Return a table of HTML cells, a row's first one its header; the columns ``numbers`` are aligned to the right."""
    kinds = [' class="number"' if column in numbers else "" for column in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{cell}</th>' for kind, cell in zip(kinds, head, strict=True))
    body = "\n".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{cell}</td>" if column else f'<th scope="row">{cell}</th>'
            for column, (kind, cell) in enumerate(zip(kinds, row, strict=True))
        )
        + "</tr>"
        for row in rows
    )
    return f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def scroll_box(content: str, label: str) -> str:
    """Return content that scrolls inside the page, with the keyboard too."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">\n{content}\n</div>'


def section(key: str, title: str, content: str) -> tuple[str, str, str]:
    """Return a section of a page: its anchor, its title, and its HTML."""
    return key, title, f'<section id="{key}">\n<h2>{escape(title)}</h2>\n{content}\n</section>'


def page(title: str, introduction: str, sections: Sequence[tuple[str, str, str]], script: str = "") -> str:
    """Return a whole document: a title of text, an introduction of HTML, and sections as ``section`` makes them.

    A script is JavaScript that runs when all of the page is there.
    """
    links = "\n".join(f'<a href="#{key}">{escape(name)}</a>' for key, name, _ in sections)
    body = "\n".join(content for _, _, content in sections)
    policy, code = _POLICY, ""
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        policy, code = f"{_POLICY}; script-src 'sha256-{digest}'", f"<script>{script}</script>\n"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="{GENERATOR}">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header>
<h1>{breakable(title)}</h1>
{introduction}
</header>
<nav aria-label="Sections">
{links}
</nav>
{body}
</main>
{code}</body>
</html>
"""


def write_page(path: str | os.PathLike[str], document: str) -> None:
    """Write a document, whole or not at all.

    Raises
    ------
    ValueError
        If the path does not end in .html or .htm.
    FileNotFoundError, PermissionError, IsADirectoryError
        Where the folder is missing or read-only, or `path` is a folder.
    """
    check_suffix(path, ".html", ".htm")
    with replacing(path) as file:
        file.write(document.encode())
