"""Near-duplicates among the images of 15-Scene: its own, and copies that are made here.

    python benchmarks/near_duplicates.py [--copies N] [--seed N] [--part test|train|all] [--jobs N] [--words N]
        [--data DIR] [--json FILE] [--pictures PNG]
    python benchmarks/near_duplicates.py --smoke

All images of 15-Scene (4,485) and copies of some of them are put into one index, whose words were learned on the train
images alone. A third of the copies each is resized (by 50 to 150 %), recompressed (JPEG, quality 30), or cropped (to
80 % of each side, anywhere); resized and cropped ones are saved as JPEG of quality 90. Then `find_duplicates` has to
find each copy's original, and nothing else.

A pair with a copy in it is right if it joins the copy with its original, with another copy of that, or with an image
that is a duplicate of the original already without the copies. Those, the pairs of 15-Scene itself, are listed, and
`--pictures` draws them side by side: what they are is for a person to say.

Beside it, what is common elsewhere: OpenCV's perceptual hash of each file (`img_hash.PHash`, 64 bits), two files being
the same picture where their hashes differ in at most so many bits.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _measure import ROOT, environment, rounded, shared_data

RESULTS = ROOT / "benchmarks" / "results" / "near-duplicates.json"
KINDS = ("resized", "recompressed", "cropped")
#: Bits in which perceptual hashes of one picture may differ: a strict choice, and a usual one.
HASH_BITS = (4, 10)


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy, index, find, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=500, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the copies; default %(default)s")
    parser.add_argument("--part", choices=["test", "train", "all"], default="test", help="what is copied")
    parser.add_argument("--jobs", type=int, default=2, help="default %(default)s")
    parser.add_argument("--words", type=int, default=20_000, help="default %(default)s")
    parser.add_argument("--data", type=Path, metavar="DIR", default=shared_data(), help="holds scene15/{train,test}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default benchmarks/results/near-duplicates.json")
    parser.add_argument("--pictures", type=Path, metavar="PNG", help="the pairs of the data set itself")
    parser.add_argument("--smoke", action="store_true", help="seconds, on images made here; writes no file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if options.smoke:
            options.copies, options.words, options.part = 9, 80, "all"
            options.data = _made_images(Path(folder))
        elif options.data is None or not (options.data / "scene15").is_dir():
            parser.error("--data must name a folder that has scene15/{train,test}/<class>/<image>")
        result, pairs = _judge(options, Path(folder))
    print(json.dumps({key: value for key, value in result.items() if key != "environment"}, indent=1))
    if options.pictures is not None and pairs:
        _draw(pairs, options.pictures)
    target = options.json or (None if options.smoke else RESULTS)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"written to {target}", file=sys.stderr)
    return 0 if result["recall"] >= 0.95 and result["precision"] >= 0.99 else 1


def _judge(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[tuple[Path, Path, float]]]:
    from cvbow.duplicates import find_duplicates
    from cvbow.index import ImageIndex
    from cvbow.retrieval import VisualWords

    data = options.data / "scene15"
    train, test = (sorted((data / part).glob("*/*.*")) for part in ("train", "test"))
    source = {"train": train, "test": test, "all": train + test}[options.part]
    origin = _copy(source, options.copies, options.seed, folder / "copies")
    seconds = {}
    started = time.perf_counter()
    describer = VisualWords(n_words=options.words, sample_images=1500, sample=300_000, n_jobs=options.jobs).fit(train)
    seconds["fit"] = time.perf_counter() - started
    with ImageIndex.build(folder / "all.index", describer, root=data, n_jobs=options.jobs) as index:
        started = time.perf_counter()
        index.add([*train, *test, *origin])
        seconds["add"] = time.perf_counter() - started
        started = time.perf_counter()
        found = find_duplicates(index, n_jobs=options.jobs)
        seconds["find"] = time.perf_counter() - started
        n_images = len(index)
        file_of = {
            path: Path(index.file(row) or path) for path, row in zip(index.paths, index.rows.tolist(), strict=True)
        }

    pairs = [(file_of[pair.first], file_of[pair.second], pair) for pair in found.pairs]
    own = [(a, b, pair) for a, b, pair in pairs if a not in origin and b not in origin]
    leader = _leaders([(a, b) for a, b, _ in own])
    with_copy = sum(a in origin or b in origin for a, b, _ in pairs)
    wrong = [
        [_name(a, data), _name(b, data), rounded(pair.score)] for a, b, pair in pairs if _is_wrong(a, b, origin, leader)
    ]
    group_of = {file_of[path]: number for number, group in enumerate(found.groups) for path in group.paths}
    hit = {copy: group_of.get(copy, -1) == group_of.get(original, -2) for copy, original in origin.items()}
    kinds = Counter(_kind(copy) for copy in origin)
    right = Counter(_kind(copy) for copy in hit if hit[copy])
    result = {
        "environment": environment(threads=options.jobs, seed=options.seed, smoke=options.smoke),
        "images": n_images,
        "copies": len(origin),
        "copied_from": options.part,
        "recall": rounded(sum(hit.values()) / len(origin)),
        "recall_by_kind": {kind: rounded(right[kind] / kinds[kind]) for kind in KINDS},
        "precision": rounded(1 - len(wrong) / with_copy) if with_copy else 1.0,
        "pairs_with_a_copy": with_copy,
        "missed": [_name(origin[copy], data) + f", {_kind(copy)}" for copy in origin if not hit[copy]],
        "wrong": wrong,
        "lowest_score_of_a_copy": rounded(min((p.score for a, b, p in pairs if a in origin or b in origin), default=0)),
        "identical": sum(pair.reason == "identical" for _, _, pair in own),
        "other_pairs_of_the_data": [
            {"images": [_name(a, data), _name(b, data)], "reason": p.reason, "score": rounded(p.score)}
            | {"overlap": [rounded(share, 3) for share in p.overlap], "inliers": p.n_inliers}
            for a, b, p in own
            if p.reason != "identical"
        ],
        "perceptual_hash": _by_hashes([*train, *test, *origin], origin, leader),
        "seconds": {name: rounded(value) for name, value in seconds.items()},
    }
    return result, [(a, b, pair.score) for a, b, pair in own if pair.reason != "identical"]


def _is_wrong(a: Path, b: Path, origin: dict[Path, Path], leader: dict[Path, Path]) -> bool:
    """Whether a pair has a copy in it, and something else that is not of the same picture."""
    originals = [origin.get(path, path) for path in (a, b)]
    return (a in origin or b in origin) and len({leader.get(path, path) for path in originals}) > 1


def _by_hashes(paths: Sequence[Path], origin: dict[Path, Path], leader: dict[Path, Path]) -> dict[str, Any]:
    """Recall and precision of the pairs of files whose perceptual hashes are near."""
    import cv2

    from cvbow.images import read_image
    from cvbow.retrieval import hamming_distances

    started = time.perf_counter()
    hasher = cv2.img_hash.PHash.create()
    hashes = np.concatenate([hasher.compute(read_image(path, gray=True)) for path in paths]).view(np.uint64)[:, 0]
    near = []
    for row, value in enumerate(hashes[:-1]):
        distances = hamming_distances(hashes[row + 1 :], value)
        others = np.flatnonzero(distances <= max(HASH_BITS))
        near += [(paths[row], paths[row + 1 + other], int(distances[other])) for other in others.tolist()]
    answer: dict[str, Any] = {"seconds": rounded(time.perf_counter() - started)}
    for bits in HASH_BITS:
        pairs = [(a, b) for a, b, distance in near if distance <= bits and (a in origin or b in origin)]
        wrong = sum(_is_wrong(a, b, origin, leader) for a, b in pairs)
        joined = {frozenset(pair) for pair in pairs}
        kinds = Counter(_kind(copy) for copy in origin)
        right = Counter(_kind(copy) for copy, original in origin.items() if frozenset((copy, original)) in joined)
        answer[f"up to {bits} bits"] = {
            "recall": rounded(sum(right.values()) / len(origin)),
            "recall_by_kind": {kind: rounded(right[kind] / kinds[kind]) for kind in KINDS},
            "precision": rounded(1 - wrong / len(pairs)) if pairs else None,
            "pairs_with_a_copy": len(pairs),
        }
    return answer


def _copy(source: Sequence[Path], copies: int, seed: int, folder: Path) -> dict[Path, Path]:
    """Write copies; return the original of each."""
    import cv2

    from cvbow.images import read_image

    rng = np.random.default_rng(seed)
    origin = {}
    folder.mkdir()
    for number, at in enumerate(rng.permutation(len(source))[:copies].tolist()):
        kind = KINDS[number % len(KINDS)]
        image = read_image(source[at])
        image = image if image.ndim == 2 else image[:, :, ::-1]
        height, width = image.shape[:2]
        if kind == "resized":
            zoom = rng.uniform(0.5, 1.5)
            size = max(1, round(width * zoom)), max(1, round(height * zoom))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
        elif kind == "cropped":
            w, h = round(0.8 * width), round(0.8 * height)
            x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            image = np.ascontiguousarray(image[y : y + h, x : x + w])
        path = folder / f"{number:04d}-{kind}.jpg"
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 30 if kind == "recompressed" else 90])
        origin[path] = source[at]
    return origin


def _kind(copy: Path) -> str:
    return copy.stem.split("-")[1]


def _name(path: Path, data: Path) -> str:
    return path.relative_to(data).as_posix() if path.is_relative_to(data) else path.name


def _leaders(pairs: Sequence[tuple[Path, Path]]) -> dict[Path, Path]:
    """Return for each image of a pair one that stands for all it is connected with."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = sorted({path for pair in pairs for path in pair})
    number = {path: at for at, path in enumerate(nodes)}
    if not nodes:
        return {}
    rows, columns = ([number[pair[side]] for pair in pairs] for side in (0, 1))
    graph = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(nodes), len(nodes)))
    labels = connected_components(graph, directed=False)[1].tolist()
    first: dict[int, Path] = {}
    return {path: first.setdefault(label, path) for path, label in zip(nodes, labels, strict=True)}


def _draw(pairs: Sequence[tuple[Path, Path, float]], target: Path) -> None:
    import cv2

    from cvbow.images import montage, read_image

    rows = [
        (f"{a.parent.name} {a.stem}, {b.parent.name} {b.stem}: {score:.3f}", [read_image(a), read_image(b)])
        for a, b, score in sorted(pairs, key=lambda pair: pair[2])
    ]
    # Columns of ten pairs beside each other.
    sheets = [montage(rows[start : start + 10], side=192) for start in range(0, len(rows), 10)]
    height, width = (max(sheet.shape[axis] for sheet in sheets) for axis in (0, 1))
    wide = np.full((height, width * len(sheets), 3), 255, np.uint8)
    for number, sheet in enumerate(sheets):
        wide[: sheet.shape[0], number * width : number * width + sheet.shape[1]] = sheet
    cv2.imwrite(str(target), wide[:, :, ::-1])


def _made_images(folder: Path) -> Path:
    """Write fifteen images of noise at many scales as scene15/{train,test}; return the folder of data."""
    import cv2

    rng = np.random.default_rng(0)
    for number in range(15):
        total = np.zeros((150, 180))
        for scale in 2.0 ** np.arange(6):
            noise = cv2.GaussianBlur(rng.normal(size=(230, 260)), (0, 0), float(scale))[40:190, 40:220]
            total += noise / noise.std() * scale**0.7
        image = np.clip(128 + 45 * (total - total.mean()) / total.std(), 0, 255).astype(np.uint8)
        path = folder / "scene15" / ("test" if number % 3 else "train") / "noise" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
    return folder


if __name__ == "__main__":
    sys.exit(main())
