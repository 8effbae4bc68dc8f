"""The speed of each kind of work, beside peers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cvbow.tables import Table, duration, figure, percent

Cells = list[tuple[str, ...]]


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return the tables of those sections that ``benchmarks/speed.py`` measured: one for each kind of work."""
    kernels = [row for name, make in _KERNELS.items() if name in result for row in make(result[name])]
    found = {}
    if kernels:
        heads = ("work", "contender", "median", "cvbow is so many times as fast (range)")
        found["kernels"] = Table(heads, kernels)
    for section, makers in _TABLES.items():
        if section in result:
            found |= {name: make(result[section]) for name, make in makers.items()}
    return found


def threads(section: Mapping[str, Any]) -> str:
    """Return how many threads a section ran on."""
    count = int(section["environment"]["threads"])
    return f"{count} thread" + "s" * (count > 1)


def _group(title: str, contenders: Sequence[Mapping[str, Any]], cell: Callable[[Mapping[str, Any]], str]) -> Cells:
    """Return a row for each contender; only the first says what the work is."""
    titles = [title] + [""] * (len(contenders) - 1)
    return [(title, row["label"], cell(row), _ratio(row)) for title, row in zip(titles, contenders, strict=True)]


def _dense_sift(section: Mapping[str, Any]) -> Cells:
    width, height = section["input"]["size"]
    settings = ", ".join(f"{setting['step']}/{setting['bin']}" for setting in section["settings"])
    title = f"dense SIFT, {width}x{height} pixels, {threads(section)}; median of step/bin {settings}"
    contenders = list(section["median_over_settings"].values())
    return _group(title, contenders, lambda row: f"{figure(row['rate'] / 1e3)} thousand/s")


def _nearest(section: Mapping[str, Any]) -> Cells:
    n, size = section["input"]["descriptors"]
    title = f"nearest of {section['input']['n_words']} words, {n:,} x {size}, {threads(section)}"
    return _group(title, section["contenders"], lambda row: duration(row["seconds"]))


def _kmeans(section: Mapping[str, Any]) -> Cells:
    n, size = section["input"]["descriptors"]
    words, iterations = section["input"]["n_words"], section["input"]["iterations"]
    title = f"k-means, {n:,} x {size}, {words} words, {iterations} iterations, {threads(section)}"

    def cell(row: Mapping[str, Any]) -> str:
        error = "" if row["name"] == "cvbow" else f", error {100 * (row['inertia_over_cvbow'] - 1):+.2f} %"
        return duration(row["seconds"]) + error

    return _group(title, section["contenders"], cell)


def _gaussian_mixture(section: Mapping[str, Any]) -> Cells:
    n, size = section["input"]["shape"]
    words, iterations = section["input"]["n_words"], section["input"]["iterations"]
    title = f"Gaussian mixture, {n:,} x {size}, {words} Gaussians, {iterations} iterations, {threads(section)}"

    def cell(row: Mapping[str, Any]) -> str:
        over = round(100 * row["over_cvbow"], 2) + 0.0  # of which -0.0 becomes 0.0
        likelihood = "" if row["name"] == "cvbow" else f", log-likelihood {over:+.2f} %"
        return duration(row["seconds"]) + likelihood

    return _group(title, section["contenders"], cell)


def _encoders(section: Mapping[str, Any]) -> Cells:
    counts = sorted({min(section["input"]["descriptors"]), max(section["input"]["descriptors"])})
    images = f"images of {' to '.join(f'{count:,}' for count in counts)}"
    rows: Cells = []
    for part, what in (("fisher", "Fisher vector, {} Gaussians"), ("bag-of-words", "bag of {} words")):
        given = section[part]["input"]
        title = f"{what.format(given['n_words'])}, {images} x {given['values']}, {threads(section)}"
        rows += _group(title, section[part]["contenders"], lambda row: f"{duration(row['seconds'])} an image")
    return rows


def _linear_svm(section: Mapping[str, Any]) -> Cells:
    rows: Cells = []
    for setting in section["settings"]:
        given = setting["input"]
        n, d = given["vectors"]
        title = f"linear SVM, {n:,} vectors of {d:,} values, {given['n_classes']} classes, {threads(section)}"

        def cell(row: Mapping[str, Any]) -> str:
            over = f", objective {100 * (row['objective_over_cvbow'] - 1):+.2f} %"
            memory = f"{figure(row['memory']['over_mb'])} MB"
            return f"{duration(row['seconds'])}, {memory}{'' if row['name'] == 'cvbow' else over}"

        rows += _group(title, setting["contenders"], cell)
    return rows


def _augmentation(section: Mapping[str, Any]) -> Cells:
    rows: Cells = []
    for setting in section["settings"]:
        given = setting["input"]
        _, height, width, channels = given["shape"]
        kind = "gray" if channels == 1 else "colour"
        title = f"random transforms of {given['images']}, {width}x{height} pixels, {kind}, {threads(section)}"
        rows += _group(title, setting["contenders"], lambda row: f"{figure(row['rate'])} images/s")
    return rows


def _ratio(row: Mapping[str, Any]) -> str:
    if "ratio" not in row:
        return ""
    low, high = map(figure, row["ratio_range"])
    return figure(float(row["ratio"])) + (f" ({low} to {high})" if low != high else "")


def _detectors(section: Mapping[str, Any]) -> Table:
    rows = []
    for row in (*section["detectors"], *section["pairs"]):
        ours, theirs = (duration(one["seconds"]) for one in row["contenders"])
        rows.append((row["name"], f"{row['points']:,.0f}", ours, theirs, f"{100 * row['overhead']:+.0f} %"))
    rows += [
        (row["name"], f"{row['points']:,.0f}", duration(row["contenders"][0]["seconds"]), "", "")
        for row in section["ours"]
    ]
    heads = ("detector (+ descriptor)", "points an image", "cvbow", "OpenCV", "overhead")
    return Table(heads, rows, f"{section['input']['images']}, {threads(section)}; the last rows are not OpenCV's")


def _end_to_end(section: Mapping[str, Any]) -> Table:
    rows = [
        (
            row["label"],
            f"{percent(row['mean_class_accuracy'])} %",
            f"{percent(row['accuracy'])} %",
            f"{row['seconds']:.0f} s",
            figure(row["time_over_popular"]),
        )
        for row in section["contenders"]
    ]
    heads = ("recipe", "mean class accuracy", "accuracy", "train + evaluate", "time over the popular recipe's")
    given = section["input"]
    what = f"{given['images']}, {given['n_train']} training and {given['n_test']} test images, {threads(section)}"
    return Table(heads, rows, what)


def _growth(section: Mapping[str, Any]) -> Table:
    """Time, disk and memory of each kind of index at each size."""
    rows = []
    for kind, part in section["kinds"].items():
        for number, size in enumerate(part["sizes"]):
            memory = size["memory"]
            rows.append(
                (
                    "" if number else kind,
                    f"{size['n_images']:,}",
                    duration(size["build_seconds"]),
                    f"{figure(size['bytes'] / 1e6)} MB",
                    duration(memory["open_seconds"] + memory["first_query_seconds"]),
                    "" if memory["own_mb"] is None else f"{figure(memory['own_mb'])} MB",
                    f"{figure(memory['peak_mb'])} MB",
                    f"{figure(size['contenders'][0]['ms_per_query'])} ms",
                )
            )
    heads = ("index", "images", "adding", "on disk", "opening, first query", "own memory", "peak", "a query")
    given = section["input"]
    describing = ", ".join(f"{kind} {figure(part['describe_ms'])} ms" for kind, part in section["kinds"].items())
    imports = section["kinds"]["exact"]["sizes"][0]["memory"]["imports_mb"]
    what = f"{given['n_words']:,} words; {given['images']}, made into others; {threads(section)}"
    notes = (
        f"Adding is without reading and describing an image ({describing}). Memory of a process that opens the index "
        f"and searches, {figure(imports)} MB of it Python and its libraries; the peak includes the mapped files."
    )
    return Table(heads, rows, what, notes)


def _contenders(section: Mapping[str, Any]) -> Table:
    """The time of a query by each contender, at each size."""
    rows = []
    for kind, part in section["kinds"].items():
        for size in part["sizes"]:
            if len(size["contenders"]) == 1:
                continue
            for number, row in enumerate(size["contenders"]):
                found = f" (finds {100 * row['recall']:.0f} % of the ten best)" if "recall" in row else ""
                title = "" if number else f"{kind}, {size['n_images']:,}"
                rows.append((title, row["label"] + found, f"{figure(row['ms_per_query'])} ms", _ratio(row)))
    heads = ("index, images", "contender", "a query", "time over cvbow's (range)")
    given = section["input"]
    what = f"{given['queries']} queries, the {given['k']} best of each; {threads(section)}"
    return Table(heads, rows, what, " ".join(f"Left out: {text}." for text in section["left_out"]))


def _million(section: Mapping[str, Any]) -> Table:
    """Time, disk and memory of large indexes, and a query by one thread and by all cores."""
    rows = []
    for kind, part in section["kinds"].items():
        for number, size in enumerate(part["sizes"]):
            memory, times = size["memory"], {row["name"]: row["ms_per_query"] for row in size["contenders"]}
            rows.append(
                (
                    "" if number else kind,
                    f"{size['n_images']:,}",
                    duration(size["build_seconds"]),
                    f"{figure(size['bytes'] / 1e9)} GB",
                    f"{figure(size['read_bytes'] / 1e9)} GB" if size["read_bytes"] else "",
                    duration(memory["open_seconds"] + memory["first_query_seconds"]),
                    "" if memory["own_mb"] is None else f"{figure(memory['own_mb'])} MB",
                    f"{figure(memory['peak_mb'])} MB",
                    f"{figure(times['cvbow'])} ms",
                    f"{figure(times['cvbow-threads'])} ms" if "cvbow-threads" in times else "",
                )
            )
    heads = (
        "index", "images", "adding", "on disk", "of it postings", "opening, first query", "own memory", "peak",
        "a query, 1 thread", f"{section['environment']['cores']} threads",
    )  # fmt: skip
    given = section["input"]
    what = f"{given['images']}, made into others; {given['queries']} queries, the {given['k']} best of each"
    notes = "Adding is without reading and describing images. The peak includes mapped files, all of which are checked."
    return Table(heads, rows, what, notes)


def _million_contenders(section: Mapping[str, Any]) -> Table:
    """Vectors: the time of a query by each contender, and what it finds of the ten best."""
    rows = []
    for part in section["kinds"].values():
        for size in part["sizes"]:
            for number, row in enumerate(size["contenders"]):
                cells = (f"{100 * row['recall']:.0f}", f"{figure(row['ms_per_query'])} ms", _ratio(row))
                rows.append(("" if number else f"{size['n_images']:,}", row["label"], *cells))
    heads = ("images", "contender", "of the ten best %", "a query", "time over cvbow's (range)")
    found = [size["ivfpq"] for part in section["kinds"].values() for size in part["sizes"] if "ivfpq" in size]
    notes = " ".join(
        f"IVF-PQ visits {one['probes']} of {one['cells']:,} lists, takes {figure(one['bytes'] / 1e6)} MB beside the "
        f"vectors, and {duration(one['build_seconds'])} to make."
        for one in found
    )
    given = section["input"]
    what = f"{given['queries']} queries, the {given['k']} best of each; {threads(section)}"
    return Table(heads, rows, what, notes)


#: Machines of which an index would have so many: memory for postings, and cores.
_MACHINE = {"bytes": 48e9, "cores": 16}


def _beyond(section: Mapping[str, Any]) -> Table:
    """What more images would take, by what each one took between the two sizes that were measured."""
    rows = []
    for kind, part in section["kinds"].items():
        small, large = part["sizes"][0], part["sizes"][-1]
        more = large["n_images"] - small["n_images"]

        def each(of: Callable[[Mapping[str, Any]], float], ends: tuple[Any, Any, int] = (small, large, more)) -> float:
            return (of(ends[1]) - of(ends[0])) / ends[2]

        disk, postings = each(lambda size: size["bytes"]), each(lambda size: size["read_bytes"])
        own = max(0.0, 1e6 * each(lambda size: size["memory"]["own_mb"] or 0))
        ms, seconds = (
            each(lambda size: size["contenders"][0]["ms_per_query"]),
            each(lambda size: size["build_seconds"]),
        )
        title = (
            f"{kind}: {figure(disk)} bytes of disk, {figure(postings)} of postings, {figure(own)} of memory, "
            f"{figure(1e6 * ms)} ns a query and {figure(1e3 * seconds)} ms to add, for each image"
        )
        for n_images in (10_000_000, 1_000_000_000):
            machines = math.ceil(n_images * (postings + own) / _MACHINE["bytes"])
            share = n_images / machines
            rows.append(
                (
                    title,
                    f"{n_images:,}",
                    f"{machines:,}",
                    f"{figure(share * disk / 1e9)} GB",
                    f"{figure(share * (postings + own) / 1e9)} GB",
                    f"{figure(share * seconds / 3600)} h",
                    duration(share * ms / 1e3 / _MACHINE["cores"]),
                )
            )
            title = ""
    heads = (
        "index", "images", "machines", "disk of each", "memory of each", "adding, side by side", "a query"
    )  # fmt: skip
    what = (
        f"On paper: what an image took between the two sizes, times the images of a machine of {_MACHINE['cores']:g} "
        f"cores with {_MACHINE['bytes'] / 1e9:g} GB for postings, whose segments are searched by all cores at once"
    )
    notes = "The network, which carries a query's words there and its best images back, is not in it."
    return Table(heads, rows, what, notes)


_KERNELS: dict[str, Callable[[Mapping[str, Any]], Cells]] = {
    "dense-sift": _dense_sift,
    "nearest": _nearest,
    "kmeans": _kmeans,
    "gaussian-mixture": _gaussian_mixture,
    "encoders": _encoders,
    "linear-svm": _linear_svm,
    "augmentation": _augmentation,
}


_TABLES: dict[str, dict[str, Callable[[Mapping[str, Any]], Table]]] = {
    "end-to-end": {"end-to-end": _end_to_end},
    "detectors": {"detectors": _detectors},
    "retrieval": {"growth": _growth, "contenders": _contenders},
    "million": {"million": _million, "beyond": _beyond},
    "million-vectors": {"million-vectors": _million, "million-contenders": _million_contenders},
}


#: The sections that the table of kernels shows.
KERNELS = tuple(_KERNELS)


SECTIONS = (*_KERNELS, *_TABLES)


RESULT = frozenset(SECTIONS)
