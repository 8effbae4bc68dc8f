"""What pages about an evaluation have in common: skipped files, how the model was made, where images lie."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable, Sequence

import numpy as np

from cvbow import __version__
from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError
from cvbow.presets import SETTINGS
from cvbow.report._html import count, escape, isolate, scroll_box, table

#: What a recipe says beside its settings.
_OF_RECIPE = {
    "preset": "the recipe that the settings come from",
    "chosen": "what it chose by the training images",
    "because": "why",
}
#: What is said in place of thumbnails.
GONE = "<p>None of the images can be read any more.</p>"


def figures(named: Iterable[tuple[str, str, str]]) -> str:
    """Return HTML of a page's figures: of each the name, the value, and what to know of it."""
    body = "\n".join(
        f'<div><dt>{name}</dt><dd>{value}<span class="hint">{hint}</span></dd></div>' for name, value, hint in named
    )
    return f'<dl class="figures">\n{body}\n</dl>'


def skipped_files(skipped: Sequence[ImageError], base: str) -> str:
    """Return HTML of the files that could not be read, and why."""
    if not skipped:
        return "<p>None: every image could be read.</p>"
    rows = [(isolate(below(error.path, base)), escape(error.reason)) for error in skipped]
    return scroll_box(table(("File", "Reason"), rows), "Skipped files")


def how_made(model: ImageClassifier, base: str) -> str:
    """Return HTML of how a model was made, and with what."""
    import cv2
    import sklearn

    parts = []
    if model.shown_recipe:
        rows = [
            (f"<code>{escape(key)}</code>", f"<code>{escape(_plain(value))}</code>", _meaning(key))
            for key, value in model.shown_recipe.items()
        ]
        parts.append(scroll_box(table(("Setting", "Value", "Meaning"), rows), "Recipe"))
    else:
        made = escape(f"{model.backend!r}\n{model.classifier!r}")
        parts.append(f"<p>Built from its parts, without a recipe:</p>\n<pre>{made}</pre>")
    versions = {
        "cvbow": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "OpenCV": cv2.__version__,
    }
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    parts.append(
        f'<p class="made">An image becomes {count(int(model.backend_.vector_length))} numbers. '
        f"Written on {today} with {', '.join(f'{name} {escape(version)}' for name, version in versions.items())}.</p>"
    )
    if base:
        parts.append(f"<p>Paths on this page begin at <code>{isolate(base)}</code></p>")
    return "\n".join(parts)


def common_folder(paths: Sequence[str | os.PathLike[str]]) -> str:
    """Return the folder that all images are in, or nothing when there is none to speak of."""
    try:
        return os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError:  # absolute and relative paths, or two drives
        return ""


def below(path: str, base: str) -> str:
    """Return a path below a folder, or as it is where it is not there."""
    inside = os.path.join(base, "")
    return path[len(inside) :] if base and path.startswith(inside) else path


def _plain(value: object) -> str:
    """Return a setting's value as ``--set key=value`` takes it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _meaning(key: str) -> str:
    if key in _OF_RECIPE:
        return _OF_RECIPE[key]
    part, is_nested, _ = key.partition("__")
    return escape(SETTINGS[key].meaning) if key in SETTINGS else f"of the {part}" if is_nested else "of the classifier"
