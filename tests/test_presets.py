"""The presets: every setting reaches what it is meant for, and a mistake says what would have been right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sklearn.decomposition import PCA
from tiny_images import write_dataset

from cvbow import storage
from cvbow.backends import BagEncoder, CensusPyramid, ChannelUnion, Gist
from cvbow.classify import CLASSIFIERS, ImageClassifier, LinearSVM, make_classifier
from cvbow.dictionary import DICTIONARIES, ApproximateKMeans, BinaryDictionary, KMeansDictionary, MirrorPCA
from cvbow.encoders import ENCODERS, VLAD, BagOfWords, SpatialPyramid
from cvbow.features import DESCRIPTORS, DETECTORS, EXTRACTORS, SIFT, DenseSIFT, LocalFeatures
from cvbow.features.corners import HarrisDetector
from cvbow.images import list_images
from cvbow.presets import PRESETS, SETTINGS, make_model, parse_setting, resolve
from cvbow.presets.building import build_model

#: For each setting, the text of another value, and what the value becomes.
OTHER: dict[str, tuple[str, Any]] = {
    "channels": ("census, gist", ("census", "gist")),
    "features": ("sift", "sift"),
    "min_side": ("64", 64),
    "max_side": ("none", None),
    "network": ("other.onnx", "other.onnx"),
    "layer": ("conv5", "conv5"),
    "network_weights": ("IMAGENET1K_V1", "IMAGENET1K_V1"),
    "map_normalization": ("root", "root"),
    "engine": ("opencv", "opencv"),
    "provider": ("cuda", "cuda"),
    "root": ("false", False),
    "color": ("opponent", "opponent"),
    "space": ("opponent", "opponent"),
    "step": ("7", 7),
    "bin_sizes": ("3, 5", (3, 5)),
    "window": ("gaussian", "gaussian"),
    "magnification": ("4", 4.0),
    "contrast_threshold": ("0.01", 0.01),
    "max_points": ("250", 250),
    "detector": ("harris", "harris"),
    "descriptor": ("patch", "patch"),
    "selection": ("anms", "anms"),
    "orientation": ("gradient", "gradient"),
    "magnify": ("0.5", 0.5),
    "point_size": ("20", 20.0),
    "patch_size": ("8", 8),
    "reduce": ("32", 32),
    "whiten": ("yes", True),
    "position_weight": ("1.5", 1.5),
    "views": ("crops", "crops"),
    "mirror": ("true", True),
    "sample": ("5000", 5000),
    "sample_images": ("60", 60),
    "encoder": ("vlad", "vlad"),
    "dictionary": ("approximate-k-means", "approximate-k-means"),
    "n_words": ("77", 77),
    "algorithm": ("mini-batch", "mini-batch"),
    "init": ("k-means++", "k-means++"),
    "max_iter": ("3", 3),
    "weighting": ("tf-idf", "tf-idf"),
    "n_nearest": ("3", 3),
    "regularization": ("0.01", 0.01),
    "alpha": ("0.5", 0.5),
    "nearness": ("0.3", 0.3),
    "pooling": ("sum", "sum"),
    "power": ("0.3", 0.3),
    "normalization": ("l2", "l2"),
    "grids": ("1x1, 3x1", ("1x1", "3x1")),
    "level_weights": ("0.5, 0.25", (0.5, 0.25)),
    "pyramid_normalization": ("l1", "l1"),
    "overlap": ("true", True),
    "shorten": ("64", 64),
    "augment": ("2", 2),
    "augment_with": ("mirror, zoom", ("mirror", "zoom")),
    "classifier": ("naive-bayes", "naive-bayes"),
    "random_state": ("5", 5),
}
#: Of local features alone.
POINTS = {"detector", "descriptor", "selection", "orientation", "magnify", "point_size"}
#: Of feature maps alone.
MAP = {"network", "layer", "network_weights", "map_normalization", "engine", "provider"}
#: Kinds of features, and what they cannot do without.
FEATURES: dict[str, dict[str, Any]] = {
    "patches": {"features": "patches"},
    "sift": {"features": "sift"},
    "dense-sift": {"features": "dense-sift"},
    "cnn-feature-map": {"features": "cnn-feature-map", "network": "some.onnx", "layer": "conv"},
}
#: Those that go with one another.
TOGETHER = (
    set(OTHER)
    - {"channels", "features", "views", "encoder", "max_points", "patch_size", "space", "shorten"}
    - POINTS
    - MAP
    - {
        key
        for key, setting in SETTINGS.items()
        if setting.where and setting.where[0] == "encoder" and key != "weighting"
    }
)


def home(key: str) -> dict[str, Any]:
    """Settings with which another one means something."""
    where = SETTINGS[key].where
    if where is None:
        return {}
    value = SETTINGS[key].wanted[0]
    return home(where[0]) | {where[0]: (value,) if where[0] == "channels" else value} | FEATURES.get(value, {})


def parts(model: ImageClassifier) -> str:
    """All that a model is built from, but for what it says about itself."""
    backend = sorted((key, repr(value)) for key, value in model.backend.get_params().items())
    return repr((backend, model.classifier, model.n_augmented, model.augmenter))


def test_there_is_another_value_for_every_setting() -> None:
    assert list(OTHER) == list(SETTINGS)


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_changes_the_model(key: str) -> None:
    start = {"augment": 1} if key == "augment_with" else home(key)
    start |= {"reduce": 8} if key == "whiten" else {"grids": ("1x1", "2x2")} if "level" in key else {}
    assert parts(make_model("bow", settings=start)) != parts(make_model("bow", settings=start | {key: OTHER[key][1]}))


@pytest.mark.parametrize("key", [key for key, setting in SETTINGS.items() if setting.where])
def test_a_setting_that_means_nothing_is_refused(key: str) -> None:
    where = SETTINGS[key].where
    assert where is not None
    parent, wanted = where[0], SETTINGS[key].wanted
    assert set(wanted) <= {"local", "color", *EXTRACTORS, *ENCODERS, *DETECTORS, *DICTIONARIES}
    elsewhere: dict[str, Any] = {
        "channels": {"channels": ("census",)},
        "features": next((settings for name, settings in FEATURES.items() if name not in wanted), {}),
        "detector": {"features": "local-features", "detector": "sift"},
        "encoder": {"encoder": next((name for name in ENCODERS if name not in wanted), None)},
        "dictionary": {"dictionary": next((name for name in DICTIONARIES if name not in wanted), None)},
    }[parent]
    if None in elsewhere.values():  # there is none without
        assert key in ("dictionary", "max_iter")
        elsewhere = {"channels": ("census",)}
    else:
        with pytest.raises(ValueError, match=rf"^{key} applies only if {parent} is {wanted[0]}"):
            make_model("bow", settings=elsewhere | {key: OTHER[key][1]})
    with pytest.raises(ValueError, match=r"^\w+ applies only if channels is local( or color)?; it is census"):
        make_model("bow", settings={"channels": ("census",), key: OTHER[key][1]})
    assert key not in (make_model("bow", settings=elsewhere).recipe or {})


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders(name: str) -> None:
    backend = make_model("bow", settings={"encoder": name, "n_words": 30}).backend
    encoder = backend.encoder.encoder
    assert type(encoder).__name__.lower() == {"bow": "bagofwords", "fisher": "fishervector"}.get(
        name, name.replace("-", "")
    )
    assert encoder.dictionary.n_words == 30
    # What the encoder normalises by itself stays its own.
    assert encoder.get_params()["normalization"] == type(encoder)().normalization


def test_a_dictionary_of_another_kind() -> None:
    assert "dictionary" not in (make_model("bow").recipe or {})
    model = make_model("bow", settings={"dictionary": "approximate-k-means", "n_words": 30, "dictionary__n_probes": 3})
    words = model.backend.encoder.encoder.dictionary
    assert isinstance(words, ApproximateKMeans)
    assert (words.n_words, words.n_probes, words.max_iter) == (30, 3, 20)
    recipe = model.recipe or {}
    assert (recipe["dictionary"], recipe["dictionary__n_probes"]) == ("approximate-k-means", 3)
    assert "algorithm" not in recipe
    assert (
        make_model("bow", settings={"dictionary": "vocabulary-tree"}).recipe.keys().isdisjoint({"n_words", "algorithm"})
    )
    assert isinstance(make_model("vlad", settings={"dictionary": "vocabulary-tree"}).backend.encoder.encoder, VLAD)
    with pytest.raises(ValueError, match=r"dictionary 'kmeans' is unknown; did you mean k-means"):
        make_model("bow", settings={"dictionary": "kmeans"})


def test_parameters_of_parts() -> None:
    backend = make_model("bow", settings={"features__step": 9, "encoder__power": 0.25, "dictionary__tol": 0.5}).backend
    assert (backend.extractor.step, backend.encoder.encoder.power) == (9, 0.25)
    assert backend.encoder.encoder.dictionary.tol == 0.5
    settings = {"detector": "harris", "detector__k": 0.06, "descriptor": "patch", "descriptor__patch_size": 5}
    extractor = make_model("bow", settings=settings).backend.extractor
    assert (extractor.detector.k, extractor.descriptor.patch_size) == (0.06, 5)
    model = make_model("bow", settings={"channels": ("census", "colors"), "census__radii": (1,), "mirror": True})
    census, colors = (part for _, part in model.backend.channels)
    assert (census.radii, census.mirror, type(colors).__name__) == ((1,), True, "ColorHistogram")
    assert (model.recipe or {})["census__radii"] == [1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features__stride": 3}, "DenseSIFT has no parameter stride, got features__stride; it has step, bin_sizes"),
        ({"encoder__alpha": 3}, "BagOfWords has no parameter alpha, got encoder__alpha; it has dictionary, "),
        ({"dictionary__branching": 3}, "KMeansDictionary has no parameter branching, got dictionary__branching"),
        ({"detector": "sift", "detector__k": 3}, "SIFTDetector has no parameter k, got detector__k; it has n_octave"),
        ({"census__radii": (1,)}, "census__radii applies only if channels has census; it is local"),
        ({"detector__k": 3, "features": "sift"}, "detector__k applies only if features is local-features"),
        ({"channels": ("census",), "encoder__power": 1}, "encoder__power applies only if channels is local or color"),
        ({"channels": ("local", "sensus")}, "channels must be one of local, .*, got 'sensus'; did you mean census?"),
    ],
)
def test_wrong_parameters_of_parts(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        make_model("bow", settings=settings)


def test_channels() -> None:
    backend = make_model("bow", settings={"channels": ("local", "census", "gist"), "mirror": True}).backend
    assert isinstance(backend, ChannelUnion)
    local, census, gist = (part for _, part in backend.channels)
    assert isinstance(local, BagEncoder)
    assert isinstance(census, CensusPyramid)
    assert isinstance(gist, Gist)
    assert local.mirror
    assert census.mirror
    assert gist.mirror
    alone = make_model("bow", settings={"channels": ("census",)}, n_jobs=3).backend
    assert isinstance(alone, CensusPyramid)
    assert alone.n_jobs == 3


def test_a_recipe_s_classifier_has_its_parameters_and_another_has_not() -> None:
    assert build_model("best").classifier.weights == PRESETS["best"].classifier["weights"] == "learned"
    assert build_model("best", {"weights": [1, 0, 0]}).classifier.weights == [1, 0, 0]
    assert isinstance(make_model("best", settings={"classifier": "linear-svm"}).classifier, LinearSVM)


def test_settings_reach_their_parts() -> None:
    model = make_model("bow", settings={key: value for key, (_, value) in OTHER.items() if key in TOGETHER})
    backend = model.backend
    assert isinstance(backend, BagEncoder)
    extractor = backend.extractor
    assert isinstance(extractor, DenseSIFT)
    assert (extractor.step, extractor.bin_sizes, extractor.window) == (7, (3, 5), "gaussian")
    assert (extractor.contrast_threshold, extractor.root) == (0.01, False)
    assert (extractor.min_side, extractor.max_side) == (64, None)
    assert isinstance(backend.reduce, PCA)
    assert (backend.reduce.n_components, backend.reduce.whiten) == (32, True)
    assert (backend.position_weight, backend.sample, backend.sample_images, backend.random_state) == (1.5, 5000, 60, 5)
    pyramid = backend.encoder
    assert isinstance(pyramid, SpatialPyramid)
    assert (pyramid.grids, pyramid.level_weights) == (("1x1", "3x1"), (0.5, 0.25))
    assert pyramid.normalization == "l1"
    assert isinstance(pyramid.encoder, BagOfWords)
    assert (pyramid.encoder.weighting, pyramid.encoder.normalization) == ("tf-idf", "l2")
    words = pyramid.encoder.dictionary
    assert words is not None
    assert (words.n_words, words.algorithm, words.init, words.max_iter) == (77, "mini-batch", "k-means++", 3)
    assert words.random_state == 5
    assert type(model.classifier).__name__ == "GaussianNB"


def test_keypoints() -> None:
    extractor = make_model("bow", settings={"features": "sift", "max_points": None, "root": False}).backend.extractor
    assert isinstance(extractor, SIFT)
    assert (extractor.max_points, extractor.root) == (None, False)
    # Its contrast threshold has another unit than the one among the settings.
    assert extractor.contrast_threshold == SIFT().contrast_threshold


@pytest.mark.parametrize("preset", PRESETS)
def test_a_detector_implies_local_features(preset: str) -> None:
    settings = {"detector": "harris", "descriptor": "sift", "point_size": 20.0, "max_points": 300, "selection": "anms"}
    model = make_model(preset, settings=settings)
    backend = _part(model)
    extractor = backend.extractor
    assert isinstance(extractor, LocalFeatures)
    assert repr(extractor.detector) == repr(HarrisDetector(point_size=20.0))
    assert (extractor.descriptor, extractor.max_points, extractor.selection) == ("sift", 300, "anms")
    assert extractor.max_side == resolve(preset)[0]["max_side"]
    # What the recipe says of another kind of features is gone, and so is the mirror, which needs dense ones.
    recipe = model.recipe or {}
    assert recipe["features"] == "local-features"
    assert not {"step", "bin_sizes", "window", "patch_size"} & set(recipe)
    assert not backend.mirror
    assert recipe["mirror"] is False
    # To as many dimensions; in another way only where that went by the mirror.
    theirs = _part(build_model(preset)).reduce
    assert getattr(backend.reduce, "n_components", None) == getattr(theirs, "n_components", None)
    assert type(backend.reduce) is type(PCA() if isinstance(theirs, MirrorPCA) else theirs)


def _part(model: ImageClassifier) -> BagEncoder:
    """The channel of local features, of whatever is around it."""
    backend = getattr(model.backend, "backend", model.backend)
    found = dict(backend.channels)["local"] if isinstance(backend, ChannelUnion) else backend
    found = getattr(found, "backend", found)
    assert isinstance(found, BagEncoder)
    return found


def test_features_that_are_given_imply_nothing() -> None:
    for features in ("dense-sift", "sift", "patches"):
        with pytest.raises(
            ValueError, match=rf"^detector applies only if features is local-features; it is {features}"
        ):
            make_model("bow", settings={"features": features, "detector": "harris"})
    with pytest.raises(ValueError, match=r"mirror=True needs an extractor"):
        make_model("bow", settings={"detector": "harris", "mirror": True})
    with pytest.raises(ValueError, match=r"^detector must be one of sobel, .*, got 'surf'"):
        make_model("bow", settings={"detector": "surf"})
    with pytest.raises(ValueError, match=r"^descriptor must be one of sift, .*, got 'surf'"):
        make_model("bow", settings={"descriptor": "surf"})
    with pytest.raises(ValueError, match=r"^descriptor akaze can describe only the points of detector akaze"):
        make_model("fast", settings={"detector": "orb", "descriptor": "akaze"})


@pytest.mark.parametrize("name", [name for name, kind in DESCRIPTORS.items() if kind.is_binary])
def test_binary_descriptors_have_binary_words(name: str) -> None:
    detector = "akaze" if name == "akaze" else "orb"
    for preset in ("bow", "fast", "spm"):
        model = make_model(preset, settings={"detector": detector, "descriptor": name, "n_words": 50, "max_iter": 3})
        backend = _part(model)
        assert backend.reduce is None
        assert isinstance(backend.encoder, SpatialPyramid)
        words = backend.encoder.encoder.get_params(deep=False)["dictionary"]
        assert isinstance(words, BinaryDictionary)
        assert (words.n_words, words.max_iter) == (50, 3)
        assert not {"reduce", "whiten", "algorithm", "init", "position_weight"} & set(model.recipe or {})
    floats = _part(make_model("bow", settings={"descriptor": "patch"})).encoder.encoder.dictionary
    assert isinstance(floats, KMeansDictionary)


@pytest.mark.parametrize(
    ("preset", "settings", "message"),
    [
        ("bow", {"reduce": 32}, "reduce does not apply to the descriptor orb, which is binary"),
        ("bow", {"init": "k-means++"}, "init does not apply to the descriptor orb, which is binary"),
        ("bow", {"position_weight": 1.0}, "position_weight does not apply to the descriptor orb"),
        ("bow", {"encoder": "vlad"}, "encoder must be bow for the descriptor orb, got 'vlad': it is binary"),
        ("fisher", {}, "encoder must be bow for the descriptor orb, got 'fisher'"),
        ("llc", {}, "encoder must be bow for the descriptor orb, got 'llc'"),
    ],
)
def test_what_bits_have_no_sense_for_is_refused(preset: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        make_model(preset, settings={"descriptor": "orb"} | settings)
    # To say that there is to be none of it is no mistake.
    make_model("bow", settings={"descriptor": "orb", "reduce": None, "position_weight": 0.0})


def test_a_single_cell_needs_no_pyramid() -> None:
    encoder = make_model("bow", settings={"grids": ("1x1",)}).backend.encoder
    assert isinstance(encoder, BagOfWords)
    assert isinstance(make_model("bow", settings={"grids": ["2x1"]}).backend.encoder, SpatialPyramid)


def test_workers_and_memory_reach_the_backend(tmp_path: Path) -> None:
    backend = make_model("fast", n_jobs=3, memory=tmp_path).backend
    assert backend.n_jobs == 3
    assert backend.memory is tmp_path
    assert make_model("bow").backend.n_jobs == -1
    assert make_model("bow").backend.memory is None


def test_parameters_of_the_classifier() -> None:
    model = make_model("bow", settings={"C": 0.25, "class_weight": "balanced"})
    assert isinstance(model.classifier, LinearSVM)
    assert (model.classifier.C, model.classifier.class_weight) == (0.25, "balanced")
    forest = make_model("bow", settings={"n_estimators": 7, "classifier": "random-forest"}).classifier
    assert forest.n_estimators == 7
    mapped = make_model("bow", settings={"sample_steps": 3, "C": 2.0, "classifier": "chi2-map-svm"}).classifier
    assert mapped.get_params()["linearsvm__C"] == 2.0
    assert mapped.get_params()["additivechi2sampler__sample_steps"] == 3


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_recipe_says_what_the_model_is_made_of(name: str) -> None:
    model = build_model("fast", {"classifier": name, "random_state": 3, "max_iter": 8})
    recipe = model.recipe
    assert recipe is not None
    assert recipe["preset"] == "fast"
    for key, setting in SETTINGS.items():
        if key not in recipe:
            assert setting.where is not None
            assert setting.said or key in ("dictionary", "overlap")
            continue
        expected = {"classifier": name, "random_state": 3, "max_iter": 8}.get(
            key, PRESETS["fast"].settings.get(key, setting.default)
        )
        assert recipe[key] == (list(expected) if isinstance(expected, tuple) else expected), key
    # A parameter of the classifier that is called as a setting is does not take its place.
    parameters = make_classifier(name).get_params()
    for key in CLASSIFIERS[name].defaults:
        shown = recipe[f"classifier_{key}" if key in SETTINGS else key]
        found = next(parameters[full] for full in parameters if full == key or full.endswith(f"__{key}"))
        assert shown == (list(found) if isinstance(found, tuple) else found), key


# The presets.


@pytest.mark.parametrize("name", PRESETS)
def test_every_choice_has_its_reason(name: str) -> None:
    preset = PRESETS[name]
    assert preset.name == name
    assert preset.summary
    of_color = {key for key in preset.settings if key.startswith("color__")}
    assert set(preset.settings) - of_color <= set(SETTINGS)
    assert list(preset.reasons) == [*preset.settings, *preset.classifier]
    for key in preset.settings:
        assert SETTINGS[key.removeprefix("color__")].applies(resolve(name)[0]), key
    assert not of_color & set(build_model(name).recipe or {})
    assert all(len(reason) > 10 for reason in preset.reasons.values())
    values, for_classifier = resolve(name)
    assert [key for key in values if key not in of_color] == list(SETTINGS)
    assert for_classifier == preset.classifier
    assert preset.settings.items() <= values.items()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_learns(name: str, tiny_dataset: Path, tmp_path: Path) -> None:
    images = list_images(tiny_dataset)
    model = make_model(name, n_jobs=2).fit(images.paths, images.labels)
    others = list_images(write_dataset(tmp_path / "others", seed=1))
    assert model.score(others.paths, others.labels) >= 0.9
    model.save(tmp_path / "model.cvbow")
    metadata = storage.inspect(tmp_path / "model.cvbow").metadata
    assert metadata["recipe"] == model.shown_recipe
    used = metadata.get("channels", {"local": 1})
    assert metadata["n_words"] == (metadata["recipe"]["n_words"] if used.get("local", 1) else None)


def test_the_default_is_auto() -> None:
    assert next(iter(PRESETS)) == "auto"
    assert parts(make_model()) == parts(make_model("auto"))
    assert parts(make_model("fast")) != parts(make_model())


@pytest.mark.parametrize(
    "settings",
    [
        {"features": "dense-sift"},
        {"features": "sift"},
        {"detector": "harris", "descriptor": "rootsift"},
        {"detector": "orb", "descriptor": "orb", "orientation": "upright", "min_side": 128},
        {"detector": "grid", "descriptor": "brief", "min_side": 128},
    ],
)
def test_a_changed_preset_learns(settings: dict[str, Any], tiny_dataset: Path, tmp_path: Path) -> None:
    images = list_images(tiny_dataset)
    settings = settings | {"n_words": 20, "reduce": None, "weighting": "binary", "grids": ("2x2",), "C": 1.0}
    model = make_model("fast", settings=settings, n_jobs=1).fit(images.paths, images.labels)
    # Four cells of words, or of pairs of words.
    assert model.backend_.vector_length == (40 if model.backend_.mirror else 80)
    assert model.score(images.paths, images.labels) >= 0.8
    model.save(tmp_path / "model.cvbow")
    loaded = ImageClassifier.load(tmp_path / "model.cvbow")
    assert list(loaded.predict(images.paths)) == list(model.predict(images.paths))


def test_neither_presets_nor_settings_are_changed_by_use() -> None:
    before = repr((PRESETS, {key: setting.default for key, setting in SETTINGS.items()}))
    settings = {"bin_sizes": (4,), "C": 2.0}
    model = build_model("fast", settings)
    model.recipe["bin_sizes"].append(99)  # type: ignore[index]
    assert settings == {"bin_sizes": (4,), "C": 2.0}
    assert repr((PRESETS, {key: setting.default for key, setting in SETTINGS.items()})) == before
    assert model.backend.extractor.bin_sizes == (4,)


# Settings as text.


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_has_a_text(key: str) -> None:
    text, value = OTHER[key]
    found = parse_setting(f"{key}={text}")
    assert found == (key, value)
    assert type(found[1]) is type(value)
    assert parse_setting(f"  {key} = {text} ") == (key, value)
    default = SETTINGS[key].default
    written = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()
    assert parse_setting(f"{key}={written}") == (key, default)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("root=TRUE", True),
        ("root=0", False),
        ("root=no", False),
        ("root=Yes", True),
        ("reduce=NONE", None),
        ("reduce=zca", "zca"),
        ("level_weights=cells", "cells"),
        ("weights=0.5,1", [0.5, 1.0]),
        ("position_weight=2", 2.0),
        ("contrast_threshold=1e-3", 0.001),
        ("bin_sizes=4", (4,)),
        ("grids=1x1", ("1x1",)),
        ("C=3", 3),
        ("C=0.5", 0.5),
        ("gamma=none", None),
        ("bootstrap=False", False),
        ("class_weight=balanced", "balanced"),
        ("criterion=a=b", "a=b"),
        ("n_words=-3", -3),
    ],
)
def test_texts(text: str, value: object) -> None:
    found = parse_setting(text)[1]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_words", "a setting must look like key=value, got 'n_words'"),
        ("=3", "a setting must look like key=value, got '=3'"),
        ("", "a setting must look like key=value, got ''"),
        ("n_words=many", "n_words must be an integer, got 'many'"),
        ("n_words=1.5", "n_words must be an integer, got '1.5'"),
        ("n_words=", "n_words must be an integer, got ''"),
        ("reduce=all", "reduce must be an integer, zca or none, got 'all'"),
        ("root=maybe", "root must be true or false, got 'maybe'"),
        ("position_weight=much", "position_weight must be a number, got 'much'"),
        ("bin_sizes=4;6", "bin_sizes must be integers separated by commas, such as 4,6,8, got '4;6'"),
        ("bin_sizes=4,", "bin_sizes must be integers separated by commas"),
    ],
)
def test_texts_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_setting(text)


# Mistakes.


def test_an_unknown_preset_lists_the_presets() -> None:
    with pytest.raises(ValueError, match=f"preset must be one of {', '.join(PRESETS)}, got 'greatest'"):
        make_model("greatest")


def test_an_unknown_key_lists_the_settings() -> None:
    with pytest.raises(ValueError, match="unknown setting xyzzy; settings are") as caught:
        make_model("bow", settings={"C": 1.0, "xyzzy": 5})
    for key in (*SETTINGS, *LinearSVM().get_params()):
        assert key in str(caught.value)
    # What another classifier has is unknown to this one.
    with pytest.raises(
        ValueError, match=r"^unknown setting n_neighbors; the classifier linear-svm has no p.*of nearest-neighbors$"
    ):
        make_model("bow", settings={"n_neighbors": 5})
    with pytest.raises(ValueError, match="classifier 'svm' is unknown; did you mean linear-svm"):
        make_model("bow", settings={"classifier": "svm", "C": 1.0})
    with pytest.raises(ValueError, match=r"^unknown setting n_word; did you mean n_words\?$"):
        make_model("bow", settings={"n_word": 3})
    with pytest.raises(ValueError, match=r"^unknown setting standardise; did you mean standardize\?$"):
        make_model("bow", settings={"standardise": True})


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"n_word": 3}, r"n_word; settings go in settings=\{...\}; did you mean n_words\?"),
        ({"n_words": 3}, r"n_words; settings go in settings=\{...\}"),
        ({"C": 1.0}, r"C; settings go in settings=\{...\}"),
        ({"n_job": 1}, r"n_job; settings go in settings=\{...\}; did you mean n_jobs\?"),
    ],
)
def test_a_setting_that_is_given_as_a_parameter_is_told_where_it_goes(named: dict[str, Any], told: str) -> None:
    with pytest.raises(TypeError, match=f"^make_model has no parameter {told}$"):
        make_model("fast", **named)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": "orb"}, "features must be one of dense-sift, sift, .*, cnn-.*, got 'orb'"),
        ({"classifier": "boost"}, "classifier must be one of"),
        ({"step": 0}, "step must be an integer >= 1, got 0"),
        ({"bin_sizes": (4, 0)}, "bin_sizes must be an integer >= 1, got 0"),
        ({"window": "hann"}, "window must be one of flat, gaussian, got 'hann'"),
        ({"contrast_threshold": float("nan")}, "contrast_threshold must be a number >= 0, got nan"),
        ({"max_side": 0}, "max_side must be None or an integer >= 1, got 0"),
        ({"min_side": 500}, "min_side must not exceed max_side, got 500 and 480"),
        ({"features": "sift", "max_points": 0}, "max_points must be None or an integer >= 1, got 0"),
        ({"position_weight": -1.0}, "position_weight must be a number >= 0, got -1.0"),
        ({"sample": 0}, "sample must be an integer >= 1, got 0"),
        ({"n_words": 0}, "n_words must be an integer >= 1, got 0"),
        ({"n_words": "many"}, "n_words must be an integer >= 1, got 'many'"),
        ({"algorithm": "elkan"}, "algorithm must be one of lloyd, mini-batch, got 'elkan'"),
        ({"init": "first"}, "init must be one of"),
        ({"max_iter": 0}, "max_iter must be an integer >= 1, got 0"),
        ({"weighting": "idf"}, "weighting must be one of count, binary, tf-idf, got 'idf'"),
        ({"normalization": "l3"}, "normalization must be one of"),
        ({"grids": ("2y2",)}, "grids must hold grids like '2x2'"),
        ({"grids": "2x2"}, "grids must be a sequence of at least one grid"),
        ({"level_weights": "some"}, "level_weights must be one of equal, cells, lazebnik, got 'some'"),
        ({"random_state": -1}, "random_state must be an integer >= 0, got -1"),
    ],
)
def test_a_value_that_breaks_its_rule_fails_before_any_work(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_model("bow", settings=settings)
