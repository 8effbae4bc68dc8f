"""From a recipe to an unfitted model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from cvbow._checks import check_choice, check_int, check_part
from cvbow.classify import CLASSIFIERS, ImageClassifier, make_classifier
from cvbow.presets.augmenting import make_augmenter
from cvbow.presets.recipes import PRESETS
from cvbow.presets.settings import OWN, SETTINGS, Setting, is_binary

__all__ = ["make_model", "resolve"]


def resolve(preset: str = "bow", settings: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all settings of a recipe, and what is left over for the classifier.

    Parameters
    ----------
    preset : str
        A key of ``PRESETS``.
    settings : mapping, optional
        Changes: keys of ``SETTINGS``; parameters of the recipe's detector or descriptor (``detector__threshold``) or of
        its classifier (``C``).

    Raises
    ------
    ValueError
        If the preset or a key is unknown, or a change means nothing to the recipe; the message lists the choices.

    Examples
    --------
    >>> from cvbow.presets import resolve
    >>> settings, for_classifier = resolve("fast", {"n_words": 200, "C": 3.0})
    >>> settings["n_words"], for_classifier["C"]
    (200, 3.0)
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    resolved = {key: setting.default for key, setting in SETTINGS.items()} | dict(PRESETS[preset].settings)
    changes = dict(settings or {})
    for_classifier = {key: changes.pop(key) for key in list(changes) if _setting_of(key) is None}
    for key in changes:
        implied = _setting(key).implies
        if implied is not None:
            resolved[implied[0]] = implied[1]
    resolved |= changes
    if not _can_mirror(resolved) and "mirror" not in changes:
        resolved["mirror"] = False
    for key, value in changes.items():
        setting = _setting(key)
        # To say that binary descriptors are not to be reduced is to say what is so.
        if not setting.applies(resolved) and (setting.binary or value != setting.default):
            raise ValueError(_out_of_place(key, resolved))
    if for_classifier:
        _check_classifier_keys(resolved["classifier"], for_classifier)
    if resolved["classifier"] == PRESETS[preset].settings.get("classifier", SETTINGS["classifier"].default):
        for_classifier = dict(PRESETS[preset].classifier) | for_classifier
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
    >>> from cvbow import make_model
    >>> model = make_model("fast", settings={"n_words": 200, "C": 1.0})
    >>> model.backend.encoder.encoder.dictionary.n_words
    200
    """
    values, for_classifier = resolve(preset, settings)
    classifier = make_classifier(values["classifier"], **for_classifier)
    backend = _backend(values, n_jobs, memory)
    backend.check_params()
    check_part(classifier)
    recipe = {"preset": preset, **{key: value for key, value in values.items() if _setting(key).applies(values)}}
    for key, value in {**CLASSIFIERS[values["classifier"]].defaults, **for_classifier}.items():
        # Some of a classifier's parameters have the name of a setting: max_iter, random_state, algorithm.
        recipe[f"classifier_{key}" if key in SETTINGS else key] = value
    recipe = {key: list(value) if isinstance(value, tuple) else value for key, value in recipe.items()}
    copies = values["augment"]
    check_int("augment", copies, minimum=0)
    augmenter = make_augmenter(values["augment_with"])
    return ImageClassifier(
        backend,
        classifier,
        recipe=recipe,
        augmenter=augmenter if copies else None,
        n_augmented=copies,
        augment_seed=values["random_state"],
    )


def _backend(values: Mapping[str, Any], n_jobs: int | None, memory: Any) -> Any:
    from cvbow.backends import CensusPyramid, ChannelUnion, Gist, MultiCrop

    channels = tuple(values["channels"])
    made: dict[str, Any] = {}
    for channel in channels:
        check_choice("channels", channel, ("local", "census", "gist"))
        if channel == "local":
            made[channel] = _local(values)
        else:
            made[channel] = (CensusPyramid if channel == "census" else Gist)(mirror=values["mirror"])
    if not channels or len(made) < len(channels):
        raise ValueError(f"channels must be at least one of local, census, gist, each once, got {channels!r}")
    backend = made[channels[0]] if len(made) == 1 else ChannelUnion(list(made.items()))
    check_choice("views", values["views"], ("whole", "crops"))
    if values["views"] == "crops":
        backend = MultiCrop(backend)
    return backend.set_params(n_jobs=n_jobs, memory=memory)


def _local(values: Mapping[str, Any]) -> Any:
    """Build the backend of local features and a dictionary."""
    from cvbow.backends import BagEncoder
    from cvbow.encoders import SpatialPyramid

    encoder = _encoder(values)
    if tuple(values["grids"]) != ("1x1",):
        encoder = SpatialPyramid(
            encoder,
            grids=values["grids"],
            level_weights=values["level_weights"],
            normalization=values["pyramid_normalization"],
        )
    return _pick(BagEncoder, values, extractor=_extractor(values), encoder=encoder, reduce=_reduce(values))


def _extractor(values: Mapping[str, Any]) -> Any:
    from cvbow.features import SIFT, CnnFeatureMap, DenseSIFT, LocalFeatures, WhitenedPatches

    kinds: dict[str, Any] = {
        "dense-sift": DenseSIFT,
        "sift": SIFT,
        "patches": WhitenedPatches,
        "local-features": LocalFeatures,
        "cnn-feature-map": CnnFeatureMap,
    }
    check_choice("features", values["features"], kinds)
    if values["features"] == "local-features":
        return _pick(LocalFeatures, values, detector=_detector(values), descriptor=_descriptor(values))
    if values["features"] == "cnn-feature-map":
        # The setting of the name normalization is the encoder's; weights may be a classifier's.
        own = {"weights": values["network_weights"], "normalization": values["map_normalization"]}
        return _pick(CnnFeatureMap, values, **own)
    return _pick(kinds[values["features"]], values)


def _detector(values: Mapping[str, Any]) -> Any:
    """Return a detector's name, or where it gets parameters, the detector."""
    from cvbow.features import make_detector

    options = _own_parameters("detector", values)
    if SETTINGS["point_size"].applies(values):
        options = {"point_size": values["point_size"], **options}
    return make_detector(values["detector"]).set_params(**options) if options else values["detector"]


def _descriptor(values: Mapping[str, Any]) -> Any:
    from cvbow.features import make_descriptor

    options = _own_parameters("descriptor", values)
    return make_descriptor(values["descriptor"]).set_params(**options) if options else values["descriptor"]


def _own_parameters(part: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(f"{part}__"): value for key, value in values.items() if key.startswith(f"{part}__")}


def _setting_of(key: str) -> Setting | None:
    """Return the setting of a key, or of the part whose parameter it is; None for one of the classifier."""
    part, is_nested, _ = key.partition("__")
    return SETTINGS.get(part) if not is_nested or part in ("detector", "descriptor") else None


def _setting(key: str) -> Setting:
    return SETTINGS[key.partition("__")[0]]


def _can_mirror(values: Mapping[str, Any]) -> bool:
    """Tell whether features of an image give those of its mirror; where they do not, a recipe does without."""
    return "local" not in values["channels"] or values["features"] in ("dense-sift", "patches")


def _reduce(values: Mapping[str, Any]) -> Any:
    if values["reduce"] is None or not SETTINGS["reduce"].applies(values):
        return None
    if values["reduce"] == "zca":
        from cvbow.dictionary import ZCA

        return ZCA()
    from sklearn.decomposition import PCA

    # The covariance's eigenvectors are exact and the same on every run; the default solver may draw at random.
    return PCA(values["reduce"], whiten=values["whiten"], svd_solver="covariance_eigh")


def _encoder(values: Mapping[str, Any]) -> Any:
    from cvbow import dictionary, encoders

    words: Any = dictionary.KMeansDictionary
    kinds: dict[str, tuple[Any, Any]] = {
        "bow": (encoders.BagOfWords, words),
        "kernel-codebook": (encoders.KernelCodebook, words),
        "llc": (encoders.LLC, words),
        "triangle": (encoders.Triangle, words),
        "soft-threshold": (encoders.SoftThreshold, dictionary.SphericalDictionary),
        "vlad": (encoders.VLAD, words),
        "fisher": (encoders.FisherVector, dictionary.GaussianMixtureDictionary),
    }
    check_choice("encoder", values["encoder"], kinds)
    encoder, words = kinds[values["encoder"]]
    if is_binary(values):
        if values["encoder"] != "bow":
            raise ValueError(
                f"encoder must be bow for the descriptor {values['descriptor']}, got {values['encoder']!r}: it is "
                "binary, and the other encoders reckon with differences, which bits do not have"
            )
        words = dictionary.BinaryDictionary
    return _pick(encoder, values, dictionary=_pick(words, values))


def _pick(kind: Any, values: Mapping[str, Any], **parts: Any) -> Any:
    """Build an estimator from its parts and those settings that are its parameters and mean something to it."""
    parameters = inspect.signature(kind.__init__).parameters
    chosen = {
        key: value
        for key, value in values.items()
        if key in parameters and key not in parts and value != OWN and SETTINGS[key].applies(values)
    }
    return kind(**chosen, **parts)


def _check_classifier_keys(classifier: str, parameters: Mapping[str, Any]) -> None:
    for key, value in parameters.items():
        try:
            make_classifier(classifier, **{key: value})
        except ValueError as error:
            if "has no parameter" not in str(error):
                raise
            raise ValueError(f"unknown setting {key}; settings are {', '.join(SETTINGS)}; {error}") from None


def _out_of_place(key: str, values: Mapping[str, Any]) -> str:
    """Say which setting keeps another from meaning anything."""
    if not _setting(key).binary and is_binary(values):
        return f"{key} means nothing with the descriptor {values['descriptor']}, which is binary: its words are too"
    where = _setting(key).where
    while where is not None and not SETTINGS[where[0]].applies(values):
        where = SETTINGS[where[0]].where
    other, wanted = where or ("", ())
    held = values[other] if isinstance(values[other], str) else ", ".join(values[other])
    return f"{key} means something only where {other} is {' or '.join(wanted)}; it is {held}"
