"""Forged model files: whatever is put in place of a part, a file is refused, or it is harmless.

    python benchmarks/fuzz_states.py [--count N] [--seed N] [--json FILE]
    python benchmarks/fuzz_states.py --smoke

Each file holds an object of a class that model files may hold, in which one attribute, of the object or of one inside
it, is replaced by something that it never was (NaN, another shape or type, text, nothing), with all hashes made right.
Loading it must refuse it with a reason. If it does not, the object must answer as before or refuse to answer with a
reason; where the attribute is a parameter, whose new value its rule allows, it may answer otherwise, in finite numbers.
The exit code is 1 unless that held for every file. File number i of a seed is always the same one.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _measure import environment
from _states import fitted_states

from cvbow import storage
from cvbow.errors import CvbowError, ModelFileError
from cvbow.storage import _container
from cvbow.storage._serializer import Serializer

_GONE = object()
#: Where an attribute is: keys and positions from the object to the one that has it, and its name.
Place = tuple[tuple[Any, ...], str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Forge, load, ask, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="files to make (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the outcomes")
    parser.add_argument("--smoke", action="store_true", help="40 files")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.count = min(options.count, 40)
    with tempfile.TemporaryDirectory(prefix="cvbow-") as folder:
        outcomes, failures, n_classes = _judge(folder, options.count, options.seed)
    document = {
        "fuzz": "states",
        "count": sum(outcomes.values()),
        "seed": options.seed,
        "classes": n_classes,
        "outcomes": dict(sorted(outcomes.items())),
        "failures": failures,
        "environment": environment(threads=1, seed=options.seed, smoke=options.smoke),
    }
    for failure in failures:
        print("\t".join(failure), file=sys.stderr)
    print(f"{document['count']} files of {n_classes} classes: {document['outcomes']}, {len(failures)} failures")
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 1 if failures else 0


def _judge(folder: str, count: int, seed: int) -> tuple[Counter[str], list[list[str]], int]:
    """Return how many files had which outcome, what went wrong, and the number of classes that were forged."""
    states = list(fitted_states(folder))
    cases = [
        (number, place, name)
        for number, (_, built, _) in enumerate(states)
        for place in places(built)
        for name in hostile(value_at(built, place))
    ]
    order = np.random.default_rng(seed).permutation(len(cases))[:count]
    outcomes: Counter[str] = Counter()
    failures = []
    expected: dict[int, Any] = {}
    classes = set()
    for position in np.sort(order):
        number, place, name = cases[position]
        what, built, answer = states[number]
        if number not in expected:
            expected[number] = answer(copy.deepcopy(built))
        forged = copy.deepcopy(built)
        classes.add(type(_owner(forged, place)))
        outcome, reason = judge(forged, place, name, answer, expected[number], Path(folder, "forged.cvbow"))
        outcomes[outcome] += 1
        if outcome == "failure":
            failures.append([what, ".".join(map(str, (*place[0], place[1]))), name, reason])
    return outcomes, failures, len(classes)


def judge(forged: Any, place: Place, name: str, answer: Any, expected: Any, path: Path) -> tuple[str, str]:
    """Put a hostile value in place, write the file, load it and ask; return the outcome and what went wrong."""
    put(forged, place, hostile(value_at(forged, place))[name])
    try:
        write(path, forged)
    except (TypeError, ValueError):
        return "not to be written", ""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            loaded = storage.load(path, kind="example").state
        except ModelFileError:
            return "refused", ""
        try:
            found = answer(loaded)
        except (ValueError, CvbowError):
            return "refused to answer", ""
        except Exception:
            return "failure", traceback.format_exc().strip().splitlines()[-1]
    if _equal(found, expected):
        return "harmless", ""
    if not place[1].endswith("_") and not place[1].startswith("_") and _finite(found):
        return "another parameter", ""
    return "failure", "it answers otherwise"


def write(path: Path, state: Any) -> None:
    """Write a file without looking at what is in it, with hashes that are right."""
    serializer = Serializer()
    tree = serializer.serialize(state, "state")
    versions = dict.fromkeys(("cvbow", "python", "numpy", "scikit-learn", "opencv"))
    digest = _container.content_hash("example", tree, {}, serializer.arrays)
    manifest = {"format": "cvbow", "format_version": storage.FORMAT_VERSION, "kind": "example"}
    manifest |= {"content_hash": digest, "versions": versions, "metadata": {}, "tree": tree}
    _container.write(str(path), manifest, serializer.arrays)


def places(built: Any, path: tuple[Any, ...] = ()) -> Iterator[Place]:
    """Yield every attribute that is stored, of an object and of all objects within."""
    if isinstance(built, list | tuple):
        for position, item in enumerate(built):
            yield from places(item, (*path, position))
    elif isinstance(built, dict):
        for key, item in built.items():
            yield from places(item, (*path, key))
    elif _has_state(built):
        never = {*getattr(built, "transient", {}), *getattr(built, "unstored", ()), "n_jobs", "memory", "verbose"}
        for name, value in sorted(vars(built).items()):
            if name not in never:
                yield path, name
                yield from places(value, (*path, name))


def value_at(built: Any, place: Place) -> Any:
    """Return an attribute."""
    return vars(_owner(built, place))[place[1]]


def put(built: Any, place: Place, value: Any) -> None:
    """Replace an attribute, or remove it."""
    if value is _GONE:
        del vars(_owner(built, place))[place[1]]
    else:
        vars(_owner(built, place))[place[1]] = value


def _owner(built: Any, place: Place) -> Any:
    for step in place[0]:
        built = vars(built)[step] if _has_state(built) else built[step]
    return built


def _has_state(built: Any) -> bool:
    return hasattr(built, "get_params") or hasattr(type(built), "learned")


def hostile(value: Any) -> dict[str, Any]:
    """Return values that an attribute never has, by name."""
    found = {"gone": _GONE, "none": None, "text": "hostile", "nan": float("nan"), "infinite": float("inf")}
    found |= {"negative": -1, "empty list": [], "empty dict": {}, "empty array": np.zeros(0), "array": np.zeros((2, 3))}
    if isinstance(value, np.ndarray) and value.size:
        found |= {"short": value[:-1].copy(), "long": np.concatenate([value, value[-1:]]), "deep": value[None].copy()}
        found["flat"] = value.ravel()[:1].copy()
        if value.dtype.kind in "fiu":
            found["text array"] = value.astype(str)
            found["complex"] = value.astype(complex)
        if value.dtype.kind == "f":
            for name, bad in (("a nan", np.nan), ("an infinity", -np.inf)):
                spoilt = value.copy()
                spoilt.flat[spoilt.size // 2] = bad
                found[name] = spoilt
            found["all nan"] = np.full_like(value, np.nan)
        if value.dtype.kind in "iU" and value.dtype.itemsize > 1:  # a byte is a value like any other, no label
            found["all equal"] = np.full_like(value, value.flat[0]) if value.dtype.kind == "U" else value - 1000
    if isinstance(value, list | tuple) and len(value):
        found |= {"a part gone": value[:-1], "a part more": (*value, value[-1]), "a part none": [None, *value[1:]]}
        if isinstance(value[0], np.ndarray):
            found["a part nan"] = [np.full_like(value[0], np.nan), *value[1:]]
    if isinstance(value, dict) and value:
        found["nan within"] = dict.fromkeys(value, float("nan"))
        found["another name"] = {f"{key}?": item for key, item in value.items()}
    return found


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(_equal(found.get(key), item) for key, item in expected.items())
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(_equal, found, expected))
    if hasattr(expected, "toarray"):
        return hasattr(found, "toarray") and np.array_equal(found.toarray(), expected.toarray())
    return bool(np.array_equal(found, expected))


def _finite(found: Any) -> bool:
    if isinstance(found, dict | list | tuple):
        return all(map(_finite, found.values() if isinstance(found, dict) else found))
    values = np.asarray(found.toarray() if hasattr(found, "toarray") else found)
    return values.dtype.kind not in "fc" or bool(np.isfinite(values).all())


if __name__ == "__main__":
    raise SystemExit(main())
