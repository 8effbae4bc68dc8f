"""The recipes themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PRESETS", "Preset"]


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
    'dense RootSIFT at two scales, 400 words, pyramid 1x1 2x2, linear SVM'
    >>> preset.settings["n_words"], preset.reasons["n_words"]
    (400, 'the time of finding words grows with them')
    """

    name: str
    summary: str
    settings: Mapping[str, Any]
    reasons: Mapping[str, str]
    classifier: Mapping[str, Any] = field(default_factory=dict)


#: What the recipes with Fisher vectors have in common.
_FISHER: dict[str, Any] = {
    "step": 8,
    "bin_sizes": (4, 6, 8, 12, 16),
    "contrast_threshold": 0.0,
    "reduce": 64,
    "whiten": True,
    "position_weight": 4.0,
    "mirror": True,
    "sample": 180_000,
    "encoder": "fisher",
    "n_words": 128,
    "max_iter": 50,
    "grids": ("1x1", "1x3", "2x2"),
    "level_weights": "cells",
}

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "bow",
            "dense RootSIFT at four scales, 1000 words, grids 1x1 2x2 1x3, linear SVM: the default",
            {
                "step": 5,
                "bin_sizes": (4, 6, 8, 10),
                "reduce": 64,
                "n_words": 1000,
                "grids": ("1x1", "2x2", "1x3"),
                "level_weights": "cells",
            },
            {
                "step": "4 costs half as much again; with grids 1x1 2x2 4x4 it had 0.7 points over 6",
                "bin_sizes": "the scales of VLFeat's vl_phow",
                "reduce": "halves the time of finding words, at the same accuracy",
                "n_words": "2000 gain half a point and double the time and the vectors",
                "grids": "quadrants and three bands; as good as Lazebnik's 1x1 2x2 4x4 in 8 cells instead of 21",
                "level_weights": "each grid the same share: 2 points over a share per cell",
            },
        ),
        Preset(
            "fast",
            "dense RootSIFT at two scales, 400 words, pyramid 1x1 2x2, linear SVM",
            {
                "step": 8,
                "bin_sizes": (4, 8),
                "reduce": 64,
                "sample": 60_000,
                "sample_images": 300,
                "n_words": 400,
                "grids": ("1x1", "2x2"),
                "level_weights": "cells",
                "max_iter": 10,
            },
            {
                "step": "a quarter of the descriptors of step 4",
                "bin_sizes": "a fine and a coarse scale; each further one costs as much again",
                "reduce": "halves the time of finding words",
                "sample": "150 descriptors per word are enough for k-means",
                "sample_images": "fewer images are read twice",
                "n_words": "the time of finding words grows with them",
                "grids": "5 cells keep vectors short",
                "level_weights": "each level the same share",
                "max_iter": "k-means has nearly settled by then",
            },
        ),
        Preset(
            "spm",
            "Lazebnik's spatial pyramid as published: SIFT on 16x16 patches, 400 words, intersection kernel",
            {
                "features": "dense-sift",
                "min_side": 300,
                "root": False,
                "step": 8,
                "bin_sizes": (4,),
                "window": "gaussian",
                "n_words": 400,
                "normalization": "none",
                "grids": ("1x1", "2x2", "4x4"),
                "level_weights": (0.25, 0.25, 0.5),
                "pyramid_normalization": "l1",
                "classifier": "intersection-svm",
            },
            {
                "features": "the paper's strong features",
                "min_side": "images in the paper measure about 300 x 250, copies less: a point by cross-validation",
                "root": "plain SIFT, as in the paper",
                "step": "the paper's grid",
                "bin_sizes": "4 bins of 4 pixels: patches of 16 x 16",
                "window": "SIFT's own weighting of the pixels",
                "n_words": "the paper's larger dictionary, M = 400",
                "normalization": "counts, weighed by level",
                "grids": "levels 0 to L = 2",
                "level_weights": "equation 3 of the paper, for a kernel that adds up minima",
                "pyramid_normalization": "histograms over the number of features in the image",
                "classifier": "sum of minima, one against the rest",
                "C": "by cross-validation: a point over 1",
            },
            classifier={"C": 30.0},
        ),
        Preset(
            "llc",
            "locality-constrained linear coding with 1024 words, maxima over the grids 1x1 2x2 4x4, linear SVM",
            {
                "step": 6,
                "bin_sizes": (4, 6, 8),
                "encoder": "llc",
                "n_words": 1024,
                "n_nearest": 5,
                "regularization": 1e-4,
                "pooling": "max",
                "normalization": "none",
                "grids": ("1x1", "2x2", "4x4"),
            },
            {
                "step": "the paper has 8",
                "bin_sizes": "patches of 16, 24 and 32 pixels, as in the paper",
                "encoder": "approximated LLC: codes over the nearest words alone",
                "n_words": "as many as the paper's ScSPM baseline",
                "n_nearest": "the paper's best",
                "regularization": "the authors' code",
                "pooling": "the paper's choice",
                "normalization": "one L2 norm over the whole pyramid, as in the paper",
                "grids": "the paper's pyramid",
            },
        ),
        Preset(
            "vlad",
            "dense RootSIFT at four scales, VLAD on 256 words, pyramid 1x1 1x3 2x2, linear SVM",
            {
                "step": 5,
                "bin_sizes": (4, 6, 8, 10),
                "reduce": 64,
                "encoder": "vlad",
                "n_words": 256,
                "grids": ("1x1", "1x3", "2x2"),
                "level_weights": "cells",
            },
            {
                "step": "as for bow: 4 costs more, 6 is worse",
                "bin_sizes": "as for bow: the scales of vl_phow",
                "reduce": "residuals in 64 dimensions",
                "encoder": "signed square roots, each word's residual at length 1",
                "n_words": "as VLFeat's recognition example",
                "grids": "three bands and quadrants",
                "level_weights": "each grid the same share",
            },
        ),
        Preset(
            "fisher",
            "dense RootSIFT at five scales with positions, Fisher vectors of 128 Gaussians, mirrored, linear SVM",
            _FISHER,
            {
                "step": "4 and 6 take longer and are no better by cross-validation",
                "bin_sizes": "patches from 16 to 64 pixels",
                "contrast_threshold": "plain areas have Gaussians of their own: half a point",
                "reduce": "the mixture's covariances are diagonal, so the dimensions should not depend on each other",
                "whiten": "a quarter of a point",
                "position_weight": "Gaussians know their place in the image",
                "mirror": "a point at twice the time of encoding; the image is described once",
                "sample": "1400 descriptors for a Gaussian",
                "encoder": "improved Fisher vectors: square roots, each cell at length 1",
                "n_words": "256 doubles time and length",
                "max_iter": "expectation maximisation has settled by then",
                "grids": "the whole, three bands and quadrants: a point over the whole alone",
                "level_weights": "each grid the same share",
            },
        ),
        Preset(
            "patches",
            "for tiny images: whitened colour patches of 6x6, soft threshold on 1600 directions, quadrants, linear SVM",
            {
                "features": "patches",
                "max_side": 96,
                "step": 1,
                "patch_size": 6,
                "reduce": "zca",
                "mirror": True,
                "sample": 400_000,
                "sample_images": 10_000,
                "encoder": "soft-threshold",
                "n_words": 1600,
                "max_iter": 10,
                "alpha": 0.25,
                "pooling": "sum",
                "normalization": "hellinger",
                "grids": ("2x2",),
                "pyramid_normalization": "none",
                "classifier": "standardized-svm",
            },
            {
                "features": "for images of about 32x32, in which SIFT finds little",
                "max_side": "a patch of a few pixels is to show some part of a thing",
                "step": "every patch, as in both papers, which lose points with a wider step",
                "patch_size": "the papers'; 5 is worse, 8 no better at 200 images per class",
                "reduce": "neighbouring pixels are alike; the papers' most important step",
                "mirror": "3 points at twice the time",
                "sample": "as in the papers: 250 for a word",
                "sample_images": "few from each",
                "encoder": "4 points over the triangle code on k-means words",
                "n_words": "as in the papers, which gain two points with 4000 or 6000",
                "max_iter": "the words have nearly settled by then",
                "alpha": "the paper's; 0.15 and 0.4 are no better",
                "pooling": "3 points over the maximum",
                "normalization": "square roots of the sums: half a point over the sums",
                "grids": "the papers' quadrants",
                "pyramid_normalization": "the classifier standardises each value",
                "classifier": "each value at the same deviation, as in the papers",
                "C": "by cross-validation at 1000 images per class: a point over 3",
            },
            classifier={"C": 10.0},
        ),
        Preset(
            "best",
            "Fisher vectors and census of five views, a Gaussian kernel for each, kernel ridge: the most accurate and "
            "the slowest",
            {"channels": ("local", "census"), "views": "crops", **_FISHER, "classifier": "kernel-ridge"},
            {
                "channels": "census adds a point to the Fisher vectors; gist adds nothing more",
                "views": "half a point, at five times the work",
                **dict.fromkeys(_FISHER, "as for fisher"),
                "mirror": "of both channels",
                "classifier": "a Gaussian kernel is half a point over a linear one",
                "weights": "of the channels' squared distances over their means, by cross-validation",
                "alpha": "by cross-validation, a little more than for one view",
                "n_components": "0.1 GB in place of 4.5 on 15-Scene, at the same accuracy in two folds",
            },
            classifier={"weights": [0.35, 0.20], "alpha": 0.03, "n_components": 512},
        ),
    )
}
