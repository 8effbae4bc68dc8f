"""The tables of README.md, of benchmarks/README.md and of the pages in docs/: results, recipes and registered parts.

    python benchmarks/tables.py                      prints them
    python benchmarks/tables.py --check README.md    exit 1 where the README has other figures
    python benchmarks/tables.py --write README.md    puts them in

A table stands between two markers, `<!-- speed -->` and `<!-- /speed -->`. Which tables a README must have, its folder
tells; a page of docs/ has those that it has markers for.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import statistics
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from cvbow.backends import BACKENDS
from cvbow.classify import CLASSIFIERS
from cvbow.experiments import result_tables
from cvbow.experiments.environment import machine
from cvbow.experiments.scripts.speed import KERNELS
from cvbow.presets import PARTS, PRESETS
from cvbow.tables import Table, figure, percent

SPEED = "python benchmarks/speed.py"
RESULTS = Path(__file__).resolve().parent / "results"
Results = Mapping[str, Any]


def load(folder: Path) -> dict[str, Any]:
    """Every JSON file of the folder, by its name without the suffix."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def _block(table: Table, results: Sequence[Mapping[str, Any]], command: str) -> str:
    """A table with what it shows, what it was measured with, and the command that does so again, below it."""
    what = f"{table.title}." if table.title else ""
    smoke = "A smoke run, whose figures are not meaningful." if all(result.get("quick") for result in results) else ""
    places = [result["environment"] for result in results]
    loads = sorted(place["load_before"] for place in places if "load_before" in place)
    ends = dict.fromkeys(f"{load:.1f}" for load in loads[:1] + loads[-1:])
    load = f"The machine's load before a run: {' to '.join(ends)}." if loads else ""
    parts = (what, table.notes, smoke, load, machine(places), f"Repeat with `{command}`.")
    said = " ".join(part for part in parts if part)
    return Table(table.heads, table.rows, notes=said).markdown()


def _shown(file: str, which: str = "figures", *sections: str, command: str = "") -> Callable[[Results], str]:
    """A table that `cvbow bench table` shows of a result, or of sections of it; empty without it."""

    def make(results: Results) -> str:
        result = results.get(file, {})
        table = result_tables(result).get(which)
        names = [name for name in sections if name in result]
        again = " ".join([command or f"cvbow bench run {file}", *names])
        return "" if table is None else _block(table, [result[name] for name in names] or [result], again)

    return make


def _sets(file: str, which: str = "figures") -> Callable[[Results], str]:
    """A table of a script's result that has a part for each data set or trial; empty without it."""

    def make(results: Results) -> str:
        result = results.get(file, {})
        table = result_tables(result).get(which)
        again = f"python benchmarks/{file.replace('-', '_')}.py"
        return "" if table is None else _block(table, list(result.values()), again)

    return make


def accuracy_table(results: Results) -> str:
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
    heads = ("benchmark", "method", "%", "train, test: ms an image", "peak memory", "model")
    sections = [result for group in groups.values() for result in group]
    workers = sorted({result["environment"]["workers"] for result in sections})
    what = f"Wall time with {' or '.join(map(str, workers))} workers, over all splits; memory of the whole process"
    return _block(Table(heads, rows, what), sections, "cvbow bench run NAME")


#: Data sets in the order of the table.
_ORDER = {"scene15": 0, "kth-tips": 1, "cifar10-small": 2, "cifar10": 3, "digits": 4}


def _accuracy_entry(result: Results) -> tuple[float, list[str]]:
    measured = result[result["metric"]]
    share = percent(measured["mean"], measured["std"]) + (" (a smoke run)" if result["quick"] else "")
    settings = {key: value for key, value in result["definition"]["settings"].items() if key == "n_words"}
    name = f"cvbow `{result['definition']['preset']}`" + "".join(f", {value} words" for value in settings.values())
    cost = result["cost"]
    times = f"{figure(cost['train_ms_per_image'])}, {figure(cost['test_ms_per_image'])}"
    peak, size = f"{result['memory']['peak_bytes'] / 1e9:.1f} GB", f"{figure(result['model_bytes'] / 1e6)} MB"
    return 100 * measured["mean"], [f"**{name}**", f"**{share}**", times, peak, size]


def _published_entry(row: Mapping[str, Any]) -> tuple[float, list[str]]:
    share = f"{row['figure']:.1f}" + (f" ± {row['std']:.1f}" if row["std"] is not None else "")
    return row["figure"], [f"{row['method']} ({row['source']}; {row['status']})", share, "", "", ""]


#: The presets that a person chooses among: when to take which, and the benchmark that tells what it gives.
_CHOICE = (
    ("`auto`, without being asked", "scene15-auto"),
    ("`fast`, where time or size matters most", "scene15-fast"),
    ("`best`, where accuracy matters most", "scene15-best"),
    ("`patches`, for tiny images, where `auto` takes it", "cifar10-small-patches"),
)


def choice_table(results: Results) -> str:
    """Four presets and what each gives and costs; empty where one has no result."""
    found = [(said, results[name]) for said, name in _CHOICE if name in results]
    if len(found) < len(_CHOICE):
        return ""
    rows = []
    for said, result in found:
        cost = result["cost"]
        times = [figure(cost[f"{part}_ms_per_image"]) for part in ("train", "test")]
        share = percent(result[result["metric"]]["mean"])
        rows.append((said, result["title"].partition(":")[0], share, *times, figure(result["model_bytes"] / 1e6)))
    heads = ("preset", "measured on", "accuracy %", "training: ms an image", "answer: ms an image", "model MB")
    return Table(heads, rows).markdown()


def scene15_table(results: Results) -> str:
    """The popular recipe and cvbow's from folders of images to a judged classifier; empty without the result."""
    section = results.get("speed", {}).get("end-to-end")
    if section is None:
        return ""
    table, place = result_tables({"end-to-end": section})["end-to-end"], section["environment"]
    smoke = "A smoke run, whose figures are not meaningful. " if place.get("smoke") else ""
    where = f"{smoke}{table.title}. {place['cpu']}, {place['cores']} cores, {place['date']}."
    return Table(table.heads, table.rows, notes=f"{where} Repeat with `{SPEED} end-to-end`.").markdown()


def covers_table(results: Results) -> str:
    """What is found of the DVD covers, by words and vectors, and what that costs; empty without the result."""
    if "dvd-covers" not in results:
        return ""
    found = [results[name] for name in ("dvd-covers-networks", "dvd-covers") if name in results]
    tables = [result_tables(result)["figures"] for result in found]
    one = found[-1]["variants"][0]
    what = (
        f"{one['n_queries']} photographs by four cameras against {one['n_images']:,} images: the covers and all of "
        f"15-Scene, on which alone everything was learned. {tables[-1].notes}"
    )
    rows = [row for table in tables for row in table.rows]
    return _block(Table(tables[-1].heads, rows, notes=what), found, "cvbow bench run dvd-covers")


def stages_table(results: Results) -> str:
    """What each stage gives as the source of words; empty without its result."""
    result = results.get("scene15-stages")
    if result is None:
        return ""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for part in result["variants"]:
        stage, _, grids = part["name"].rpartition(", ")
        found.setdefault(stage, {})[grids] = part
    rows = []
    for stage, parts in found.items():
        first = parts["1x1"]
        points = first["splits"][0]["n_sampled"] / min(first["splits"][0]["n_train"], 1000)
        shares = [percent(parts[grids]["mean_class_accuracy"]["mean"]) for grids in ("1x1", "pyramid")]
        rows.append((stage, f"{points:.0f}", *shares, figure(first["cost"]["test_ms_per_image"])))
    heads = ("source of words", "points an image", "1x1, %", "1x1 2x2 4x4, %", "1x1, test: ms an image")
    what = f"{result['title']}. Mean class accuracy; {result['environment']['workers']} workers"
    return _block(Table(heads, rows, what), [result], "cvbow bench run scene15-stages")


def augmentation_table(results: Results) -> str:
    """Recipes with and without augmented copies; empty without the result."""
    result = results.get("scene15-augmentation")
    if result is None:
        return ""
    by_name = {part["name"]: part for part in result["variants"]}
    rows = []
    for name, plain in by_name.items():
        augmented = by_name.get(f"{name}, augmented")
        if augmented is None:
            continue
        runs = [[run["mean_class_accuracy"] for run in part["splits"]] for part in (plain, augmented)]
        gains = [100 * (b - a) for a, b in zip(*runs, strict=True)]
        gain = f"{statistics.fmean(gains):+.1f} ± {statistics.stdev(gains):.1f}"
        shares = [percent(*part["mean_class_accuracy"].values()) for part in (plain, augmented)]
        times = [figure(part["cost"]["train_ms_per_image"]) for part in (plain, augmented)]
        rows.append((f"`{name}`", *shares, gain, ", ".join(times)))
    heads = ("recipe", "without, %", "with 8 copies, %", "difference, paired by draw", "training: ms an image")
    what = f"{result['title']}: mean class accuracy, mean and standard deviation over the draws"
    return _block(Table(heads, rows, what), [result], "cvbow bench run scene15-augmentation")


def pairs_table(results: Results) -> str:
    """The pairs of images of Oxford affine one by one, for SIFT with RootSIFT; empty without the result."""
    result = results.get("oxford-affine")
    if result is None:
        return ""
    (part,) = (part for part in result["variants"] if part["name"] == "sift + rootsift")
    cells: dict[str, list[str]] = {}
    for pair in part["pairs"]:
        error = "none" if pair["corner_error"] is None else figure(pair["corner_error"])
        cell = f"{error} ({100 * pair['accuracy'][2]:.0f}, {100 * pair['ratio_accuracy'][2]:.0f})"
        cells.setdefault(pair["sequence"], []).append(cell)
    numbers = [f"1 to {pair['pair'][1]}" for pair in part["pairs"][: len(next(iter(cells.values())))]]
    return Table(("sequence", *numbers), [(name, *row) for name, row in cells.items()]).markdown()


def segmentation_table(results: Results) -> str:
    """How well masks fit, by what was learned from, beside scikit-image's on the same images; empty without."""
    result, other = results.get("weizmann-horses-segmentation", {}), results.get("weizmann-horses-skimage", {})
    table = result_tables(result).get("figures")
    if table is None:
        return ""
    rows = []
    for row, trial in zip(table.rows, result["trials"], strict=True):
        rows.append(("cvbow", *row))
        for peer in other.get("trials", ()):
            if peer["name"] == trial["name"]:
                means = {key: [draw[key] for draw in peer["draws"]] for key in ("pixel_accuracy", "seconds", "ms")}
                ious = [
                    statistics.fmean(draw["iou"][str(value)] for draw in peer["draws"])
                    for value in range(len(result["definition"]["classes"]))
                ]
                cells = [percent(iou) for iou in ious] + [percent(statistics.fmean(means["pixel_accuracy"])), ""]
                times = [figure(statistics.median(means[key])) for key in ("seconds", "ms")]
                rows.append(("scikit-image", "", *cells, *times))
    return _block(Table(("", *table.heads), rows, table.title), [result], f"cvbow bench run {result['benchmark']}")


def presets_table(results: Results) -> str:
    """Every recipe, with what it does."""
    rows = [(f"`{name}`", preset.summary) for name, preset in PRESETS.items()]
    return Table(("preset", "what it does"), rows).markdown()


def parts_table(results: Results) -> str:
    """What there is to choose from, of each kind of part."""
    found: dict[str, Collection[str]] = {**PARTS, "channels": BACKENDS, "classifier": CLASSIFIERS}
    rows = [(f"`{name}`", ", ".join(f"`{part}`" for part in parts)) for name, parts in found.items()]
    return Table(("setting", "one of"), rows).markdown()


TABLES: dict[str, Callable[[Results], str]] = {"choice": choice_table, "scene15": scene15_table}
#: Those that stand in pages of docs/ alone.
OF_PAGES: dict[str, Callable[[Results], str]] = {
    "presets": presets_table,
    "parts": parts_table,
    "fuzz": _shown("fuzz", command="python benchmarks/fuzz_images.py"),
}
#: Those of benchmarks/README.md.
DETAILS: dict[str, Callable[[Results], str]] = {
    "accuracy": accuracy_table,
    "speed": _shown("speed", "kernels", *KERNELS, command=SPEED),
    "comparison": _shown("scene15-comparison"),
    "covers": covers_table,
    "stages": stages_table,
    "augmentation": augmentation_table,
    "matching": _shown("oxford-affine"),
    "pairs": pairs_table,
    "detectors": _shown("speed", "detectors", "detectors", command=SPEED),
    "comparison-kth": _shown("kth-tips-comparison"),
    "curve": _shown("scene15-robustness", "curve"),
    "corruptions": _shown("scene15-robustness", "corruptions"),
    "buildings": _shown("buildings"),
    "explanations": _shown("scene15-explanation"),
    "explanation-checks": _shown("scene15-explanation", "checks"),
    "explanations-flowers": _shown("flowers5-explanation"),
    "explanation-checks-flowers": _shown("flowers5-explanation", "checks"),
    "labels": _shown("scene15-mosaics"),
    "labels-cells": _shown("bccd-labels"),
    "labels-by-cell": _shown("bccd-labels", "labels"),
    "sets": _shown("scene15-coverage", "sets"),
    "sets-flowers": _shown("flowers5-coverage", "sets"),
    "strangers": _shown("scene15-coverage", "strangers"),
    "strangers-flowers": _shown("flowers5-coverage", "strangers"),
    "localization": _shown("weizmann-horses-localization"),
    "kangaroo": _shown("kangaroo"),
    "bccd": _shown("bccd"),
    "detection": _sets("detection"),
    "segmentation": segmentation_table,
    "audit": _sets("audit-faults"),
    "audit-shortcuts": _sets("audit-faults", "shortcuts"),
    "exported": _sets("exported"),
    "exported-times": _sets("exported", "times"),
    "cluster": _sets("cluster"),
    "solver": _sets("many-vectors", "solver"),
    "vectors-in-a-file": _sets("many-vectors", "file"),
    "growth-of-vectors": _sets("many-vectors", "growth"),
    "tune": _shown("tune-search", command="python benchmarks/tune_search.py"),
    "tiny-images": _sets("tiny-images"),
    "duplicates": _shown("near-duplicates", command="python benchmarks/near_duplicates.py"),
    "retrieval": _shown("speed", "growth", "retrieval", command=SPEED),
    "retrieval-contenders": _shown("speed", "contenders", "retrieval", command=SPEED),
    "million": _shown("speed", "million", "million", command=SPEED),
    "million-vectors": _shown("speed", "million-vectors", "million-vectors", command=SPEED),
    "million-contenders": _shown("speed", "million-contenders", "million-vectors", command=SPEED),
    "beyond": _shown("speed", "beyond", "million", command=SPEED),
}
#: All of them.
EVERY = {**TABLES, **DETAILS, **OF_PAGES}


def tables_of(document: Path) -> dict[str, Callable[[Mapping[str, Any]], str]]:
    """The tables that belong in a document."""
    folder = document.resolve().parent
    if "docs" in (folder.name, folder.parent.name):
        text = document.read_text(encoding="utf-8")
        return {name: table for name, table in EVERY.items() if f"<!-- {name} -->" in text}
    return DETAILS if folder.name == "benchmarks" else TABLES


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
        wanted = _padded(table(results))
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
        text = text[: block.start(1)] + _padded(table(results)) + text[block.end(1) :]
    document.write_text(text, encoding="utf-8")


def _padded(table: str) -> str:
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
    for name, table in EVERY.items():
        print(f"<!-- {name} -->\n{table(results) or 'no results yet'}\n<!-- /{name} -->\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
