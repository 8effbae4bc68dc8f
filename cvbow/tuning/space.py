"""The recipes that are searched: what each is made of, and the presets as places among them.

A recipe is a value for every gene. All genes are always there, so that two recipes can be crossed; one that means
nothing to a recipe, such as the size of words of colour where colour is not described, is passed over. The values are
those of the presets, and their neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cvbow.presets import Preset

Value = str | int | float | bool


@dataclass(frozen=True)
class Gene:
    """One choice of a recipe.

    Attributes
    ----------
    name : str
    choices : tuple
        Texts, numbers, True and False.
    ordered : bool
        Whether neighbours in ``choices`` are alike.

    Examples
    --------
    >>> from cvbow.tuning.space import genes
    >>> next(gene for gene in genes(colored=True, tiny=False, side=320) if gene.name == "step").choices
    (4, 5, 6, 8, 12)
    """

    name: str
    choices: tuple[Value, ...]
    ordered: bool = False


#: Words, or Gaussians, by encoder, from few to many.
_WORDS = {
    "bow": (100, 200, 400, 1000, 2000),
    "vlad": (16, 32, 64, 128, 256),
    "fisher": (16, 32, 64, 128, 256),
    "llc": (128, 256, 512, 1024, 2048),
}
#: The same of colour, which takes half as many.
_COLOR_WORDS = {name: tuple(n // 2 for n in words) for name, words in _WORDS.items()}
_PATCH_WORDS = (200, 400, 800, 1600, 3200)
#: Descriptors that words are learned from, the images of these, and iterations, as in the presets.
_SMALL_SAMPLE = (60_000, 300, 10)
_SAMPLE = {"fisher": (180_000, 1000, 50)}
_USUAL_SAMPLE = (200_000, 1000, 20)
_PATCH_SAMPLE = (200_000, 10_000, 10)
#: C of linear classifiers, and in the same place the ridge's alpha: from a smooth answer to one that fits closely.
_C = (0.3, 1.0, 3.0, 10.0, 30.0)
_ALPHA = (0.1, 0.03, 0.01, 0.003, 0.001)
_MIRROR: dict[str, bool | str] = {"no": False, "pairs": "pairs", "twice": True}
_SIDES = (160, 240, 320, 480)


def genes(*, colored: bool, tiny: bool, side: float) -> list[Gene]:
    """Return the genes for images: in colour or not, tiny or not, of so many pixels along the longer side."""
    found = [
        Gene("encoder", tuple(_WORDS)),
        Gene("size", tuple(range(5)), ordered=True),
        Gene("sample", ("small", "large")),
        Gene("step", (4, 5, 6, 8, 12), ordered=True),
        Gene("bin_sizes", ("4", "6", "4,8", "6,12", "4,6,8", "4,6,8,10", "4,6,8,12,16")),
        Gene("magnification", (6.0, 0.0)),
        Gene("contrast_threshold", (0.005, 0.0)),
        # A side that no image is longer than changes nothing.
        Gene("max_side", (*(value for value in _SIDES[:-1] if value < side), _SIDES[-1]), ordered=True),
        Gene("reduce", (32, 48, 64, 80), ordered=True),
        Gene("whiten", (False, True)),
        Gene("position_weight", (0.0, 2.0, 4.0, 8.0), ordered=True),
        Gene("mirror", tuple(_MIRROR)),
        Gene("power", (0.25, 0.5, 0.75, 1.0), ordered=True),
        Gene("grids", ("1x1", "2x2", "1x1,2x2", "1x1,1x3", "1x1,1x3,2x2", "1x1,2x2,4x4")),
        Gene("census", (False, True)),
        Gene("classifier", ("linear-svm", "kernel-ridge", "intersection-svm")),
        Gene("fit", tuple(range(5)), ordered=True),
    ]
    if colored:
        found += [
            Gene("color", ("gray", "opponent")),
            Gene("color_channel", (False, True)),
            Gene("color_size", tuple(range(5)), ordered=True),
            Gene("color_reduce", (24, 32, 48, 64), ordered=True),
        ]
    if tiny:
        found += [
            Gene("features", ("dense-sift", "patches")),
            Gene("patch_size", (5, 6, 8), ordered=True),
            Gene("patch_step", (1, 2), ordered=True),
            Gene("patch_grids", ("2x2", "3x3"), ordered=True),
            Gene("overlap", (False, True)),
            Gene("nearness", (0.4, 0.6, 0.8, 1.0), ordered=True),
        ]
    return found


#: Where the presets are among the recipes; other genes are as for "bow".
_BOW: dict[str, Value] = {
    "encoder": "bow",
    "size": 3,
    "sample": "large",
    "step": 5,
    "bin_sizes": "4,6,8,10",
    "magnification": 6.0,
    "contrast_threshold": 0.005,
    "max_side": 480,
    "reduce": 64,
    "whiten": False,
    "position_weight": 0.0,
    "mirror": "no",
    "power": 0.5,
    "grids": "1x1,1x3,2x2",
    "census": False,
    "classifier": "linear-svm",
    "fit": 2,
    "color": "gray",
    "color_channel": False,
    "color_size": 3,
    "color_reduce": 48,
    "features": "dense-sift",
    "patch_size": 6,
    "patch_step": 1,
    "patch_grids": "3x3",
    "overlap": True,
    "nearness": 0.6,
}
_OTHERS: dict[str, dict[str, Value]] = {
    "bow": {},
    "fast": {
        "size": 2,
        "sample": "small",
        "step": 8,
        "bin_sizes": "4,8",
        "mirror": "pairs",
        "grids": "1x1,2x2",
        "color_size": 2,
        "color_reduce": 32,
    },
    "fisher": {
        "encoder": "fisher",
        "step": 8,
        "bin_sizes": "4,6,8,12,16",
        "magnification": 0.0,
        "contrast_threshold": 0.0,
        "whiten": True,
        "position_weight": 4.0,
        "mirror": "pairs",
    },
    "patches": {"features": "patches", "size": 2, "max_side": 480, "mirror": "twice"},
}


def place_of(preset: str, *, colored: bool) -> dict[str, Value]:
    """Return the genes of a preset: "bow", "fast", "fisher" or "patches"; with a channel for colour where it has one.

    Examples
    --------
    >>> from cvbow.tuning.space import place_of, recipe_of
    >>> recipe_of(place_of("fast", colored=True)).settings["channels"]
    ('local', 'color')
    """
    return {**_BOW, **_OTHERS[preset], "color_channel": colored and preset in ("fast", "fisher")}


def recipe_of(chosen: Mapping[str, Value]) -> Preset:
    """Return the recipe of genes, by name; such as are not said are those of the preset "bow"."""
    given = {**_BOW, **chosen}
    settings, classifier = (_patches if given["features"] == "patches" else _words)(given)
    name, parameters = classifier
    settings["classifier"] = name
    return Preset("tuned", _summary(settings, parameters), settings, {}, parameters)


def _words(given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, dict[str, Any]]]:
    encoder = given["encoder"]
    channels = ["local"] + ["color"] * given["color_channel"] + ["census"] * given["census"]
    sample, images, iterations = _SMALL_SAMPLE if given["sample"] == "small" else _SAMPLE.get(encoder, _USUAL_SAMPLE)
    settings: dict[str, Any] = {
        "channels": tuple(channels),
        "max_side": given["max_side"],
        "color": given["color"],
        "step": given["step"],
        "bin_sizes": tuple(map(int, given["bin_sizes"].split(","))),
        "magnification": given["magnification"],
        "contrast_threshold": given["contrast_threshold"],
        "reduce": given["reduce"],
        "whiten": given["whiten"],
        "position_weight": given["position_weight"],
        # LLC's maxima cannot be taken in pairs.
        "mirror": True if encoder == "llc" and given["mirror"] == "pairs" else _MIRROR[given["mirror"]],
        "sample": sample,
        "sample_images": images,
        "encoder": encoder,
        "n_words": _WORDS[encoder][given["size"]],
        "max_iter": iterations,
        "grids": tuple(given["grids"].split(",")),
        "level_weights": "cells",
    }
    if encoder == "llc":
        settings |= {"pooling": "max", "normalization": "none", "level_weights": "equal"}
    if encoder in ("vlad", "fisher"):
        settings["power"] = given["power"]
    if "color" in channels:
        settings["color__reduce"] = given["color_reduce"]
        settings["color__n_words"] = _COLOR_WORDS[encoder][given["color_size"]]
    # The intersection is that of histograms.
    histograms = encoder == "bow" and len(channels) == 1
    kernel = "kernel-ridge" if given["classifier"] == "intersection-svm" and not histograms else given["classifier"]
    return settings, _classifier(kernel, given["fit"])


def _patches(given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, dict[str, Any]]]:
    sample, images, iterations = _SMALL_SAMPLE if given["sample"] == "small" else _PATCH_SAMPLE
    settings: dict[str, Any] = {
        "features": "patches",
        "max_side": 96,
        "step": given["patch_step"],
        "patch_size": given["patch_size"],
        "reduce": "zca",
        "mirror": given["mirror"] != "no",
        "sample": sample,
        "sample_images": images,
        "encoder": "near-words",
        "n_words": _PATCH_WORDS[given["size"]],
        "max_iter": iterations,
        "nearness": given["nearness"],
        "pooling": "sum",
        "normalization": "hellinger",
        "grids": tuple(given["patch_grids"].split(",")),
        "overlap": given["overlap"],
        "pyramid_normalization": "none",
    }
    linear = given["classifier"] == "linear-svm"
    return settings, _classifier("standardized-svm" if linear else "kernel-ridge", given["fit"])


def _classifier(name: str, fit: int) -> tuple[str, dict[str, Any]]:
    return name, {"alpha": _ALPHA[fit]} if name == "kernel-ridge" else {"C": _C[fit]}


def _summary(settings: Mapping[str, Any], classifier: Mapping[str, Any]) -> str:
    """Say a recipe in a line."""
    if settings.get("features") == "patches":
        parts = [f"patches of {settings['patch_size']} every {settings['step']}", f"{settings['n_words']} directions"]
    else:
        scales = ",".join(map(str, settings["bin_sizes"]))
        side = f" of at most {settings['max_side']}" if settings["max_side"] != _BOW["max_side"] else ""
        kind = "SIFT" if settings["color"] == "gray" else f"{settings['color']} SIFT"
        parts = [f"{settings['encoder']} {settings['n_words']}", f"{kind} every {settings['step']} at {scales}{side}"]
        parts += [f"{settings['reduce']}{' white' if settings['whiten'] else ''} dimensions"]
        if settings["position_weight"]:
            parts.append(f"places {settings['position_weight']:g}")
        if settings["encoder"] in ("vlad", "fisher") and settings["power"] != _BOW["power"]:
            parts.append(f"power {settings['power']:g}")
        if "color" in settings["channels"]:
            parts.append(f"colour {settings['color__n_words']}")
        if "census" in settings["channels"]:
            parts.append("census")
    if settings["mirror"]:
        parts.append("mirrored pairs" if settings["mirror"] == "pairs" else "mirrored")
    parts.append("+".join(settings["grids"]) + " overlapping" * settings.get("overlap", False))
    parts.append(" ".join((settings["classifier"], *(f"{key} {value:g}" for key, value in classifier.items()))))
    return ", ".join(parts)
