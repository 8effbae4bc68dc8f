"""From a recipe to an unfitted model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from cvbow._checks import check_choice, check_int, check_part
from cvbow.backends import BACKENDS, BagEncoder, ChannelUnion, MultiCrop, Shortened
from cvbow.classify import CLASSIFIERS, ImageClassifier, make_classifier
from cvbow.dictionary import DICTIONARIES, ZCA, MirrorPCA
from cvbow.encoders import ENCODERS, SpatialPyramid
from cvbow.errors import did_you_mean
from cvbow.features import EXTRACTORS, CnnFeatureMap, Extractor
from cvbow.features.registry import as_object
from cvbow.presets.augmenting import make_augmenter
from cvbow.presets.files import find_preset
from cvbow.presets.recipes import Preset
from cvbow.presets.settings import FEATURES_OF, OWN, PARTS, SETTINGS, Setting, chosen_dictionary, is_binary
from cvbow.registry import parameters_of


def resolve(
    preset: str | Preset = "bow", settings: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all settings of a recipe, and what is left over for the classifier.

    Parameters
    ----------
    preset : str or Preset
        A name that ``find_preset`` knows, or a recipe itself.
    settings : mapping, optional
        Changes: keys of ``SETTINGS``; parameters of the recipe's parts (``detector__threshold``; also of ``features``,
        ``descriptor``, ``encoder``, ``dictionary`` and of channels by their names) or of its classifier (``C``). A
        channel of local features has the recipe's settings, and ``color__n_words`` is that of the channel alone.

    Raises
    ------
    ValueError
        If the preset or a key is unknown, or a change does not apply to the recipe; the message lists the choices.

    Examples
    --------
    >>> from cvbow.presets import resolve
    >>> settings, for_classifier = resolve("fast", {"n_words": 200, "C": 3.0})
    >>> settings["n_words"], for_classifier["C"]
    (200, 3.0)
    """
    recipe = preset if isinstance(preset, Preset) else find_preset(preset)
    resolved = {key: setting.default for key, setting in SETTINGS.items()} | dict(recipe.settings)
    changes = dict(settings or {})
    for_classifier = {key: changes.pop(key) for key in list(changes) if _setting_of(key) is None}
    for key in changes:
        implied = _setting(key).implies
        if implied is not None:
            resolved[implied[0]] = implied[1]
    resolved |= changes
    if "mirror" not in changes:
        resolved["mirror"] = _possible_mirror(resolved)
    for key, value in changes.items():
        setting = _setting(key)
        part, is_nested, _ = key.partition("__")
        if is_nested and part in BACKENDS and part not in resolved["channels"]:
            held = _shown(resolved["channels"])
            raise ValueError(f"{key} applies only if channels has {part}; it is {held}")
        if is_nested and BACKENDS.get(part) is BagEncoder:
            _check_of_channel(part, key, resolved)
        # To say that binary descriptors are not to be reduced is to say what is so.
        if not setting.applies(resolved) and (setting.binary or value != setting.default):
            raise ValueError(_out_of_place(key, resolved))
    if for_classifier:
        _check_classifier_keys(resolved["classifier"], for_classifier)
    if resolved["classifier"] == recipe.settings.get("classifier", SETTINGS["classifier"].default):
        for_classifier = dict(recipe.classifier) | for_classifier
    return resolved, for_classifier


def build_model(
    preset: str | Preset, settings: Mapping[str, Any] | None = None, *, n_jobs: int | None = None, memory: Any = None
) -> ImageClassifier:
    """Build the unfitted model of a recipe as its table has it, whatever the images are; see ``make_model``."""
    preset = preset if isinstance(preset, Preset) else find_preset(preset)
    values, for_classifier = resolve(preset, settings)
    classifier = make_classifier(values["classifier"], **for_classifier)
    backend = _backend(values, n_jobs, memory)
    backend.check_params()
    check_part(classifier)
    recipe: dict[str, Any] = {"preset": preset.name}
    for key, value in values.items():
        setting, channel = _setting(key), key.partition("__")[0]
        is_of_other = channel != key and channel in BACKENDS and channel not in values["channels"]
        if not is_of_other and setting.applies(values) and (setting.said or value != setting.default):
            recipe[key] = value
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
    channels = tuple(values["channels"])
    made = {channel: _shortened(_channel(channel, values), values) for channel in channels}
    if not channels or len(made) < len(channels):
        raise ValueError(f"channels must be at least one of {', '.join(BACKENDS)}, each once, got {channels!r}")
    backend = made[channels[0]] if len(made) == 1 else ChannelUnion(list(made.items()))
    check_choice("views", values["views"], ("whole", "crops"))
    if values["views"] == "crops":
        backend = MultiCrop(backend)
    return backend.set_params(n_jobs=n_jobs, memory=memory)


def _shortened(backend: Any, values: Mapping[str, Any]) -> Any:
    n_components = values["shorten"]
    if n_components is None:
        return backend
    return Shortened(backend, n_components=n_components, random_state=values["random_state"])


def _channel(channel: str, values: Mapping[str, Any]) -> Any:
    """Build a backend: that of local features and a dictionary, or of its own parameters, with the recipe's mirror."""
    kind = BACKENDS[channel]
    if kind is not BagEncoder:
        mirror = {"mirror": bool(values["mirror"])} if channel in BACKENDS.taking("mirror") else {}
        return _build(channel, kind, values, **mirror)
    values = _of_channel(channel, values)
    encoder = _encoder(values)
    if tuple(values["grids"]) != ("1x1",):
        encoder = SpatialPyramid(
            encoder,
            grids=values["grids"],
            level_weights=values["level_weights"],
            normalization=values["pyramid_normalization"],
            overlap=values["overlap"],
        )
    parts = {"extractor": _extractor(values), "encoder": encoder, "reduce": _reduce(values)}
    return kind(**{**_chosen(kind, values), **parts})


def _of_channel(channel: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a channel of local features: the recipe's, and over them its own, ``color__n_words``."""
    shared = {key: value for key, value in values.items() if key.partition("__")[0] not in BACKENDS or key in SETTINGS}
    if channel in FEATURES_OF:
        shared = {key: value for key, value in shared.items() if not key.startswith("features__")}
        shared["features"] = FEATURES_OF[channel]
    return {**shared, "channels": ("local",), **_own_parameters(channel, values)}


def _check_of_channel(channel: str, key: str, values: Mapping[str, Any]) -> None:
    """Raise ValueError unless what is set for one channel of local features is a setting of such, and applies."""
    inner = key.removeprefix(f"{channel}__")
    setting = _setting_of(inner)
    # The settings without a condition are of the whole recipe, but for those that a backend has.
    if setting is None or (setting.where is None and inner not in parameters_of(BagEncoder)):
        raise ValueError(f"{key} must be {channel}__ and a setting of local features, such as {channel}__n_words")
    own = _of_channel(channel, values)
    if not setting.applies(own):
        raise ValueError(f"{channel}__{_out_of_place(inner, own)}")


def _extractor(values: Mapping[str, Any]) -> Any:
    kind = EXTRACTORS[values["features"]]
    chosen = _chosen(kind, values)
    if kind is CnnFeatureMap:
        # The setting of the name normalization is the encoder's; weights may be a classifier's.
        chosen |= {"weights": values["network_weights"], "normalization": values["map_normalization"]}
    for part in ("detector", "descriptor"):
        if part in chosen:
            chosen[part] = _named(part, values)
    return _build("features", kind, values, **chosen)


def _named(part: str, values: Mapping[str, Any]) -> Any:
    """Return a detector's or descriptor's name; where it gets parameters, or is not cvbow's own, the part itself."""
    kind = PARTS[part][values[part]]
    options = {key: value for key, value in _chosen(kind, values).items() if (SETTINGS[key].where or ("",))[0] == part}
    made = _build(part, kind, values, **options)
    return made if options or _own_parameters(part, values) else as_object(values[part], PARTS[part])


def _own_parameters(part: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(f"{part}__"): value for key, value in values.items() if key.startswith(f"{part}__")}


def _setting_of(key: str) -> Setting | None:
    """Return the setting of a key, or of the part whose parameter it is; None for one of the classifier."""
    part, is_nested, _ = key.partition("__")
    if is_nested:
        return SETTINGS["channels"] if part in BACKENDS else SETTINGS[part] if part in PARTS else None
    return SETTINGS.get(part)


def _setting(key: str) -> Setting:
    found = _setting_of(key)
    assert found is not None
    return found


def _possible_mirror(values: Mapping[str, Any]) -> Any:
    """Return a recipe's mirror, or what comes next to it where its other settings do not allow it."""
    wanted = values["mirror"]
    if "local" in values["channels"]:
        if EXTRACTORS[values["features"]].mirror is Extractor.mirror:
            return False
        if wanted == "pairs" and (values["reduce"] == "zca" or not _encoder(values).pools_pairs):
            return True
    return wanted


def _reduce(values: Mapping[str, Any]) -> Any:
    if values["reduce"] is None or not SETTINGS["reduce"].applies(values):
        return None
    if values["reduce"] == "zca":
        return ZCA()
    if values["mirror"] == "pairs":
        return MirrorPCA(values["reduce"], whiten=values["whiten"])
    from sklearn.decomposition import PCA

    # The covariance's eigenvectors are exact and the same on every run; the default solver may draw at random.
    return PCA(values["reduce"], whiten=values["whiten"], svd_solver="covariance_eigh")


def _encoder(values: Mapping[str, Any]) -> Any:
    kind = ENCODERS[values["encoder"]]
    if is_binary(values) and values["encoder"] != "bow":
        raise ValueError(
            f"encoder must be bow for the descriptor {values['descriptor']}, got {values['encoder']!r}: it is "
            "binary, and the other encoders need descriptors of real values"
        )
    parts = {}
    if SETTINGS["dictionary"].applies(values):
        words = DICTIONARIES[chosen_dictionary(values)]
        parts["dictionary"] = _build("dictionary", words, values, **_chosen(words, values))
    return _build("encoder", kind, values, **{**_chosen(kind, values), **parts})


def _chosen(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are parameters of an estimator and mean something to it."""
    parameters = parameters_of(kind)
    return {
        key: value
        for key, value in values.items()
        if key in parameters and value != OWN and SETTINGS[key].applies(values)
    }


def _build(part: str, kind: Any, values: Mapping[str, Any], **chosen: Any) -> Any:
    """Build an estimator from what was chosen, and over it the parameters that are said to be this part's."""
    own = _own_parameters(part, values)
    known = parameters_of(kind)
    for key in own:
        if key not in known:
            raise ValueError(f"{kind.__name__} has no parameter {key}, got {part}__{key}; it has {', '.join(known)}")
    return kind(**{**chosen, **own})


def _check_classifier_keys(classifier: str, parameters: Collection[str]) -> None:
    known = CLASSIFIERS[classifier].parameters
    for key in parameters:
        if key not in known:
            lacking = f"; the classifier {classifier} has no parameter {key}"
            others = [name for name, entry in CLASSIFIERS.items() if key in entry.parameters]
            if others:
                told = f"{lacking}, which is one of {', '.join(others)}"
            else:
                told = did_you_mean(key, [*SETTINGS, *known])
            told = told or f"; settings are {', '.join(SETTINGS)}{lacking}; it has {', '.join(sorted(known))}"
            raise ValueError(f"unknown setting {key}{told}")


def _out_of_place(key: str, values: Mapping[str, Any]) -> str:
    """Say which setting keeps another from meaning anything."""
    if not _setting(key).binary and is_binary(values):
        return f"{key} does not apply to the descriptor {values['descriptor']}, which is binary, as its words are"
    setting = _setting(key)
    while setting.where is not None and not SETTINGS[setting.where[0]].applies(values):
        setting = SETTINGS[setting.where[0]]
    other, wanted = setting.where[0] if setting.where else "", setting.wanted
    held = chosen_dictionary(values) if other == "dictionary" else _shown(values[other])
    return f"{key} applies only if {other} is {' or '.join(wanted)}; it is {held}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else ", ".join(value)
