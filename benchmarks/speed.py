"""Speed of cvbow against its peers, in one run on one machine.

    python benchmarks/speed.py [SECTION ...] [--data DIR] [--json FILE] [--rounds N]
    python benchmarks/speed.py --smoke

The sections are dense-sift, nearest, kmeans, gaussian-mixture, encoders, linear-svm, augmentation, detectors,
end-to-end, retrieval, million and million-vectors; without names, every one runs. Each goes into the JSON file as soon
as it is done, in place of the one that was there; `tables.py` makes the README's tables from it. README.md in this
folder says what the figures are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _measure import ROOT, merge_sections
from sections import (
    augmentation,
    dense_sift,
    detectors,
    encoders,
    end_to_end,
    gaussian_mixture,
    kmeans,
    linear_svm,
    million,
    nearest,
    retrieval,
)
from sections.inputs import Options, default_data
from tables import DETAILS, TABLES

SECTIONS = {
    "dense-sift": dense_sift.run,
    "nearest": nearest.run,
    "kmeans": kmeans.run,
    "gaussian-mixture": gaussian_mixture.run,
    "encoders": encoders.run,
    "linear-svm": linear_svm.run,
    "augmentation": augmentation.run,
    "detectors": detectors.run,
    "end-to-end": end_to_end.run,
    "retrieval": retrieval.run,
    "million": million.run,
    "million-vectors": million.run_vectors,
}
RESULTS = ROOT / "benchmarks" / "results" / "speed.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sections that are asked for, write them, and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)} (default: all)")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        default=default_data(),
        help="15-Scene: DIR/train/<class>/<image> and DIR/test (default: scene15 in CVBOW_SHARED_DATA, or in "
        "shared/data beside the checkout); without it the kernels work on generated images",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="where results go (default benchmarks/results/speed.json)"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of every section (default: each section's own)")
    parser.add_argument(
        "--images", type=int, metavar="N", help="retrieval, million: the largest index (default 100000, 1000000)"
    )
    parser.add_argument("--words", type=int, metavar="N", help="the same: words of the dictionary (default 10000)")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument(
        "--smoke", action="store_true", help="tiny generated inputs, in seconds: does it run; writes no file by default"
    )
    options = parser.parse_args(arguments)
    names = options.sections or list(SECTIONS)
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        parser.error(f"no section {', '.join(unknown)}; sections are {', '.join(SECTIONS)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    for name, least in (("images", 100), ("words", 10)):
        if (value := getattr(options, name)) is not None and value < least:
            parser.error(f"--{name} must be at least {least}, got {value}")
    if options.data is not None and not (options.data / "train").is_dir():
        parser.error(f"--data: {options.data} has no folder train")
    if "end-to-end" in names and not options.smoke and options.data is None:
        parser.error("end-to-end needs 15-Scene: give --data DIR, or name the sections to run without it")
    given = Options(
        data=options.data,
        rounds=options.rounds,
        smoke=options.smoke,
        seed=options.seed,
        images=options.images,
        words=options.words,
    )
    target = options.json or (None if options.smoke else RESULTS)

    results: dict[str, Any] = {}
    for name in names:
        results[name] = SECTIONS[name](given)
        if target is not None:
            merge_sections(target, {name: results[name]}, order=list(SECTIONS))
    for table in (DETAILS["speed"], TABLES["scene15"]):
        if text := table({"speed": results}):
            print(text)
    if target is not None:
        print(f"written to {target}", file=sys.stderr)


if __name__ == "__main__":
    main()
