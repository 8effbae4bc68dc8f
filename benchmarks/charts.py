"""The picture of benchmarks/README.md, made from benchmarks/results/speed.json: accuracy against time on 15-Scene.

python benchmarks/charts.py            writes benchmarks/results/scene15.svg
python benchmarks/charts.py --check    exit 1 where the picture is not that of the results
"""

from __future__ import annotations

import argparse
import html
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tables import RESULTS, load

WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 50, 60
#: Width of a bold letter, about.
LETTER = 6.9
NAMES = {
    "opencv-bow": "OpenCV SIFT + BOWKMeansTrainer + SVM",
    "cvbow-fast": "cvbow --preset fast",
    "cvbow": "cvbow --preset bow",
    "cvbow-auto": "cvbow, the default",
}


def scene15_chart(results: Mapping[str, Any]) -> str:
    """Return the picture as SVG, one point per recipe; empty without an end-to-end result."""
    section = results.get("speed", {}).get("end-to-end")
    if section is None:
        return ""
    rows = [(NAMES[r["name"]], r["seconds"], 100 * r["mean_class_accuracy"]) for r in section["contenders"]]
    longest = 30 * (1 + int(max(seconds for _, seconds, _ in rows) * 1.05 // 30))
    low, high = 10 * int(min(score for *_, score in rows) // 10), 100

    def x(seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / longest

    def y(score: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - score) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="13" fill="#222">',
        "<title>Accuracy against time on 15-Scene</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="26" font-size="16" font-weight="bold">15-Scene: mean class accuracy and time</text>',
    ]
    for score in range(low, high + 1, 10):
        parts.append(f'<path d="M{LEFT} {y(score):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(score) + 4:.1f}" text-anchor="end">{score} %</text>')
    for seconds in range(0, longest + 1, 30):
        parts.append(f'<text x="{x(seconds):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{seconds}</text>')
    threads, cpu = section["environment"]["threads"], html.escape(section["environment"]["cpu"])
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle" fill="#555">'
        f"seconds to train on 1500 images and judge 2985, {threads} threads ({cpu})</text>"
    )
    for name, seconds, score in rows:
        ours = name.startswith("cvbow")
        # A label stands at the height of its point: on its right, or on its left where that leaves no room.
        text = f"{name}: {score:.1f} %, {seconds:.0f} s"
        fits = x(seconds) + LETTER * len(text) < WIDTH - RIGHT
        anchor, shift = ("start", 12) if fits else ("end", -12)
        parts.append(
            f'<circle cx="{x(seconds):.1f}" cy="{y(score):.1f}" r="6" fill="{"#1765c1" if ours else "#999"}"/>'
        )
        parts.append(
            f'<text x="{x(seconds) + shift:.1f}" y="{y(score) + 5:.1f}" text-anchor="{anchor}"'
            f"{' font-weight=' + chr(34) + 'bold' + chr(34) if ours else ''}>"
            f"{html.escape(text)}</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the picture; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="folder of the JSON files")
    parser.add_argument("--check", action="store_true", help="compare the picture with the results")
    parser.add_argument("--smoke", action="store_true", help="only make the picture: does it run")
    options = parser.parse_args(arguments)
    picture = scene15_chart(load(options.results))
    path = options.results / "scene15.svg"
    if options.check:
        same = path.exists() and path.read_text(encoding="utf-8") == picture
        print(
            "" if same else f"{path.name} is not the picture of the results", file=sys.stderr, end="" if same else "\n"
        )
        return 0 if same else 1
    if picture and not options.smoke:
        path.write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
