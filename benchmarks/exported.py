"""Models as ONNX files beside the models themselves: what they answer, how large they are, and how long they take.

    python benchmarks/exported.py [SET-PRESET ...] [--per-class N] [--data DIR] [--networks DIR] [--json FILE]
    python benchmarks/exported.py --smoke

For each data set and recipe a model is learned from the training part, exported, and asked about every test image, as
pixels, by cvbow and by ONNX Runtime. Then the exported model again with weights of 16 and of 8 bits, and without heat,
about 300 images, evenly taken. Times are those of 100 images on one thread, in turns; networks of `--networks`, a
folder of ONNX files, are run by the same runtime on the same images, for their time alone. Memory is the peak of a
process of its own that answers for twenty images. A model takes two to eight minutes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from _measure import ROOT, environment, merge_sections, pinned, rounded, shared_data
from numpy.typing import NDArray

from cvbow import list_images, make_model, read_image
from cvbow.experiments.scripts.exported import SECTIONS
from cvbow.export import to_onnx
from cvbow.images import from_gray

RESULTS = ROOT / "benchmarks" / "results" / "exported.json"
#: What is exported of a model beside the whole in float32, and what ``to_onnx`` is told for it.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "fp32": {},
    "fp16": {"precision": "fp16"},
    "int8": {"precision": "int8"},
    "without heat": {"heat": False},
}
#: Images by which variants are judged, of a call that is timed, and of the process whose memory is looked at.
_JUDGED, _TIMED, _OF_MEMORY = 300, 100, 20
_MEMORY = """
import sys
import numpy as np
import onnxruntime
from _measure import peak_memory
file, *shapes = sys.argv[1:]
session = onnxruntime.InferenceSession(file)
for shape in shapes:
    session.run(None, {"image": np.zeros((1, *map(int, shape.split("x")), 3), np.uint8)})
print(peak_memory())
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Learn, export, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="SET-PRESET", help=f"of {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--per-class", type=int, metavar="N", help="only so many images of each class and part")
    parser.add_argument("--data", type=Path, metavar="DIR", default=shared_data(), help="holds SET/{train,test}")
    parser.add_argument("--networks", type=Path, metavar="DIR", help="ONNX networks; default models in --data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default benchmarks/results/exported.json")
    parser.add_argument("--smoke", action="store_true", help="seconds, on images made here; writes no file")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.models if name not in SECTIONS]
    if unknown:
        parser.error(f"no model {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    target = options.json or (None if options.smoke or options.per_class else RESULTS)
    if options.data is None and not options.smoke:
        parser.error("--data must name a folder that has scene15 and flowers5, as SET/{train,test}/<class>/<image>")
    for name in options.models or (SECTIONS[:1] if options.smoke else SECTIONS):
        data, _, preset = name.partition("-")
        part = _made_here() if options.smoke else _of(options.data / data, options.per_class)
        result = _compared(preset, *part, options)
        print(json.dumps({name: {key: value for key, value in result.items() if key != "environment"}}, indent=1))
        if target is not None:
            merge_sections(target, {name: result}, order=SECTIONS)
            print(f"written to {target}", file=sys.stderr)
    return 0


def _of(source: Path, per_class: int | None) -> tuple[Sequence[Any], Sequence[str], list[NDArray[np.uint8]], list[str]]:
    """Return the images to learn from, their labels, the pixels to judge by, and the labels of these."""
    parts = []
    for split in ("train", "test"):
        listed = list_images(source).select(split)
        seen: dict[str, int] = {}
        kept = []
        for row, label in enumerate(listed.labels):
            seen[label] = seen.get(label, 0) + 1
            if per_class is None or seen[label] <= per_class:
                kept.append(row)
        parts.append(([listed.paths[row] for row in kept], [listed.labels[row] for row in kept]))
    (train, labels), (test, wanted) = parts
    return train, labels, [from_gray(read_image(path), floats=False) for path in test], wanted


def _made_here() -> tuple[Sequence[Any], Sequence[str], list[NDArray[np.uint8]], list[str]]:
    random = np.random.default_rng(0)
    images = []
    for number in range(24):
        grain = 1 + 7 * (number % 2)
        coarse = random.integers(0, 256, (80 // grain, 96 // grain, 3), np.uint8)
        images.append(coarse.repeat(grain, 0).repeat(grain, 1))
    labels = ["fine", "coarse"] * 12
    return images[:16], labels[:16], images[16:], labels[16:]


def _compared(
    preset: str,
    train: Sequence[Any],
    labels: Sequence[str],
    test: Sequence[NDArray[np.uint8]],
    wanted: Sequence[str],
    options: argparse.Namespace,
) -> dict[str, Any]:
    settings = {"n_words": 16, "sample": 5000} if options.smoke else {}
    model = make_model(preset, settings=settings, n_jobs=-1).fit(train, labels)
    expected = model.predict_proba(list(test))
    model.work_with(1)
    result: dict[str, Any] = {
        "environment": environment(threads=1, seed=0, smoke=options.smoke or bool(options.per_class)),
        "n_train": len(train),
        "n_test": len(test),
        "recipe": model.shown_recipe.get("chosen", preset),
        "onnxruntime": version("onnxruntime"),
    }
    with tempfile.TemporaryDirectory() as folder, pinned(1):
        path = Path(folder) / "model.cvbow"
        model.save(path)
        result["model_mb"] = rounded(path.stat().st_size / 1e6)
        truth = np.array(wanted)
        result["accuracy"] = rounded(float((model.classes_[expected.argmax(axis=1)] == truth).mean()))
        contenders: dict[str, Callable[[NDArray[np.uint8]], Any]] = {
            "cvbow": lambda image: model.predict_proba([image])
        }
        result["exported"] = {}
        for name, told in VARIANTS.items():
            exported = to_onnx(model, **told)
            file = Path(folder) / f"{name}.onnx"
            file.write_bytes(exported.SerializeToString())
            judged = slice(None) if not told else slice(None, None, max(1, len(test) // _JUDGED))
            answer = _session(file, threads=0)
            found = np.concatenate([answer(image) for image in test[judged]])
            asked, right = expected[judged], truth[judged]
            differences = np.abs(found - asked).max(axis=1)
            result["exported"][name] = {
                "n_images": len(found),
                "mb": rounded(file.stat().st_size / 1e6),
                "nodes": len(exported.graph.node),
                "equal_labels": rounded(float((found.argmax(axis=1) == asked.argmax(axis=1)).mean())),
                "largest_difference": rounded(float(differences.max())),
                "over_thousandth": rounded(float((differences > 1e-3).mean())),
                "accuracy": rounded(float((model.classes_[found.argmax(axis=1)] == right).mean())),
                "peak_mb": _peak(file, test),
            }
            contenders[name] = _session(file)
        networks = options.networks or (options.data and options.data / "models")
        for file in sorted(networks.glob("*.onnx")) if networks and not options.smoke else ():
            contenders[file.stem] = _network(file)
        result["milliseconds"] = _timed(contenders, test[:: max(1, len(test) // _TIMED)])
    return result


def _session(file: Path, threads: int = 1) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Return what gives the probabilities of an image, on some threads; 0 stands for all."""
    session = _runtime(file, threads)

    def answer(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        # All outputs, heat among them: it is what a page asks for.
        found: NDArray[np.float32] = session.run(None, {"image": image[None]})[0]
        return found

    return answer


def _network(file: Path) -> Callable[[NDArray[np.uint8]], Any]:
    """Return what runs a network on an image, brought to the size that it takes."""
    import cv2

    session = _runtime(file)
    entry = session.get_inputs()[0]
    height, width = entry.shape[2:]

    def answer(image: NDArray[np.uint8]) -> Any:
        pixels = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        return session.run(None, {entry.name: pixels.transpose(2, 0, 1)[None] / 255})

    return answer


def _runtime(file: Path, threads: int = 1) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    return onnxruntime.InferenceSession(str(file), options)


def _timed(
    contenders: Mapping[str, Callable[[NDArray[np.uint8]], Any]], images: Sequence[NDArray[np.uint8]]
) -> dict[str, dict[str, float]]:
    """Return the median milliseconds an image, and over cvbow's own on the same image, contenders in turns."""
    for answer in contenders.values():
        answer(images[0])
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number, image in enumerate(images):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            started = time.perf_counter()
            contenders[name](image)
            seconds[name].append(time.perf_counter() - started)
    ours = seconds["cvbow"]
    return {
        name: {
            "median": rounded(1e3 * statistics.median(each)),
            "over_cvbow": rounded(statistics.median(a / b for a, b in zip(each, ours, strict=True))),
        }
        for name, each in seconds.items()
    }


def _peak(file: Path, test: Sequence[NDArray[np.uint8]]) -> float | None:
    """Return the megabytes that a process with the file held at most; None where there is no telling."""
    shapes = [f"{image.shape[0]}x{image.shape[1]}" for image in test[:: max(1, len(test) // _OF_MEMORY)]]
    command = [sys.executable, "-c", _MEMORY, str(file), *shapes]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT / "benchmarks").stdout.strip()
    return None if said == "None" else rounded(int(said) / 1e6)


if __name__ == "__main__":
    sys.exit(main())
