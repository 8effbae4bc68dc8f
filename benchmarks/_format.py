"""Figures, Markdown tables and captions, as the README files have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["SOFTWARE", "caption", "figure", "markdown", "threads", "time"]

#: Key of `versions` in a record, and how the software writes its name.
SOFTWARE = {
    "cvbow": "cvbow",
    "python": "Python",
    "numpy": "NumPy",
    "opencv": "OpenCV",
    "scikit-learn": "scikit-learn",
    "scikit-image": "scikit-image",
    "faiss": "FAISS",
    "vlfeat": "VLFeat",
    "keras": "Keras",
    "onnxruntime": "ONNX Runtime",
}


def figure(value: float) -> str:
    """``value`` as a person reads it: about three digits."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def time(seconds: float) -> str:
    """A time in seconds or milliseconds."""
    return f"{figure(seconds)} s" if seconds >= 0.1 else f"{figure(1e3 * seconds)} ms"


def threads(section: Mapping[str, Any]) -> str:
    """How many threads a section ran on."""
    count = int(section["environment"]["threads"])
    return f"{count} thread" + "s" * (count > 1)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join(line.replace("|  |", "| |").replace("|  |", "| |") for line in lines)


def caption(sections: Sequence[Mapping[str, Any]], command: str) -> str:
    """Where the figures come from; one sentence where all sections ran alike."""
    sentences = []
    for section in sections:
        place = section["environment"]
        versions = ", ".join(
            f"{name} {place['versions'][key]}" for key, name in SOFTWARE.items() if place["versions"].get(key)
        )
        smoke = "A smoke run, whose figures mean nothing: " if place.get("smoke") else ""
        sentence = f"{smoke}{place['cpu']}, {place['cores']} cores; {versions}."
        if sentence not in sentences:
            sentences.append(sentence)
    return f"{' '.join(sentences)} Repeat with `{command}`."
