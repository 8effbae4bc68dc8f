"""Named recipes: every number of a pipeline from image to class, with the reason beside it.

A recipe is a flat table of settings, so that one can be looked at in ``cvbow info``, changed on the command line with
``--set key=value``, and written in a benchmark definition. ``make_model`` builds the model from it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cvbow.classify import CLASSIFIERS, ImageClassifier, make_classifier

__all__ = ["PRESETS", "SETTINGS", "Preset", "Setting", "make_model", "parse_setting", "resolve"]


@dataclass(frozen=True)
class Setting:
    """A parameter that a recipe may set.

    Attributes
    ----------
    default : object
        Its value when a recipe does not set it.
    meaning : str
    parse : callable
        Turns the text of ``--set key=value`` into a value; ValueError says what it must look like.
    """

    default: Any
    meaning: str
    parse: Callable[[str], Any]


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("an integer") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number") from None


def _flag(text: str) -> bool:
    values = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in values:
        raise ValueError("true or false")
    return values[text.lower()]


def _optional_integer(text: str) -> int | None:
    try:
        return None if text.lower() == "none" else int(text)
    except ValueError:
        raise ValueError("an integer or none") from None


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError("integers separated by commas, such as 4,6,8") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


#: Every setting, in the order an image meets them.
SETTINGS: dict[str, Setting] = {
    "features": Setting("dense-sift", "where descriptors come from: dense-sift, or sift for keypoints", str),
    "min_side": Setting(None, "enlarge images whose shorter side has fewer pixels; none: never", _optional_integer),
    "max_side": Setting(480, "shrink images whose longer side has more pixels; none: never", _optional_integer),
    "root": Setting(True, "RootSIFT instead of SIFT", _flag),
    "step": Setting(4, "dense-sift: pixels between neighbouring descriptors", _integer),
    "bin_sizes": Setting((4, 6, 8, 10), "dense-sift: sides of the spatial bins in pixels, one per scale", _integers),
    "window": Setting("flat", "dense-sift: flat or gaussian weighting of the pixels", str),
    "contrast_threshold": Setting(0.005, "dense-sift: descriptors with less contrast become zero", _number),
    "max_points": Setting(1000, "sift: keep this many keypoints, the strongest; none: all", _optional_integer),
    "reduce": Setting(None, "PCA to this many dimensions before the dictionary; none: as they are", _optional_integer),
    "whiten": Setting(False, "PCA scales each dimension to variance 1", _flag),
    "position_weight": Setting(0.0, "append the place in the image to a descriptor, times this", _number),
    "sample": Setting(200_000, "descriptors that the dictionary is learned from", _integer),
    "sample_images": Setting(1000, "images that they are drawn from", _integer),
    "n_words": Setting(1000, "words in the dictionary", _integer),
    "algorithm": Setting("lloyd", "k-means: lloyd or mini-batch", str),
    "init": Setting("random", "start of k-means: random or k-means++", str),
    "max_iter": Setting(20, "iterations of k-means", _integer),
    "weighting": Setting("count", "of a word in the histogram: count, binary or tf-idf", str),
    "normalization": Setting("hellinger", "of a histogram: hellinger, l1, l2, power or none", str),
    "grids": Setting(("1x1", "2x2", "4x4"), "spatial pyramid, columns x rows", _words),
    "level_weights": Setting("equal", "of the pyramid's grids: equal, cells or lazebnik", str),
    "classifier": Setting("linear-svm", f"one of {', '.join(CLASSIFIERS)}", str),
    "random_state": Setting(0, "seed of the sample and of the dictionary", _integer),
}


@dataclass(frozen=True)
class Preset:
    """A recipe: what it sets, and why.

    Attributes
    ----------
    name, summary : str
    settings : mapping
        Values that differ from the defaults of ``SETTINGS``, or matter enough to be said.
    reasons : mapping
        Why, for each of them.
    """

    name: str
    summary: str
    settings: Mapping[str, Any]
    reasons: Mapping[str, str]


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "bow",
            "dense RootSIFT at four scales, 1000 words, grids 1x1 2x2 1x3, linear SVM",
            {
                "step": 5,
                "bin_sizes": (4, 6, 8, 10),
                "reduce": 64,
                "n_words": 1000,
                "normalization": "hellinger",
                "grids": ("1x1", "2x2", "1x3"),
                "level_weights": "cells",
            },
            {
                "step": "4 costs half as much again; with grids 1x1 2x2 4x4 it had 0.7 points over 6",
                "bin_sizes": "the scales of VLFeat's vl_phow",
                "reduce": "halves the time of finding words, at the same accuracy",
                "n_words": "2000 gain half a point and double the time and the vectors",
                "normalization": "square roots suit a linear SVM (Hellinger kernel): 4 points over L2",
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
    )
}


def resolve(preset: str = "bow", settings: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all settings of a recipe, and what is left over for the classifier.

    Parameters
    ----------
    preset : str
        A key of ``PRESETS``.
    settings : mapping, optional
        Changes: keys of ``SETTINGS``, or parameters of the recipe's classifier (``C``).

    Raises
    ------
    ValueError
        If the preset or a key is unknown; the message lists the choices.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    resolved = {key: setting.default for key, setting in SETTINGS.items()} | dict(PRESETS[preset].settings)
    changes = dict(settings or {})
    for_classifier = {key: changes.pop(key) for key in list(changes) if key not in SETTINGS}
    resolved |= changes
    if for_classifier:
        _check_classifier_keys(resolved["classifier"], for_classifier)
    return resolved, for_classifier


def make_model(
    preset: str = "bow",
    *,
    settings: Mapping[str, Any] | None = None,
    n_jobs: int | None = -1,
    memory: Any = None,
) -> ImageClassifier:
    """Build the unfitted model of a recipe.

    Parameters
    ----------
    preset : str, default "bow"
        A key of ``PRESETS``.
    settings : mapping, optional
        Changes to it; keys of ``SETTINGS`` or parameters of the classifier.
    n_jobs : int or None, default -1
        Workers, by joblib's convention.
    memory : str, path, joblib.Memory or None, default None
        Cache; see ``BagEncoder``.

    Raises
    ------
    ValueError
        If the preset or a key is unknown, or a value breaks its rule.

    Examples
    --------
    >>> model = make_model("fast", settings={"n_words": 200, "C": 1.0})
    >>> model.backend.encoder.encoder.dictionary.n_words
    200
    """
    values, for_classifier = resolve(preset, settings)
    classifier = make_classifier(values["classifier"], **for_classifier)
    backend = _backend(values, n_jobs, memory)
    backend._validate()
    getattr(classifier, "_validate", lambda: None)()
    recipe = {"preset": preset, **values}
    for key, value in {**CLASSIFIERS[values["classifier"]].defaults, **for_classifier}.items():
        # Some of a classifier's parameters have the name of a setting: max_iter, random_state, algorithm.
        recipe[f"classifier_{key}" if key in SETTINGS else key] = value
    recipe = {key: list(value) if isinstance(value, tuple) else value for key, value in recipe.items()}
    return ImageClassifier(backend, classifier, recipe=recipe)


def parse_setting(text: str) -> tuple[str, Any]:
    """Turn ``key=value`` into a key and a value of the key's type.

    A key that is not a setting is taken for a parameter of the classifier: its value is a number, true, false, none,
    or text.

    Raises
    ------
    ValueError
        If there is no ``=``, or the value cannot be what the key stands for.
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key:
        raise ValueError(f"a setting must look like key=value, got {text!r}")
    if key in SETTINGS:
        try:
            return key, SETTINGS[key].parse(value)
        except ValueError as error:
            raise ValueError(f"{key} must be {error}, got {value!r}") from None
    plain = {"none": None, "true": True, "false": False}
    if value.lower() in plain:
        return key, plain[value.lower()]
    for convert in (int, float):
        try:
            return key, convert(value)
        except ValueError:
            continue
    return key, value


def _backend(values: Mapping[str, Any], n_jobs: int | None, memory: Any) -> Any:
    from cvbow.backends import BagEncoder
    from cvbow.dictionary import KMeansDictionary
    from cvbow.encoders import BagOfWords, SpatialPyramid

    reduce = None
    if values["reduce"] is not None:
        from sklearn.decomposition import PCA

        # The covariance's eigenvectors are exact and the same on every run; the default solver may draw at random.
        reduce = PCA(values["reduce"], whiten=values["whiten"], svd_solver="covariance_eigh")
    encoder: Any = BagOfWords(_pick(KMeansDictionary, values), **_keywords(BagOfWords, values))
    if tuple(values["grids"]) != ("1x1",):
        encoder = SpatialPyramid(encoder, grids=values["grids"], level_weights=values["level_weights"])
    return BagEncoder(
        _extractor(values),
        encoder,
        reduce=reduce,
        position_weight=values["position_weight"],
        sample=values["sample"],
        sample_images=values["sample_images"],
        n_jobs=n_jobs,
        memory=memory,
        random_state=values["random_state"],
    )


def _extractor(values: Mapping[str, Any]) -> Any:
    from cvbow._checks import check_choice
    from cvbow.features import SIFT, DenseSIFT

    kinds = {"dense-sift": DenseSIFT, "sift": SIFT}
    check_choice("features", values["features"], kinds)
    kind = kinds[values["features"]]
    # The keypoint detector's contrast threshold has another unit than the grid's.
    left_out = ("contrast_threshold",) if kind is SIFT else ()
    return _pick(kind, {key: value for key, value in values.items() if key not in left_out})


def _pick(kind: Any, values: Mapping[str, Any]) -> Any:
    """Build an estimator from those settings that are its parameters."""
    return kind(**_keywords(kind, values))


def _keywords(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(kind.__init__).parameters
    return {key: value for key, value in values.items() if key in parameters}


def _check_classifier_keys(classifier: str, parameters: Mapping[str, Any]) -> None:
    for key, value in parameters.items():
        try:
            make_classifier(classifier, **{key: value})
        except ValueError as error:
            if "has no parameter" not in str(error):
                raise
            raise ValueError(f"unknown setting {key}; settings are {', '.join(SETTINGS)}; {error}") from None
