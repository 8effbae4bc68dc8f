"""Writes scribbles made from masks: what a benchmark of segmentation learns from where it has scribbles.

    python benchmarks/scribbles.py MASKS OUT

For each mask MASKS/NAME.png there is OUT/NAME.png: three strokes of three pixels in each class, and 255 elsewhere, as
`cvbow.segmentation.make_scribbles` draws them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cvbow.experiments.segmentation import scribbles_for
from cvbow.images import encode_png


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(options.masks.glob("*.png")):
        (options.out / path.name).write_bytes(encode_png(scribbles_for(path)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
