"""Find the times in ``cvbow/tuning/cost.py``: what a unit of each step takes, over recipes drawn at random.

    python benchmarks/tune_costs.py --images ../shared/data/flowers5/train --recipes 150

Each recipe learns from a few images, for what it learns does not matter here, and answers for images of one size. The
times are the least squares of relative errors, none of them negative.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from cvbow.images import has_color, list_images, read_image
from cvbow.presets import make_model
from cvbow.tuning.cost import counts
from cvbow.tuning.space import genes, recipe_of

#: For a sample that is drawn and learned from at once.
QUICK = {"sample": 20_000, "sample_images": 20, "max_iter": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, metavar="DIR", help="images, of which those of the usual size are taken")
    parser.add_argument("--recipes", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="seconds, on images made here")
    given = parser.parse_args()
    images: list[Any]
    if given.smoke:
        given.recipes = 3
        usual = (64, 80)
        images = list(np.random.default_rng(0).integers(0, 256, (8, *usual, 3), np.uint8))
    elif given.images is None:
        parser.error("--images must name a folder of images")
    else:
        paths = list_images(str(given.images)).paths
        sizes = [read_image(path, gray=True).shape for path in paths]
        usual = statistics.mode(sizes)
        images = [path for path, size in zip(paths, sizes, strict=True) if size == usual][:40]
    labels = [("even", "odd")[place % 2] for place in range(len(images))]
    colored = any(has_color(read_image(path)) for path in images)
    rng = np.random.default_rng(given.seed)
    rows, times = [], []
    for number in range(given.recipes):
        tiny = number % 4 == 0
        of_kind = genes(colored=colored, tiny=tiny, side=max(usual))
        recipe = recipe_of({gene.name: gene.choices[rng.integers(len(gene.choices))] for gene in of_kind})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make_model(recipe, settings=QUICK, n_jobs=1).fit(images, labels)
        taken = []
        for image in images[:8]:
            started = time.process_time()
            model.predict([image])
            taken.append(1000 * (time.process_time() - started))
        times.append(statistics.median(taken[1:]))
        rows.append(counts(model.backend_, model.classifier_, (usual[1], usual[0])))
        print(f"{number}: {times[-1]:.1f} ms, {recipe.summary}", flush=True)
    # All images have one size, so the time of reading one cannot be told from what every answer takes.
    reading = min(_reading(images) for _ in range(5))
    steps = sorted({step for row in rows for step in row} - {"pixel read"})
    matrix = np.array([[row.get(step, 0.0) for step in steps] for row in rows])
    measured = np.array(times)
    found, _ = nnls(matrix / measured[:, None], 1 - reading / measured)
    ratio = (matrix @ found + reading) / measured
    print(f'    "pixel read": {reading / (usual[0] * usual[1]):.3g},')
    for step, value in zip(steps, found, strict=True):
        print(f'    "{step}": {value:.3g},')
    inside = np.percentile(ratio, [5, 50, 95])
    print(f"counted over measured: 5 %, half and 95 % of the recipes below {', '.join(f'{x:.2f}' for x in inside)}")


def _reading(images: list[Any]) -> float:
    """Return the processor's milliseconds for reading an image."""
    started = time.process_time()
    for image in images:
        read_image(image)
    return 1000 * (time.process_time() - started) / len(images)


if __name__ == "__main__":
    main()
