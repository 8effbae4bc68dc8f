"""The way of an image as a drawing, with pictures and numbers of a real run: `python docs/_way.py` makes way.svg."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import _material
import cvbow
from cvbow.images import encode_png

UInt8 = NDArray[np.uint8]

#: As in docs/concepts.md.
SETTINGS = {"n_words": 64, "grids": ("1x1", "2x2"), "max_side": 96}
_BOX, _GAP, _TEXT = 150, 46, 48  # pixels: a picture, the room for an arrow, the lines below a picture


def write_way(path: Path) -> None:
    """Write the drawing, of a model that learns from sixty shapes, and of a circle that it has not seen."""
    names = [name for name in _material.SHAPES for _ in range(20)]
    images = [_material.draw((name,), (96, 96), 100 * (i // 20) + i % 20)[0] for i, name in enumerate(names)]
    model = cvbow.make_model("bow", settings=SETTINGS, n_jobs=1).fit(images, names)
    image = _material.draw(("circle",), (96, 96), 1003)[0]

    table, vector = model.words(image), model.encode(image)
    probabilities = dict(zip(map(str, model.classes_), model.predict_proba([image])[0], strict=True))
    best = max(probabilities, key=probabilities.__getitem__)
    why = cvbow.explain(model, image)
    counts = np.bincount(table.word, minlength=table.n_words)
    steps = [
        ("image", f"{image.shape[1]} x {image.shape[0]} pixels", _picture(image)),
        ("descriptors", f"{len(table.points):,} points, 128 values each", _picture(image, 0.5) + _dots(table.points)),
        ("words", f"how often each of {table.n_words} is met", _bars(counts)),
        ("vector", f"{vector.size} values: {table.n_words} in each cell", _bars(np.abs(vector))),
        ("answer", f"{best}, {probabilities[best]:.2f}", _shares(probabilities)),
        ("reason", f"sums to the score, {why.score:.2f}", _picture(_colored(why.heat))),
    ]
    path.write_text(_drawing(steps), encoding="utf-8")


def _drawing(steps: list[tuple[str, str, str]]) -> str:
    """Three steps in each of two rows, with arrows from each to the next."""
    width, height = 3 * _BOX + 4 * _GAP, 2 * (_BOX + _TEXT + 18)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="14" text-anchor="middle">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for place, (name, what, drawn) in enumerate(steps):
        x, y = _GAP + place % 3 * (_BOX + _GAP), 12 + place // 3 * (_BOX + _TEXT + 18)
        parts.append(f'<g transform="translate({x} {y})">{drawn}')
        parts.append(f'<rect width="{_BOX}" height="{_BOX}" fill="none" stroke="#888"/>')
        parts.append(f'<text x="{_BOX / 2}" y="{_BOX + 20}" font-weight="bold">{escape(name)}</text>')
        parts.append(f'<text x="{_BOX / 2}" y="{_BOX + 38}" font-size="12">{escape(what)}</text>')
        if place:
            parts.append(f'<path d="M-38 {_BOX / 2}h28m-9 -6l9 6l-9 6" fill="none" stroke="#333" stroke-width="2"/>')
        parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def _picture(image: UInt8, opacity: float = 1) -> str:
    data = base64.b64encode(encode_png(image)).decode()
    return f'<image width="{_BOX}" height="{_BOX}" opacity="{opacity}" href="data:image/png;base64,{data}"/>'


def _dots(points: NDArray[np.float32]) -> str:
    """The points of one scale, and the patch of the one in the middle."""
    scale = _BOX / 96
    size = points[:, 2].max()
    shown = points[points[:, 2] == size]
    middle = shown[np.abs(shown[:, :2] - 48).sum(axis=1).argmin()]
    dots = "".join(f'<circle cx="{x * scale:.1f}" cy="{y * scale:.1f}" r="1.3"/>' for x, y in shown[:, :2])
    left, top = (middle[:2] - size / 2) * scale
    patch = f'<rect x="{left:.1f}" y="{top:.1f}" width="{size * scale:.1f}" height="{size * scale:.1f}" fill="none"'
    return f'<g fill="#a00">{dots}</g>{patch} stroke="#a00" stroke-width="2"/>'


def _bars(values: NDArray[np.floating] | NDArray[np.integer]) -> str:
    step = _BOX / len(values)
    high = (_BOX - 20) * values / values.max()
    bars = "".join(
        f'<rect x="{i * step:.2f}" y="{_BOX - one:.1f}" width="{step * 0.8:.2f}" height="{one:.1f}"/>'
        for i, one in enumerate(high)
    )
    return f'<g fill="#357">{bars}</g>'


def _shares(probabilities: dict[str, float]) -> str:
    lines = []
    for row, (name, share) in enumerate(probabilities.items()):
        y = 28 + row * 40
        lines.append(f'<text x="10" y="{y}" text-anchor="start" font-size="12">{escape(name)}</text>')
        lines.append(f'<rect x="10" y="{y + 5}" width="{share * (_BOX - 20):.1f}" height="10" fill="#357"/>')
    return "".join(lines)


def _colored(heat: NDArray[np.float32]) -> UInt8:
    """Orange for the class, violet against it, white for nothing."""
    share = np.clip(heat / np.abs(heat).max(), -1, 1)[..., None]
    orange, violet = np.array([230, 97, 1]), np.array([94, 60, 153])
    color = np.where(share > 0, orange, violet)
    return np.uint8(np.round(255 + np.abs(share) * (color - 255.0)))


if __name__ == "__main__":
    write_way(Path(__file__).with_name("way.svg"))
