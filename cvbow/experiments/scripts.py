"""Tables of what the project's scripts measure: speed against peers, near-duplicates found, damaged files refused."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cvbow.tables import Table, duration, figure, percent

Cells = list[tuple[str, ...]]


def speed_tables(result: Mapping[str, Any]) -> dict[str, Table]:
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


def duplicates_tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return how many copies ``benchmarks/near_duplicates.py`` saw found, by kind, and how many pairs were wrong."""
    kinds = list(result["recall_by_kind"])
    contenders = {"cvbow index duplicates": result}
    contenders |= {f"PHash, {name}": one for name, one in result["perceptual_hash"].items() if name != "seconds"}
    rows = []
    for name, found in contenders.items():
        shares = [found["recall"], *(found["recall_by_kind"][kind] for kind in kinds), found["precision"]]
        rows.append((name, *map(percent, shares), str(found["pairs_with_a_copy"])))
    heads = ("by", "recall %", *kinds, "precision %", "pairs with a copy")
    what = f"{result['copies']} copies among {result['images']:,} images"
    notes = "Recall of copies, precision of pairs that have a copy in them."
    return {"figures": Table(heads, rows, what, notes)}


def audit_tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what was found of the faults that ``benchmarks/audit_faults.py`` planted, and the shortcuts' places."""
    rows, places = [], []
    for name, trial in result.items():
        ours = trial["cvbow"]
        title = f"{name}: {trial['n_train'] + trial['n_test']:,} images"
        contenders = {"cvbow audit": ours, "cleanlab": trial.get("cleanlab"), "CleanVision": trial.get("cleanvision")}
        for kind in ("label", "leak", "stranger", "picture"):
            for contender, found in contenders.items():
                if found is not None and kind in found:
                    rows.append((title, kind, contender, *_found_cells(found[kind])))
                    title = ""
        places += [
            (name, f"{what}: {place['class']}", *(str(place.get(key) or "") for key in ("place", "score", "why")))
            for what, place in ours.get("shortcut", {}).items()
        ]
    heads = ("data", "finding", "by", "planted", "listed", "precision %", "recall %", "area under the curve")
    costs = ", ".join(
        " and ".join(filter(None, (f"{name} {duration(trial['cvbow']['seconds'])}", _peak(trial["cvbow"], " MB"))))
        for name, trial in result.items()
    )
    versions = {
        text: None
        for trial in result.values()
        for peer in ("cleanlab", "cleanvision")
        for text in [f"{peer} {trial.get(peer, {}).get('versions', {}).get(peer)}"]
        if peer in trial
    }
    what = (
        "What was found of faults that were planted. The area is over all images; of strangers and pictures, those "
        "that the audit does not list count as level"
    )
    notes = f"Time and peak memory of `cvbow audit`: {costs}." + f" Beside {', '.join(versions)}." * bool(versions)
    return {
        "figures": Table(heads, rows, what, notes),
        "shortcuts": Table(("data", "shortcut", "place", "score", "what is said"), places),
    }


def cluster_tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what training took with threads and on a cluster of which a worker was killed."""
    rows = []
    for name, part in result.items():
        workers = [worker["peak_mb"] for worker in part["workers"] or ()]
        held = "" if None in workers or not workers else f"{max(workers):,.0f} MB of {part['limit_mb']:,} MB"
        rows.append(
            (
                {"threads": "two threads", "dask": "two workers of Dask, one killed"}[name],
                *(f"{part['seconds'][step]:,.0f} s" for step in ("encode", "classifier", "total")),
                *("" if part[key] is None else f"{part[key]:,.0f} MB" for key in ("peak_mb", "without_files_mb")),
                held,
                part["content_hash"][:12],
            )
        )
    one = next(iter(result.values()))
    what = (
        f"Training on {one['n_images']:,} images ({one['n_files']:,} of 15-Scene, listed again and again), "
        f"`{one['recipe']['preset']}`, vectors of {one['vector_length']:,} values in a file"
    )
    heads = ("executor", "encode", "classifier", "total", "peak", "of it none of a file", "a worker's peak", "hash")
    return {"figures": Table(heads, rows, what)}


def exported_tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what the ONNX files of ``benchmarks/exported.py`` answer, hold and take, beside their models."""
    rows, costs = [], []
    for name, part in result.items():
        title = name
        for variant, found in part["exported"].items():
            over = percent(found["over_thousandth"]) if "over_thousandth" in found else ""
            difference = f"{found['largest_difference']:.1e}"
            cells = (percent(found["equal_labels"]), difference, over, percent(found["accuracy"]))
            images = f"{found.get('n_images', part['n_test']):,}"
            rows.append((title, variant, images, *cells, figure(found["mb"]), f"{found['nodes']}", _peak(found)))
            title = ""
        rows.append(("", "cvbow", "", "", "", "", percent(part["accuracy"]), figure(part["model_mb"]), "", ""))
        times = part["milliseconds"]
        costs += [
            (name if which == "cvbow" else "", which, figure(each["median"]), figure(each["over_cvbow"]))
            for which, each in times.items()
        ]
    shares = ("equal labels %", "largest difference", "over 1e-3 %", "accuracy %")
    heads = ("model", "file", "test images", *shares, "MB", "nodes", "peak MB")
    notes = (
        "The difference is that of probabilities, and the share that of images where it is over a thousandth; the peak "
        "is that of a process with the runtime."
    )
    return {
        "figures": Table(heads, rows, "What ONNX files of models answer, for the same pixels", notes),
        "times": Table(("model", "by", "ms an image", "over cvbow's"), costs, "Time an image, one thread, in turns"),
    }


def tiny_images_tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return the time and the memory that ``benchmarks/tiny_images.py`` saw tiny images take, by their number."""
    rows = []
    for part in result.values():
        seconds = part["seconds"]
        times = (
            seconds["extract"] + seconds["dictionary"],
            *(seconds[key] for key in ("encode", "classifier", "total")),
        )
        peaks = ("" if peak is None else figure(peak) for peak in part["peak_mb"].values())
        judged = figure(part["test_ms"]), percent(part["accuracy"])
        rows.append((f"{part['n_train']:,}", *map(duration, times), figure(part["vectors_mb"]), *peaks, *judged))
    heads = [
        *("images", "words", "encoding", "classifier", "in all", "vectors, MB"),
        *(f"peak {step}, MB" for step in part["peak_mb"]),
        *("ms a test image", "accuracy %"),
    ]
    what = f"Learning `patches`, {part['n_words']:,} words, vectors of {part['n_values']:,} values"
    notes = f"Images made of {part['n_pictures']:,} pictures." if part["n_pictures"] else ""
    return {"figures": Table(heads, rows, what, notes)}


def many_vectors_tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what ``benchmarks/many_vectors.py`` saw linear classifiers of many vectors take and decide."""
    shown = {"solver": _solved, "file": _from_file, "growth": _by_length}
    return {name: table(result[name]) for name, table in shown.items() if name in result}


def _solved(part: Mapping[str, Any]) -> Table:
    rows = []
    for setting in part["settings"]:
        title = "{:,} x {:,}".format(*setting["vectors"])
        for contender in setting["contenders"]:
            ratio = figure(contender["ratio"]) if "ratio" in contender else ""
            times = duration(contender["seconds"]), ratio
            rows.append((title, contender["label"], *times, *_agreement(setting, title)))
            title = ""
    heads = (
        "vectors",
        "solved by",
        "time",
        "over cvbow's",
        "equal labels %",
        "largest difference",
        "range of decisions",
    )
    return Table(heads, rows, "A linear SVM of many vectors, two ways in turns, and what both decide on test images")


def _from_file(part: Mapping[str, Any]) -> Table:
    rows = [
        (name, *(percent(found[f"accuracy_{place}"]) for place in ("memory", "file")), *_agreement(found, name))
        for name, found in part["classifiers"].items()
    ]
    heads = (
        "classifier",
        "from memory %",
        "from a file %",
        "equal labels %",
        "largest difference",
        "range of decisions",
    )
    n, d = part["vectors"]
    what = (
        f"{n:,} vectors of {d:,} values, in float32 in memory and in float16 in a file; {part['n_test']:,} test images"
    )
    return Table(heads, rows, what)


def _agreement(found: Mapping[str, Any], shown: str) -> tuple[str, ...]:
    """Return how far two sets of decisions are alike, where the row begins something."""
    if not shown:
        return "", "", ""
    return percent(found["equal_labels"]), f"{found['largest_difference']:.2g}", figure(found["range_of_decisions"])


def _by_length(part: Mapping[str, Any]) -> Table:
    rows = [
        (
            f"{row['n']:,} x {row['d']:,}",
            figure(row["file_mb"]),
            duration(row["seconds"]),
            f"{row['steps']}",
            *(figure(row[key]) for key in ("own_peak_mb", "peak_mb")),
        )
        for row in part["rows"]
    ]
    heads = ("vectors", "file, MB", "time", "steps", "own peak, MB", "peak with the mapped file, MB")
    what = f"A linear SVM of jittered copies of {part['images']:,} images' vectors, in a file of float16"
    return Table(heads, rows, what)


def _peak(found: Mapping[str, Any], unit: str = "") -> str:
    return "" if found["peak_mb"] is None else f"{figure(found['peak_mb'])}{unit}"


def _found_cells(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the figures of one kind of finding; the area is that over all images where all have a score."""
    shares = ("" if found[key] is None else percent(found[key]) for key in ("precision", "recall"))
    area = found.get("auroc_of_all", found.get("auroc"))
    return str(found["planted"]), str(found["listed"]), *shares, "" if area is None else f"{area:.3f}"


def detection_tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return how precise the detectors are that ``benchmarks/detection.py`` compared, and what they took."""
    rows: list[tuple[str, ...]] = []
    for name, part in result.items():
        used = f"{part['n_train']:,}"
        used += f" of {part['n_train_of']:,}" if part["n_train"] != part["n_train_of"] else ""
        title = f"{name}: {used} images, {part['n_boxes']:,} boxes"
        for row in part["contenders"]:
            times = figure(row["train_over_cvbow"]) if "train_over_cvbow" in row else ""
            classes = ", ".join(f"{key} {value:.2f}" for key, value in row["per_class"].items())
            cells = (f"{row['ap50']:.3f}", f"{row['ap']:.3f}", classes)
            rows.append((title, row["label"], *cells, duration(row["train_seconds"]), times, figure(row["detect_ms"])))
            title = ""
    heads = ("data", "detector", "AP at 0.5", "AP", "classes at 0.5", "training", "over cvbow's", "ms an image")
    what = "Average precision as COCO defines it, on the test images; seconds of the processor, one thread"
    return {"figures": Table(heads, rows, what)}


def segmentation_tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return how well the masks of ``benchmarks/peers/skimage_segmentation.py`` fit, by what was learned from."""
    rows = []
    for trial in result["trials"]:
        draws = trial["draws"]
        shares = [[draw["iou"][value] for draw in draws] for value in draws[0]["iou"]]
        shares.append([draw["pixel_accuracy"] for draw in draws])
        times = (figure(statistics.median(draw[key] for draw in draws)) for key in ("seconds", "ms"))
        rows.append((trial["name"], *(percent(statistics.fmean(each)) for each in shares), *times))
    values = result["trials"][0]["draws"][0]["iou"]
    heads = ("learned from", *(f"IoU of {value}, %" for value in values), "accuracy, %", "s", "ms")
    return {"figures": Table(heads, rows, f"{result['contender']}, on {result['n_test']} test images")}


def tune_tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what the searches that ``benchmarks/tune_search.py`` ran found in the same time, beside ``auto``."""
    heads = ("search", "recipes (stopped)", "taken", "error %, held out", "test accuracy %", "ms an image", "model MB")
    rows: list[tuple[str, ...]] = [("auto", "", "", *_tuned(result["auto"]))]
    for search in result["searches"]:
        title = (_SEARCHES[search["sampler"]], f"{search['n_evaluated']} ({search['n_stopped']})")
        for name, one in search["chosen"].items():
            rows.append((*title, _TAKEN[name], *_tuned(one)))
            title = ("", "")
    what = (
        f"{result['dataset']}: {result['n_train']} training and {result['n_test']} test images, "
        f"{result['minutes']:g} minutes each, all at the same time"
    )
    notes = (
        "Errors are mean class errors by cross-validation on the training images, ± standard errors; milliseconds are "
        "the processor's on one thread, as measured. The test images chose nothing."
    )
    return {"figures": Table(heads, rows, what, notes)}


def _tuned(one: Mapping[str, Any]) -> tuple[str, ...]:
    error, test = percent(one["error"], one["spread"]), percent(one["test_mean_class_accuracy"])
    return error, test, figure(one["measured"]), figure(one["model_bytes"] / 1e6)


_SEARCHES = {"nsga2": "NSGA-II", "tpe": "TPE", "random": "at random"}
_TAKEN = {"best": "the most accurate", "as good": "the fastest that is as good as auto"}


def fuzz_tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what ``benchmarks/fuzz_images.py`` saw become of damaged files, by what was done to them."""
    outcomes = list(result["outcomes"])
    by = {**result["by_mutation"], "all": result["outcomes"]}
    rows = [(damage, *(f"{counts.get(outcome, 0):,}" for outcome in outcomes)) for damage, counts in by.items()]
    what = f"{result['count']:,} damaged files, by what was done to them; {len(result['failures'])} failures"
    notes = (
        f"The slowest took {result['slowest'][0][0]:.1f} s of {result['limits']['seconds']:g} s allowed, the largest "
        f"{result['largest_mb'][0][0]:.0f} MB of {result['limits']['peak_mb']:g} MB."
    )
    return {"figures": Table(("damage", *outcomes), rows, what, notes)}


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
#: The trials of planted faults.
AUDITED = tuple(f"{data}-{trial}" for data in ("scene15", "flowers5") for trial in ("faults", "similar", "shortcuts"))
#: How many tiny images are learned from, by the name of the section.
TINY_IMAGES = {f"tiny-images-{n}": n for n in (10_000, 50_000)}
#: What is asked of linear classifiers of many vectors.
MANY_VECTORS = ("solver", "file", "growth")
#: What the work of training runs on.
CLUSTERED = ("threads", "dask")
#: Data sets and recipes whose models are exported.
EXPORTED = tuple(f"{data}-{preset}" for data in ("scene15", "flowers5") for preset in ("fast", "bow", "spm", "auto"))
