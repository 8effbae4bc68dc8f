"""The recipes themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: A value, and why it is that.
_Reasoned = tuple[Any, str]


@dataclass(frozen=True)
class Preset:
    """A recipe: what it sets, and why.

    Attributes
    ----------
    name, summary : str
    settings : mapping
        Values that differ from the defaults of ``SETTINGS``, or matter enough to be said.
    reasons : mapping
        Why, for each of them and for each parameter of the classifier.
    classifier : mapping
        Parameters of the recipe's classifier that differ from the registry's; another classifier does not get them.

    Examples
    --------
    >>> from cvbow import PRESETS
    >>> preset = PRESETS["fast"]
    >>> preset.summary
    'dense RootSIFT at two scales, and colour where there is any, 200 mirrored pairs of words, linear SVM'
    >>> preset.settings["n_words"], preset.reasons["n_words"]
    (400, 'the time of finding words grows with them')
    """

    name: str
    summary: str
    settings: Mapping[str, Any]
    reasons: Mapping[str, str]
    classifier: Mapping[str, Any] = field(default_factory=dict)


def _recipe(
    name: str, summary: str, settings: Mapping[str, _Reasoned], classifier: Mapping[str, _Reasoned] | None = None
) -> Preset:
    """Return a preset of values that stand beside their reasons."""
    own = classifier or {}
    reasons = {key: reason for key, (_, reason) in (*settings.items(), *own.items())}
    return Preset(name, summary, _values(settings), reasons, _values(own))


def _values(reasoned: Mapping[str, _Reasoned]) -> dict[str, Any]:
    return {key: value for key, (value, _) in reasoned.items()}


#: Of the recipes with Fisher vectors.
_FISHER: dict[str, _Reasoned] = {
    "step": (8, "4 and 6 take longer and are no better by cross-validation"),
    "bin_sizes": ((4, 6, 8, 12, 16), "patches from 16 to 64 pixels"),
    "magnification": (0.0, "no smoothing: a point on scenes and flowers, and all scales share their gradients"),
    "contrast_threshold": (0.0, "plain areas have Gaussians of their own: half a point"),
    "reduce": (64, "the mixture's covariances are diagonal, so the dimensions should not depend on each other"),
    "whiten": (True, "a quarter of a point"),
    "position_weight": (4.0, "Gaussians know their place in the image"),
    "mirror": ("pairs", "as good as encoding the mirror too, at half the time and half the values"),
    "sample": (180_000, "1400 descriptors for a Gaussian"),
    "encoder": ("fisher", "improved Fisher vectors: square roots, each cell at length 1"),
    "n_words": (128, "64 mirrored pairs; 192 gain 0.4 points and take half as much again of time and length"),
    "max_iter": (50, "expectation maximisation has settled by then"),
    "grids": (("1x1", "1x3", "2x2"), "the whole, three bands and quadrants: a point over the whole alone"),
    "level_weights": ("cells", "each grid the same share"),
    "color__reduce": (48, "of 96 values; 32 and 64 are no better by cross-validation"),
    "color__n_words": (64, "128 are no better beside SIFT"),
}

#: Of visual words as in textbooks.
_BOW: dict[str, _Reasoned] = {
    "step": (5, "4 costs half as much again; with grids 1x1 2x2 4x4 it had 0.7 points over 6"),
    "bin_sizes": ((4, 6, 8, 10), "the scales of VLFeat's vl_phow"),
    "reduce": (64, "halves the time of finding words, at the same accuracy"),
    "n_words": (1000, "2000 gain half a point and double the time and the vectors"),
    "grids": (
        ("1x1", "2x2", "1x3"),
        "quadrants and three bands; as good as Lazebnik's 1x1 2x2 4x4 in 8 cells instead of 21",
    ),
    "level_weights": ("cells", "each grid the same share: 2 points over a share per cell"),
}

#: What ``auto`` and ``fast`` change where the images are in colour: SIFT sees gray alone.
IN_COLOR: dict[str, Any] = {"channels": ("local", "color")}
#: What ``best`` changes there.
BEST_IN_COLOR: dict[str, Any] = {"channels": ("local", "color", "census")}

_RECIPES = (
    _recipe(
        "auto",
        "the default: `patches` for tiny images, else `fisher`, both channels where there is colour; with very many "
        "images shorter vectors, or `fast`",
        {key: (value, "as for bow, which it is where settings name parts") for key, (value, _) in _BOW.items()},
    ),
    _recipe("bow", "the textbook: dense RootSIFT at four scales, 1000 words, grids 1x1 2x2 1x3, linear SVM", _BOW),
    _recipe(
        "fast",
        "dense RootSIFT at two scales, and colour where there is any, 200 mirrored pairs of words, linear SVM",
        {
            "step": (8, "a quarter of the descriptors of step 4"),
            "bin_sizes": ((4, 8), "a fine and a coarse scale; each further one costs as much again"),
            "reduce": (64, "halves the time of finding words"),
            "sample": (60_000, "150 descriptors per word are enough for k-means"),
            "sample_images": (300, "fewer images are read twice"),
            "mirror": ("pairs", "two points on scenes, and half the values"),
            "n_words": (400, "the time of finding words grows with them"),
            "grids": (("1x1", "2x2"), "5 cells keep vectors short"),
            "level_weights": ("cells", "each level the same share"),
            "max_iter": (10, "k-means has nearly settled by then"),
            "color__reduce": (32, "of 96 values: as good as 64"),
            "color__n_words": (200, "as good as 400"),
        },
    ),
    _recipe(
        "spm",
        "Lazebnik's spatial pyramid as published: SIFT on 16x16 patches, 400 words, intersection kernel",
        {
            "features": ("dense-sift", "the paper's strong features"),
            "min_side": (300, "images in the paper measure about 300 x 250, copies less: a point by cross-validation"),
            "root": (False, "plain SIFT, as in the paper"),
            "step": (8, "the paper's grid"),
            "bin_sizes": ((4,), "4 bins of 4 pixels: patches of 16 x 16"),
            "window": ("gaussian", "SIFT's own weighting of the pixels"),
            "n_words": (400, "the paper's larger dictionary, M = 400"),
            "normalization": ("none", "counts, weighed by level"),
            "grids": (("1x1", "2x2", "4x4"), "levels 0 to L = 2"),
            "level_weights": ((0.25, 0.25, 0.5), "equation 3 of the paper, for a kernel that adds up minima"),
            "pyramid_normalization": ("l1", "histograms over the number of features in the image"),
            "classifier": ("intersection-svm", "sum of minima, one against the rest"),
        },
        {"C": (30.0, "by cross-validation: a point over 1")},
    ),
    _recipe(
        "llc",
        "locality-constrained linear coding with 1024 words, maxima over the grids 1x1 2x2 4x4, linear SVM",
        {
            "step": (6, "the paper has 8"),
            "bin_sizes": ((4, 6, 8), "patches of 16, 24 and 32 pixels, as in the paper"),
            "encoder": ("llc", "approximated LLC: codes over the nearest words alone"),
            "n_words": (1024, "as many as the paper's ScSPM baseline"),
            "n_nearest": (5, "the paper's best"),
            "regularization": (1e-4, "the authors' code"),
            "pooling": ("max", "the paper's choice"),
            "normalization": ("none", "one L2 norm over the whole pyramid, as in the paper"),
            "grids": (("1x1", "2x2", "4x4"), "the paper's pyramid"),
        },
    ),
    _recipe(
        "vlad",
        "dense RootSIFT at four scales, VLAD on 256 words, pyramid 1x1 1x3 2x2, linear SVM",
        {
            "step": (5, "as for bow: 4 costs more, 6 is worse"),
            "bin_sizes": ((4, 6, 8, 10), "as for bow: the scales of vl_phow"),
            "reduce": (64, "residuals in 64 dimensions"),
            "encoder": ("vlad", "signed square roots, each word's residual at length 1"),
            "n_words": (256, "as VLFeat's recognition example"),
            "grids": (("1x1", "1x3", "2x2"), "three bands and quadrants"),
            "level_weights": ("cells", "each grid the same share"),
        },
    ),
    _recipe(
        "fisher",
        "dense RootSIFT at five scales with positions, Fisher vectors of 64 mirrored pairs of Gaussians, linear SVM",
        _FISHER,
    ),
    _recipe(
        "patches",
        "for tiny images: whitened colour patches, those near each of 800 directions, overlapping cells, linear SVM",
        {
            "features": ("patches", "for images of about 32x32, in which SIFT finds little"),
            "max_side": (96, "a patch of a few pixels is to show some part of a thing"),
            "step": (1, "every patch, as in both papers, which lose points with a wider step"),
            "patch_size": (6, "the papers'; 5 is worse, 8 no better at 200 images per class"),
            "reduce": ("zca", "neighbouring pixels are alike; the papers' most important step"),
            "mirror": (True, "3 points at twice the time"),
            "sample": (200_000, "as in the papers: 250 for a word"),
            "sample_images": (10_000, "few from each"),
            "encoder": ("near-words", "with few words and few images 2 points over the soft threshold"),
            "n_words": (800, "1600 gain 0.8 points at 1000 images per class, at twice the time and the values"),
            "max_iter": (10, "the words have nearly settled by then"),
            "nearness": (0.6, "a quarter of the words; as good as a fifth, and a point over the paper's 40 %"),
            "pooling": ("sum", "3 points over the maximum"),
            "normalization": ("hellinger", "square roots of the sums: half a point over the sums"),
            "grids": (("3x3",), "two points over the papers' quadrants, with cells that overlap"),
            "overlap": (True, "cells half as wide and high as the image: a point over thirds"),
            "pyramid_normalization": ("none", "the classifier standardises each value"),
            "classifier": ("standardized-svm", "each value at the same deviation, as in the papers"),
        },
        {"C": (3.0, "by cross-validation at 1000 images per class, where 1 and 10 are worse")},
    ),
    _recipe(
        "best",
        "Fisher vectors, census and colour where there is any, of five views; what of these helps is learned, and the "
        "widths of their Gaussian kernels; kernel ridge: the most accurate and the slowest",
        {
            "channels": (("local", "census"), "census adds a point to the Fisher vectors; gist adds nothing more"),
            "views": ("crops", "a point; learned is whether to learn from them, and whether to answer by them"),
            **{key: (value, "as for fisher") for key, (value, _) in _FISHER.items()},
            "bin_sizes": ((3, 4, 6, 8, 12, 16, 24), "a finer and a coarser scale than fisher: 0.8 points"),
            "shorten": (1024, "of 67,584, which would fill the memory: 0.1 to 0.4 points less than all of them"),
            "classifier": ("kernel-ridge", "a Gaussian kernel is half a point over a linear one"),
        },
        {
            "weights": (
                "learned",
                "channels, views and widths of the kernel are worth more on some images than on others",
            ),
            "alpha": (0.03, "or 4 or 16 times as much, whichever answers best for images that are left out"),
            "n_landmarks": (
                3000,
                "as good as all 7,500 views of 15-Scene; the work grows with the images, not their cube",
            ),
        },
    ),
)
PRESETS: dict[str, Preset] = {preset.name: preset for preset in _RECIPES}
