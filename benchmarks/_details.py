"""The tables of benchmarks/README.md: what is measured beside the recipes of the project's README."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from _format import caption, figure, markdown, threads, time

__all__ = ["augmentation_table", "detectors_table", "matching_table", "pairs_table", "stages_table"]

#: Of the recipe's result that the table of pairs is about.
_PAIRS_OF = "sift + rootsift"


def stages_table(results: Mapping[str, Any]) -> str:
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
        accuracies = [f"{100 * parts[grids]['mean_class_accuracy']['mean']:.1f}" for grids in ("1x1", "pyramid")]
        rows.append([stage, f"{points:.0f}", *accuracies, figure(first["cost"]["test_ms_per_image"])])
    header = ["source of words", "points an image", "1x1, %", "1x1 2x2 4x4, %", "1x1, test: ms an image"]
    what = f"{result['title']}. Mean class accuracy; {result['environment']['workers']} workers."
    return f"{markdown(header, rows)}\n\n{what} {caption([result], 'cvbow bench run scene15-stages')}"


def augmentation_table(results: Mapping[str, Any]) -> str:
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
        times = [figure(part["cost"]["train_ms_per_image"]) for part in (plain, augmented)]
        rows.append([f"`{name}`", _percent(plain), _percent(augmented), gain, ", ".join(times)])
    header = ["recipe", "without, %", "with 8 copies, %", "difference, paired by draw", "training: ms an image"]
    what = f"{result['title']}: mean class accuracy, mean and standard deviation over the draws."
    return f"{markdown(header, rows)}\n\n{what} {caption([result], 'cvbow bench run scene15-augmentation')}"


def matching_table(results: Mapping[str, Any]) -> str:
    """Detectors and descriptors on image pairs with known homographies; empty without the result."""
    result = results.get("oxford-affine")
    if result is None:
        return ""
    rows = []
    for part in result["variants"]:
        mean = part["mean"]
        shares = [mean["repeatability"], mean["matching_score"], *(mean["accuracy"][limit - 1] for limit in (1, 3, 5))]
        shares += [mean["ratio_accuracy"][2], *(mean["homography_accuracy"][limit] for limit in "135")]
        points = f"{statistics.fmean(mean['keypoints']):,.0f}"
        rows.append([part["name"], points, *(f"{100 * share:.1f}" for share in shares)])
    header = ["detector + descriptor", "points", "repeatability", "matching score", "MMA 1 px", "3 px", "5 px"]
    header += ["3 px, after the ratio test", "homography 1 px", "3 px", "5 px"]
    what = f"{result['title']}; percent, means over {len(result['variants'][0]['pairs'])} pairs."
    return f"{markdown(header, rows)}\n\n{what} {caption([result], 'cvbow bench run oxford-affine')}"


def pairs_table(results: Mapping[str, Any]) -> str:
    """The pairs of images one by one, for SIFT with RootSIFT; empty without the result."""
    result = results.get("oxford-affine")
    if result is None:
        return ""
    (part,) = (part for part in result["variants"] if part["name"] == _PAIRS_OF)
    rows: dict[str, list[str]] = {}
    for pair in part["pairs"]:
        error = "none" if pair["corner_error"] is None else figure(pair["corner_error"])
        cell = f"{error} ({100 * pair['accuracy'][2]:.0f}, {100 * pair['ratio_accuracy'][2]:.0f})"
        rows.setdefault(pair["sequence"], []).append(cell)
    numbers = [f"1 to {pair['pair'][1]}" for pair in part["pairs"][: len(next(iter(rows.values())))]]
    return markdown(["sequence", *numbers], [[name, *cells] for name, cells in rows.items()])


def detectors_table(results: Mapping[str, Any]) -> str:
    """The detectors' times beside OpenCV's own calls; empty without the section."""
    section = results.get("speed", {}).get("detectors")
    if section is None:
        return ""
    rows = []
    for row in (*section["detectors"], *section["pairs"]):
        ours, theirs = row["contenders"]
        seconds = [time(one["seconds"]) for one in (ours, theirs)]
        rows.append([row["name"], f"{row['points']:,.0f}", *seconds, f"{100 * row['overhead']:+.0f} %"])
    rows += [
        [row["name"], f"{row['points']:,.0f}", time(row["contenders"][0]["seconds"]), "", ""] for row in section["ours"]
    ]
    header = ["detector (+ descriptor)", "points an image", "cvbow", "OpenCV", "overhead"]
    what = f"{section['input']['images']}, {threads(section)}; the last rows are not OpenCV's."
    return f"{markdown(header, rows)}\n\n{what} {caption([section], 'python benchmarks/speed.py detectors')}"


def _percent(part: Mapping[str, Any]) -> str:
    measured = part["mean_class_accuracy"]
    return f"{100 * measured['mean']:.1f} ± {100 * measured['std']:.1f}"
