"""The settings of a recipe: what they mean, where they apply, and how they are written as text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cvbow.backends import BACKENDS, BagEncoder
from cvbow.classify import CLASSIFIERS
from cvbow.dictionary import DICTIONARIES
from cvbow.encoders import ENCODERS
from cvbow.features import DESCRIPTORS, DETECTORS, EXTRACTORS
from cvbow.presets.augmenting import TRANSFORMS
from cvbow.registry import Registry

#: The parts that a recipe chooses by name, and where the names are. A part's own parameters are settings too, such as
#: ``detector__threshold``.
PARTS: dict[str, Registry[Any]] = {
    "features": EXTRACTORS,
    "detector": DETECTORS,
    "descriptor": DESCRIPTORS,
    "encoder": ENCODERS,
    "dictionary": DICTIONARIES,
}


@dataclass(frozen=True)
class Setting:
    """A parameter that a recipe may set.

    Attributes
    ----------
    default : object
        Its value when a recipe does not set it; ``OWN`` is the default of the part that gets it.
    about : str
        What it means, but for the choices.
    parse : callable
        Turns the text of ``--set key=value`` into a value; ValueError says what it must look like.
    where : (str, tuple of str) or (str, str) or None
        Another setting and those of its values with which this one means something, or the name of the parameter that
        a part must have for that; None: always.
    implies : (str, object) or None
        Another setting and the value that it gets where this one is changed and that one is not.
    binary : bool
        Whether it means something for binary descriptors.
    choices : collection of str
        Names that it takes; none where it takes other values too.
    said : bool
        Whether a model's recipe has it where it is the default, too.

    Examples
    --------
    >>> from cvbow.presets import SETTINGS
    >>> SETTINGS["n_words"].meaning, SETTINGS["n_words"].default
    ('words of the dictionary, or Gaussians of the mixture', 1000)
    """

    default: Any
    about: str
    parse: Callable[[str], Any]
    where: tuple[str, tuple[str, ...] | str] | None = None
    implies: tuple[str, Any] | None = None
    binary: bool = True
    choices: Collection[str] = ()
    said: bool = True

    @property
    def meaning(self) -> str:
        """What the setting does, and its choices."""
        return f"{self.about}: {', '.join(self.choices)}" if self.choices else self.about

    @property
    def wanted(self) -> tuple[str, ...]:
        """Values of the other setting for which this one applies."""
        if self.where is None:
            return ()
        key, wanted = self.where
        return PARTS[key].taking(wanted) if isinstance(wanted, str) else wanted

    def applies(self, values: Mapping[str, Any]) -> bool:
        """Tell whether the setting applies, given the values of all settings."""
        if not self.binary and is_binary(values):
            return False
        if self.where is None:
            return True
        key = self.where[0]
        held = chosen_dictionary(values) if key == "dictionary" else values[key]
        held = held if isinstance(held, (tuple, list)) else (held,)
        return SETTINGS[key].applies(values) and any(value in self.wanted for value in held)


def is_binary(values: Mapping[str, Any]) -> bool:
    """Tell whether the words of a recipe are of binary descriptors."""
    kind = DESCRIPTORS.get(values["descriptor"]) if isinstance(values["descriptor"], str) else None
    return kind is not None and kind.is_binary and SETTINGS["descriptor"].applies(values)


def chosen_dictionary(values: Mapping[str, Any]) -> str:
    """Return the name of a recipe's dictionary: the one that is set, or the one that its encoder has in recipes."""
    if values["dictionary"] != OWN:
        return str(values["dictionary"])
    return "binary" if is_binary(values) else ENCODERS[values["encoder"]].recipe_dictionary


#: Value of a setting that leaves a part its own default, which differs between the kinds of that part.
OWN = "default"


_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _parser(convert: Callable[[str], Any], what: str = "text", **words: Any) -> Callable[[str], Any]:
    """Return a parser of what can be converted, and of some words; its ValueError says ``what`` the text must be."""

    def parse(text: str) -> Any:
        try:
            return words[text.lower()] if text.lower() in words else convert(text)
        except (ValueError, KeyError):
            raise ValueError(what) from None

    return parse


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _weights(text: str) -> str | tuple[float, ...]:
    """Parse the name of a rule, or numbers."""
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        return text


_integer = _parser(int, "an integer")
_integers = _parser(lambda text: tuple(map(int, text.split(","))), "integers separated by commas, such as 4,6,8")
_number = _parser(float, "a number")
_flag = _parser(lambda text: _FLAGS[text.lower()], "true or false")
_optional_integer = _parser(int, "an integer or none", none=None)
_optional_text = _parser(str, none=None)
_reduce = _parser(int, "an integer, zca or none", zca="zca", none=None)
_mirror = _parser(lambda text: _FLAGS[text.lower()], "true, false or pairs", pairs="pairs")
_own = _parser(str, **{OWN: OWN})

#: Features of the channels of local features, where they are not those of the setting.
FEATURES_OF = {"color": "color-statistics"}
_LOCAL = ("channels", tuple(name for name, kind in BACKENDS.items() if kind is BagEncoder))
_DENSE = ("features", ("dense-sift",))
_MAP = ("features", "network")
_TO_MAP = ("features", "cnn-feature-map")
_TO_POINTS = ("features", "local-features")

#: Every setting, in the order an image meets them.
SETTINGS: dict[str, Setting] = {
    "channels": Setting(
        ("local",),
        "vectors that are joined, local being features and words, and color the same of local statistics of colour",
        _words,
        choices=BACKENDS,
    ),
    "features": Setting(
        "dense-sift", "points and descriptors of an image", str, ("channels", ("local",)), choices=EXTRACTORS
    ),
    "min_side": Setting(
        None, "enlarge images with a shorter side than this; none: never", _optional_integer, ("features", "min_side")
    ),
    "max_side": Setting(
        480, "shrink images with a longer side than this; none: never", _optional_integer, ("features", "min_side")
    ),
    "network": Setting(
        None,
        "whose feature map has the descriptors: an ONNX file, or a torchvision model",
        _optional_text,
        _MAP,
        _TO_MAP,
    ),
    "layer": Setting(None, "of the network: a feature map", _optional_text, _MAP, _TO_MAP),
    "network_weights": Setting(
        None,
        "of a torchvision model: a file, or a name such as IMAGENET1K_V1; none: its best",
        _optional_text,
        ("features", ("cnn-feature-map",)),
    ),
    "map_normalization": Setting(
        "l2", "of a cell of the feature map: l2, root or none", str, ("features", ("cnn-feature-map",))
    ),
    "engine": Setting(
        "auto", "that runs the network: opencv, onnxruntime, torch, or auto for what is installed", str, _MAP
    ),
    "provider": Setting("cpu", "where the engine computes, such as cuda", str, _MAP),
    "root": Setting(True, "RootSIFT instead of SIFT", _flag, ("features", "root")),
    "color": Setting("gray", "gray, rgb, hsv or opponent", str, _DENSE),
    "space": Setting("lab", "of colour statistics: lab or opponent", str, ("features", "space")),
    "step": Setting(4, "pixels between neighbouring descriptors", _integer, ("features", "step")),
    "bin_sizes": Setting(
        (4, 6, 8, 10), "sides of the spatial bins in pixels, one per scale", _integers, ("features", "bin_sizes")
    ),
    "window": Setting("flat", "flat or gaussian weighting of the pixels", str, ("features", "window")),
    "magnification": Setting(
        6.0, "bin size over the deviation of the smoothing before it", _number, ("features", "magnification")
    ),
    "contrast_threshold": Setting(0.005, "descriptors with less contrast become zero", _number, _DENSE),
    "max_points": Setting(1000, "the strongest keypoints; none: all", _optional_integer, ("features", "max_points")),
    "detector": Setting("sift", "of local features", str, ("features", "detector"), _TO_POINTS, choices=DETECTORS),
    "descriptor": Setting(
        "rootsift", "of local features", str, ("features", "descriptor"), _TO_POINTS, choices=DESCRIPTORS
    ),
    "selection": Setting(
        "strongest", "of the points: strongest, or anms for strong ones all over", str, ("features", "selection")
    ),
    "orientation": Setting(
        "detector", "of the points: by the detector, gradient or upright", str, ("features", "orientation")
    ),
    "magnify": Setting(1.0, "of the patches around the points", _number, ("features", "magnify")),
    "point_size": Setting(
        32.0, "side of the patches around edges, corners and grid points", _number, ("detector", "point_size")
    ),
    "patch_size": Setting(6, "side of a patch in pixels", _integer, ("features", "patch_size")),
    "reduce": Setting(
        None, "descriptors by PCA to so many dimensions, or zca; none: as they are", _reduce, _LOCAL, binary=False
    ),
    "whiten": Setting(False, "PCA scales each dimension to variance 1", _flag, _LOCAL, binary=False),
    "position_weight": Setting(
        0.0, "append the place in the image, times this, to a descriptor", _number, _LOCAL, binary=False
    ),
    "views": Setting("whole", "of an image: whole, or crops for the whole and its four corners", str),
    "mirror": Setting(
        False,
        "let left and right count alike: true encodes the mirror too, pairs learns words in mirrored pairs",
        _mirror,
    ),
    "sample": Setting(200_000, "descriptors that the dictionary is learned from", _integer, _LOCAL),
    "sample_images": Setting(1000, "images that they are drawn from", _integer, _LOCAL),
    "encoder": Setting("bow", "from descriptors to a vector", str, _LOCAL, choices=ENCODERS),
    "dictionary": Setting(
        OWN,
        "of the encoder, which has its own by default",
        str,
        ("encoder", "dictionary"),
        choices=DICTIONARIES,
        said=False,
    ),
    "n_words": Setting(
        1000, "words of the dictionary, or Gaussians of the mixture", _integer, ("dictionary", "n_words")
    ),
    "algorithm": Setting("lloyd", "of k-means: lloyd or mini-batch", str, ("dictionary", "algorithm"), binary=False),
    "init": Setting("random", "start of k-means: random or k-means++", str, ("dictionary", "init"), binary=False),
    "max_iter": Setting(20, "iterations of the dictionary", _integer, ("dictionary", "max_iter")),
    "weighting": Setting("count", "of a word in the histogram: count, binary or tf-idf", str, ("encoder", "weighting")),
    "n_nearest": Setting(5, "words that share a descriptor", _integer, ("encoder", "n_nearest")),
    "regularization": Setting(1e-4, "of the codes of a descriptor", _number, ("encoder", "regularization")),
    "alpha": Setting(0.25, "what is taken off the products with words", _number, ("encoder", "alpha")),
    "nearness": Setting(
        0.6,
        "products with words from which on these are near, over their root mean square",
        _number,
        ("encoder", "nearness"),
    ),
    "pooling": Setting(OWN, "over the points: average, sum or max", _own, ("encoder", "pooling")),
    "power": Setting(0.5, "exponent of the values", _number, ("encoder", ("vlad", "fisher"))),
    "normalization": Setting(OWN, "of a cell's vector: hellinger, l1, l2, power or none; by encoder", _own, _LOCAL),
    "grids": Setting(("1x1", "2x2", "4x4"), "spatial pyramid, columns x rows", _words, _LOCAL),
    "level_weights": Setting("equal", "of the grids: equal, cells, lazebnik, or a number for each", _weights, _LOCAL),
    "pyramid_normalization": Setting("l2", "of the whole pyramid: l2, l1 or none", str, _LOCAL),
    "overlap": Setting(False, "let the cells of grids reach half-way into their neighbours", _flag, _LOCAL, said=False),
    "shorten": Setting(
        None,
        "vectors of a channel to about so many values, by directions of their parts; none: as they are",
        _optional_integer,
    ),
    "augment": Setting(0, "randomly transformed copies of each image that the classifier learns from too", _integer),
    "augment_with": Setting(
        ("mirror", "rotate", "shift", "zoom"), "of the copies, each or none at random", _words, choices=TRANSFORMS
    ),
    "classifier": Setting("linear-svm", "of the vectors", str, choices=CLASSIFIERS),
    "random_state": Setting(0, "seed of the sample and of the dictionary", _integer),
}


def parse_setting(text: str) -> tuple[str, Any]:
    """Turn the text ``key=value`` into a key and a value of the key's type.

    A key that is not a setting, nor one of a channel (``color__n_words``), is taken for a parameter of a part
    (``detector__threshold``) or of the classifier: its value is a number, numbers separated by commas, true, false,
    none, or text.

    Raises
    ------
    ValueError
        If there is no ``=``, or the value cannot be what the key stands for.

    Examples
    --------
    >>> from cvbow.presets import parse_setting
    >>> parse_setting("n_words=500"), parse_setting("grids=1x1,2x2")
    (('n_words', 500), ('grids', ('1x1', '2x2')))
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key:
        raise ValueError(f"a setting must look like key=value, got {text!r}")
    channel, _, inner = key.partition("__")
    setting = SETTINGS.get(inner if BACKENDS.get(channel) is BagEncoder else key)
    if setting is not None:
        try:
            return key, setting.parse(value)
        except ValueError as error:
            raise ValueError(f"{key} must be {error}, got {value!r}") from None
    plain = {"none": None, "true": True, "false": False}
    if value.lower() in plain:
        return key, plain[value.lower()]
    for convert in (int, float, lambda text: [float(part) for part in text.split(",")]):
        try:
            return key, convert(value)
        except ValueError:
            continue
    return key, value
