"""The tables of README.md and of benchmarks/README.md, made from the results in benchmarks/results/.

    python benchmarks/tables.py                      prints them
    python benchmarks/tables.py --check README.md    exit 1 where the README has other figures
    python benchmarks/tables.py --write README.md    puts them in

A table stands between two markers, `<!-- speed -->` and `<!-- /speed -->`. Which tables a document must have, its
folder tells.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from _comparisons import corruptions_table, curve_table, kth_comparison_table, scene15_comparison_table
from _details import augmentation_table, detectors_table, matching_table, pairs_table, stages_table
from _format import caption, figure, markdown, threads, time
from _indexes import contenders_table, covers_table, duplicates_table, growth_table

RESULTS = Path(__file__).resolve().parent / "results"
#: The sections of the speed table.
KERNELS = ("dense-sift", "nearest", "kmeans", "gaussian-mixture", "encoders", "augmentation")


def load(folder: Path) -> dict[str, Any]:
    """Every JSON file of the folder, by its name without the suffix."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def speed_table(results: Mapping[str, Any]) -> str:
    """Every section but the end-to-end run, one row per contender; empty without results."""
    speed = results.get("speed", {})
    rows: list[list[str]] = []
    if "dense-sift" in speed:
        section = speed["dense-sift"]
        width, height = section["input"]["size"]
        settings = ", ".join(f"{s['step']}/{s['bin']}" for s in section["settings"])
        title = f"dense SIFT, {width}x{height} pixels, {threads(section)}; median of step/bin {settings}"
        for row in section["median_over_settings"].values():
            rows.append([title, row["label"], f"{figure(row['rate'] / 1e3)} thousand/s", _ratio(row)])
            title = ""
    if "nearest" in speed:
        section = speed["nearest"]
        n, size = section["input"]["descriptors"]
        title = f"nearest of {section['input']['n_words']} words, {n:,} x {size}, {threads(section)}"
        for row in section["contenders"]:
            rows.append([title, row["label"], time(row["seconds"]), _ratio(row)])
            title = ""
    if "kmeans" in speed:
        section = speed["kmeans"]
        n, size = section["input"]["descriptors"]
        words, iterations = section["input"]["n_words"], section["input"]["iterations"]
        title = f"k-means, {n:,} x {size}, {words} words, {iterations} iterations, {threads(section)}"
        for row in section["contenders"]:
            over = 100 * (row["inertia_over_cvbow"] - 1)
            error = "" if row["name"] == "cvbow" else f", error {over:+.2f} %"
            rows.append([title, row["label"], time(row["seconds"]) + error, _ratio(row)])
            title = ""
    if "gaussian-mixture" in speed:
        section = speed["gaussian-mixture"]
        n, size = section["input"]["shape"]
        words, iterations = section["input"]["n_words"], section["input"]["iterations"]
        title = f"Gaussian mixture, {n:,} x {size}, {words} Gaussians, {iterations} iterations, {threads(section)}"
        for row in section["contenders"]:
            over = round(100 * row["over_cvbow"], 2) + 0.0  # of which -0.0 becomes 0.0
            likelihood = "" if row["name"] == "cvbow" else f", log-likelihood {over:+.2f} %"
            rows.append([title, row["label"], time(row["seconds"]) + likelihood, _ratio(row)])
            title = ""
    if "encoders" in speed:
        rows += _encoder_rows(speed["encoders"])
    if "augmentation" in speed:
        section = speed["augmentation"]
        for setting in section["settings"]:
            given = setting["input"]
            _, height, width, channels = given["shape"]
            kind = "gray" if channels == 1 else "colour"
            title = f"random transforms of {given['images']}, {width}x{height} pixels, {kind}, {threads(section)}"
            for row in setting["contenders"]:
                rows.append([title, row["label"], f"{figure(row['rate'])} images/s", _ratio(row)])
                title = ""
    if not rows:
        return ""
    header = ["work", "contender", "median", "cvbow is so many times as fast (range)"]
    names = [name for name in KERNELS if name in speed]
    command = f"python benchmarks/speed.py {' '.join(names)}"
    return f"{markdown(header, rows)}\n\n{caption([speed[name] for name in names], command)}"


def _encoder_rows(section: Mapping[str, Any]) -> list[list[str]]:
    counts = sorted({min(section["input"]["descriptors"]), max(section["input"]["descriptors"])})
    images = f"images of {' to '.join(f'{count:,}' for count in counts)}"
    rows = []
    for part, title in (("fisher", "Fisher vector, {} Gaussians"), ("bag-of-words", "bag of {} words")):
        given = section[part]["input"]
        work = f"{title.format(given['n_words'])}, {images} x {given['values']}, {threads(section)}"
        for row in section[part]["contenders"]:
            rows.append([work, row["label"], f"{time(row['seconds'])} an image", _ratio(row)])
            work = ""
    return rows


def scene15_table(results: Mapping[str, Any]) -> str:
    """The end-to-end run: accuracy and time of each recipe; empty without results."""
    section = results.get("speed", {}).get("end-to-end")
    if section is None:
        return ""
    rows = [
        [
            row["label"],
            f"{100 * row['mean_class_accuracy']:.1f} %",
            f"{100 * row['accuracy']:.1f} %",
            f"{row['seconds']:.0f} s",
            figure(row["time_over_popular"]),
        ]
        for row in section["contenders"]
    ]
    header = ["recipe", "mean class accuracy", "accuracy", "train + evaluate", "time over the popular recipe's"]
    given = section["input"]
    what = f"{given['images']}, {given['n_train']} training and {given['n_test']} test images, {threads(section)}."
    return f"{markdown(header, rows)}\n\n{what} {caption([section], 'python benchmarks/speed.py end-to-end')}"


def accuracy_table(results: Mapping[str, Any]) -> str:
    """Every benchmark that was run, its recipes among the published figures, from the lowest up; empty without."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for result in results.values():
        if result.get("kind") == "cvbow-benchmark-result" and "variants" not in result:
            # A definition with settings of its own has the same title as the one without.
            groups.setdefault(result["title"], []).append(result)
    if not groups:
        return ""
    rows = []
    for title, group in sorted(groups.items(), key=lambda item: _ORDER.get(item[1][0]["dataset"]["name"], 99)):
        entries = [_accuracy_entry(result) for result in group]
        published = {(row["method"], row["figure"]): row for result in group for row in result["published"]}
        # Figures that were measured here stand in the table above.
        entries += [_published_entry(row) for row in published.values() if row["status"] != "measured here"]
        work = title
        for _, cells in sorted(entries, key=lambda entry: entry[0]):
            rows.append([work, *cells])
            work = ""
    header = ["benchmark", "method", "%", "train, test: ms an image", "peak memory", "model"]
    workers = sorted({result["environment"]["workers"] for group in groups.values() for result in group})
    sections = [result for group in groups.values() for result in group]
    loads = [result["environment"]["load_before"] for result in sections]
    what = (
        f"Wall time with {' or '.join(map(str, workers))} workers, over all splits, on a machine that had other work "
        f"to do (load before a run {min(loads):.1f} to {max(loads):.1f}); memory of the whole process."
    )
    return f"{markdown(header, rows)}\n\n{what} {caption(sections, 'cvbow bench run NAME')}"


#: Data sets in the order of the table.
_ORDER = {"scene15": 0, "kth-tips": 1, "cifar10-small": 2, "cifar10": 3, "digits": 4}


def _accuracy_entry(result: Mapping[str, Any]) -> tuple[float, list[str]]:
    measured = result[result["metric"]]
    percent = f"{100 * measured['mean']:.1f}"
    if measured["std"] is not None:
        percent += f" ± {100 * measured['std']:.1f}"
    if result["quick"]:
        percent += " (a smoke run)"
    settings = {key: value for key, value in result["definition"]["settings"].items() if key == "n_words"}
    name = f"cvbow `{result['definition']['preset']}`" + "".join(f", {value} words" for value in settings.values())
    cost = result["cost"]
    times = f"{figure(cost['train_ms_per_image'])}, {figure(cost['test_ms_per_image'])}"
    peak = f"{result['memory']['peak_bytes'] / 1e9:.1f} GB"
    return 100 * measured["mean"], [f"**{name}**", f"**{percent}**", times, peak, f"{_size(result['model_bytes'])}"]


def _published_entry(row: Mapping[str, Any]) -> tuple[float, list[str]]:
    percent = f"{row['figure']:.1f}" + (f" ± {row['std']:.1f}" if row["std"] is not None else "")
    return row["figure"], [f"{row['method']} ({row['source']}; {row['status']})", percent, "", "", ""]


def _size(n_bytes: float) -> str:
    return f"{figure(n_bytes / 1e6)} MB"


TABLES = {
    "speed": speed_table,
    "scene15": scene15_table,
    "accuracy": accuracy_table,
    "comparison": scene15_comparison_table,
    "covers": covers_table,
}
#: Those of benchmarks/README.md.
DETAILS = {
    "stages": stages_table,
    "augmentation": augmentation_table,
    "matching": matching_table,
    "pairs": pairs_table,
    "detectors": detectors_table,
    "comparison-kth": kth_comparison_table,
    "curve": curve_table,
    "corruptions": corruptions_table,
    "duplicates": duplicates_table,
    "retrieval": growth_table,
    "retrieval-contenders": contenders_table,
}


def tables_of(document: Path) -> dict[str, Callable[[Mapping[str, Any]], str]]:
    """The tables that belong in a document."""
    return DETAILS if document.resolve().parent.name == "benchmarks" else TABLES


def _ratio(row: Mapping[str, Any]) -> str:
    if "ratio" not in row:
        return ""
    low, high = map(figure, row["ratio_range"])
    return figure(float(row["ratio"])) + (f" ({low} to {high})" if low != high else "")


def blocks(text: str, name: str) -> re.Match[str]:
    """Find the table ``name`` in a document; ValueError unless its two markers stand there once."""
    found = list(re.finditer(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL))
    if len(found) != 1:
        raise ValueError(f"needs the markers <!-- {name} --> and <!-- /{name} -->, each once and on its own line")
    return found[0]


def check(document: Path, results: Mapping[str, Any]) -> list[str]:
    """What is wrong with a document's tables, as lines; none if they are those of the results."""
    text = document.read_text(encoding="utf-8")
    problems = []
    for name, table in tables_of(document).items():
        try:
            stands = blocks(text, name).group(1)
        except ValueError as error:
            problems.append(f"{document.name}: {error}")
            continue
        wanted = _block(table(results))
        if stands != wanted:
            problems.append(f"{document.name}: the table {name} is not that of the results:")
            problems += difflib.unified_diff(
                stands.splitlines(), wanted.splitlines(), "stands", "results", "", "", 0, ""
            )
    return problems


def write(document: Path, results: Mapping[str, Any]) -> None:
    """Put the tables between the document's markers."""
    text = document.read_text(encoding="utf-8")
    for name, table in tables_of(document).items():
        block = blocks(text, name)
        text = text[: block.start(1)] + _block(table(results)) + text[block.end(1) :]
    document.write_text(text, encoding="utf-8")


def _block(table: str) -> str:
    return f"\n{table}\n\n" if table else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print, check or write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="folder of the JSON files")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", type=Path, metavar="FILE", help="compare this document's tables with the results")
    action.add_argument("--write", type=Path, metavar="FILE", help="replace this document's tables")
    action.add_argument("--smoke", action="store_true", help="only make the tables: does it run")
    options = parser.parse_args(arguments)
    results = load(options.results)
    if options.check is not None:
        problems = check(options.check, results)
        print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
        return 1 if problems else 0
    if options.write is not None:
        try:
            write(options.write, results)
        except ValueError as error:
            print(f"{options.write.name}: {error}", file=sys.stderr)
            return 1
        return 0
    for name, table in {**TABLES, **DETAILS}.items():
        print(f"<!-- {name} -->\n{table(results) or 'no results yet'}\n<!-- /{name} -->\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
