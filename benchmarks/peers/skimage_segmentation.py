"""scikit-image's trainable segmentation: the opponent of `cvbow segment`.

    python benchmarks/peers/skimage_segmentation.py TRAIN TEST [--like RESULT] [--scribbles DIR] [--json FILE]

`multiscale_basic_features` (intensity, edges and texture of each channel, sigma 1 to 16) and a random forest of 50
trees of depth 10, as in scikit-image's example "Trainable segmentation using local features and random forests";
ilastik's pixel classification is the same idea. TRAIN and TEST have folders images/ and masks/, with PNG masks of the
same names: gray values are classes, and 255 is unknown.

The example learns from every labelled pixel of one image, of which each tree gets a share. Of many images, as many
pixels of each are drawn at random (`--pixels`), and each tree gets as many as in the example. `--like` is a result of
`cvbow bench run weizmann-horses-segmentation`: the same images are learned from, trial by trial, and where that had
scribbles, the masks are those in the folder `--scribbles`, which `python benchmarks/scribbles.py` writes.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import skimage
import sklearn
from numpy.typing import NDArray
from skimage.feature import multiscale_basic_features
from skimage.io import imread
from sklearn.ensemble import RandomForestClassifier

UNKNOWN = 255
#: Pixels that a tree learns from at most: about as many as in the example.
PER_TREE = 20_000

Pairs = Sequence[tuple[Path, Path]]


def pairs(images: Path, masks: Path, names: Sequence[str] | None = None) -> Pairs:
    """Images and masks of the same name without suffix: of all, or of the names that are given."""
    found = {path.stem: path for path in sorted(images.iterdir())}
    labelled = {path.stem: path for path in sorted(masks.glob("*.png"))}
    both = [name for name in found if name in labelled] if names is None else list(names)
    gone = [name for name in both if name not in found or name not in labelled]
    if gone or not both:
        raise SystemExit(f"{images} and {masks} must have an image and a mask of {gone[0] if gone else 'one name'}")
    return [(found[name], labelled[name]) for name in both]


def features(path: Path) -> NDArray[np.float32]:
    """The features of each pixel of an image, (H * W, n_features)."""
    image = imread(path)
    image = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image[..., :3]
    found = multiscale_basic_features(image, edges=True, texture=True, sigma_min=1, sigma_max=16, channel_axis=-1)
    return found.reshape(-1, found.shape[-1])


def run(train: Pairs, test: Pairs, *, pixels: int, jobs: int, seed: int = 0) -> dict[str, Any]:
    """Learn, segment every test image, and give intersection over union, accuracy and seconds."""
    random = np.random.default_rng(seed)
    started = time.perf_counter()
    rows, labels = [], []
    for image, mask in train:
        values = imread(mask).ravel()
        drawn = np.sort(random.permutation(np.flatnonzero(values != UNKNOWN))[:pixels])
        rows.append(features(image)[drawn])
        labels.append(values[drawn])
    X, y = np.concatenate(rows), np.concatenate(labels)
    share = min(1.0, PER_TREE / len(X))
    forest = RandomForestClassifier(n_estimators=50, max_depth=10, max_samples=share, n_jobs=jobs, random_state=seed)
    forest.fit(X, y)
    trained = time.perf_counter() - started
    confusion = np.zeros((256, 256), np.int64)
    spent = 0.0
    for image, mask in test:
        started = time.perf_counter()
        answer = forest.predict(features(image))
        spent += time.perf_counter() - started
        truth = imread(mask).ravel()
        known = truth != UNKNOWN
        confusion += np.bincount(truth[known].astype(int) * 256 + answer[known], minlength=1 << 16).reshape(256, 256)
    hits = confusion.diagonal()
    unions = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    return {
        "n_train": len(train),
        "n_pixels": len(X),
        "iou": {str(value): round(float(hits[value] / max(unions[value], 1)), 4) for value in forest.classes_},
        "pixel_accuracy": round(float(hits.sum() / confusion.sum()), 4),
        "seconds": round(trained, 1),
        "ms": round(1000 * spent / len(test), 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run each trial, print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="folder with images/ and masks/")
    parser.add_argument("test", type=Path, help="folder with images/ and masks/")
    parser.add_argument("--like", type=Path, metavar="RESULT", help="learn from the same images, trial by trial")
    parser.add_argument("--scribbles", type=Path, metavar="DIR", help="masks of the trials with scribbles")
    parser.add_argument("--pixels", type=int, default=2000, help="of each image (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="workers (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    options = parser.parse_args(arguments)
    test = pairs(options.test / "images", options.test / "masks")
    trials: list[dict[str, Any]] = [{"name": "all masks", "draws": [{"names": None}]}]
    scribbled: set[str] = set()
    if options.like is not None:
        result = json.loads(options.like.read_text(encoding="utf-8"))
        trials = result["trials"]
        scribbled = {trial["name"] for trial in result["definition"]["trials"] if trial["scribbles"]}
    found = []
    for trial in trials:
        masks = options.train / "masks" if trial["name"] not in scribbled else options.scribbles
        if masks is None:
            continue
        draws = []
        for draw in trial["draws"]:
            train = pairs(options.train / "images", masks, draw["names"])
            draws.append(run(train, test, pixels=options.pixels, jobs=options.jobs))
            ious = ", ".join(f"{value} {iou:.3f}" for value, iou in draws[-1]["iou"].items())
            print(f"{trial['name']}: {ious}, {draws[-1]['seconds']} s, {draws[-1]['ms']} ms", file=sys.stderr)
        found.append({"name": trial["name"], "draws": draws, "seconds": statistics.median(d["seconds"] for d in draws)})
    whole = {
        "contender": "scikit-image, random forest on multiscale features",
        "n_test": len(test),
        "jobs": options.jobs,
        "trials": found,
        "versions": {
            "scikit-image": skimage.__version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    text = json.dumps(whole, indent=1)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
