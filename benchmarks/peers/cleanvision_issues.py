"""CleanVision's issues: the opponent of `cvbow audit` where pictures are bad or there twice.

    python benchmarks/peers/cleanvision_issues.py DIR [--jobs N] [--json FILE]

`Imagelab.find_issues` with its defaults on all images below a folder. It looks at one image at a time, and at hashes of
images: it knows neither labels nor splits.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Of what it calls issues, those that say that little can be seen in a picture, or that it is of an odd size.
PICTURES = ("dark", "light", "blurry", "low_information", "odd_aspect_ratio", "odd_size")


def run(folder: Path, *, jobs: int = 1) -> dict[str, Any]:
    """By image: how bad it is, 0 to 1, and which issues it has; and the sets of images that are alike."""
    from cleanvision import Imagelab

    started = time.perf_counter()
    # Its bars go to the standard error, and its words to the standard output.
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        lab = Imagelab(data_path=str(folder), verbose=False)
        lab.find_issues(n_jobs=jobs, verbose=False)
    pictures = {}
    for path, row in lab.issues.iterrows():
        issues = [name for name in PICTURES if row[f"is_{name}_issue"]]
        pictures[str(path)] = {
            "score": round(1 - min(float(row[f"{name}_score"]) for name in PICTURES), 5),
            "issues": issues,
        }
    sets = [list(map(str, each)) for kind in ("exact", "near") for each in lab.info[f"{kind}_duplicates"]["sets"]]
    return {
        "pictures": pictures,
        "sets": sets,
        "seconds": round(time.perf_counter() - started, 2),
        "versions": {"cleanvision": importlib.metadata.version("cleanvision")},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Look, print as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    options = parser.parse_args(arguments)
    text = json.dumps(run(options.folder, jobs=options.jobs))
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
