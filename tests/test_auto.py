"""The recipe that goes by the images: each rule, what is said of it, and that nothing but the images decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from notes import Notes
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils import get_tags
from tiny_images import write_dataset

from cvbow import ImageClassifier, make_model, parallel, storage
from cvbow.backends import BagEncoder, ChannelUnion, ColorHistogram, RawPixels
from cvbow.classify import Chosen, ModelChooser
from cvbow.errors import CvbowError
from cvbow.features import ColorStatistics, DenseSIFT
from cvbow.images import has_color
from cvbow.presets import PRESETS, Auto, index_recipe, next_step, parse_contender, parse_setting
from cvbow.presets.auto import COLORED, HALVINGS, LOOKED_AT, ROOM, TINY
from cvbow.progress import reporting
from cvbow_cli.main import cli

#: Changes that apply to every recipe and make it quick.
QUICK: dict[str, Any] = {"n_words": 8, "max_iter": 2, "sample": 2000, "mirror": False}
GRAY = np.random.default_rng(0).integers(0, 256, (64, 80), np.uint8)
RED = np.stack([GRAY, GRAY // 3, GRAY // 4], axis=2)


def of(*images: NDArray[np.uint8]) -> dict[str, Any]:
    """What is said of the recipe that is chosen for images."""
    return dict(Auto().choose(list(images)).recipe)


# The rules.


def test_tiny_images_get_patches() -> None:
    recipe = of(*[RED[:32, :]] * 3, *[RED] * 2)
    assert recipe["chosen"] == "patches"
    assert recipe["because"] == "half of the images are 32 pixels high or wide, or less"
    wanted = {
        key: list(value) if isinstance(value, tuple) else value for key, value in PRESETS["patches"].settings.items()
    }
    assert wanted.items() <= recipe.items()
    assert (recipe["classifier"], recipe["C"]) == ("standardized-svm", 3.0)


def test_the_border_of_tiny_images_and_others() -> None:
    assert of(*[GRAY[:, : TINY - 1]] * 2)["chosen"] == "patches"
    assert of(*[GRAY[:, :TINY]] * 2)["chosen"] == "fisher"
    assert of(GRAY[:20], GRAY[:30], GRAY)["chosen"] == "patches"
    assert of(GRAY[:20], GRAY, GRAY)["chosen"] == "fisher"


def test_gray_images_get_fisher_vectors_without_color() -> None:
    for images in ([GRAY] * 3, [np.stack([GRAY] * 3, axis=2)] * 3):
        recipe = of(*images)
        assert recipe["chosen"] == "fisher"
        assert recipe["because"] == "half of the images are 64 pixels high and wide, or more, and the images are gray"
        assert recipe["channels"] == ["local"]
        assert recipe["n_words"] == PRESETS["fisher"].settings["n_words"]


def test_images_in_color_get_a_channel_of_color() -> None:
    chosen = Auto().choose([RED] * 4)
    assert chosen.recipe["channels"] == ["local", "color"]
    assert "100% of the images are in colour" in chosen.recipe["because"]
    backend = chosen.backend
    assert isinstance(backend, ChannelUnion)
    local, color = (part for _, part in backend.channels)
    assert isinstance(local, BagEncoder)
    assert isinstance(color, BagEncoder)
    assert isinstance(local.extractor, DenseSIFT)
    assert isinstance(color.extractor, ColorStatistics)
    # But for the features, and how many words they need, the channels are alike.
    words = "encoder__encoder__dictionary__n_words"
    assert (local.get_params()[words], color.get_params()[words]) == (128, 64)
    assert (local.reduce.n_components, color.reduce.n_components) == (64, 48)
    assert repr(local.encoder) == repr(color.encoder.set_params(encoder__dictionary__n_words=128))
    assert color.extractor.step == local.extractor.step
    assert (local.mirror, color.mirror) == ("pairs", "pairs")


def test_the_most_accurate_recipe_has_a_channel_of_color_where_there_is_color() -> None:
    found = {name: Auto("best").choose([image] * 4).recipe for name, image in (("gray", GRAY), ("red", RED))}
    assert [found[name]["channels"] for name in found] == [["local", "census"], ["local", "color", "census"]]
    assert {recipe["chosen"] for recipe in found.values()} == {"best"}
    assert found["red"]["because"] == "100% of the images are in colour"


@pytest.mark.parametrize(("n_colored", "channels"), [(4, ["local"]), (5, ["local", "color"])])
def test_a_few_images_in_color_are_too_few(n_colored: int, channels: list[str]) -> None:
    assert pytest.approx(0.05) == COLORED
    recipe = of(*[RED] * n_colored, *[GRAY] * (LOOKED_AT - n_colored))
    assert recipe["channels"] == channels
    assert recipe["because"].endswith(f"{'only ' if n_colored == 4 else ''}{n_colored}% of the images are in colour")


def test_a_gray_picture_in_a_jpeg_of_colors_is_gray() -> None:
    smooth = cv2.GaussianBlur(GRAY, (0, 0), 2)
    for quality in (30, 75, 95):
        coded = cv2.imencode(".jpg", np.stack([smooth] * 3, axis=2), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert decoded.shape == (64, 80, 3)
        assert not has_color(decoded)
    assert has_color(RED)
    assert not has_color(GRAY)
    # A thing of one hundredth of the picture is little enough to be dust.
    sign = np.stack([np.full((100, 100), 90, np.uint8)] * 3, axis=2)
    sign[:10, :10, 0] = 200
    assert not has_color(sign)
    sign[:10, :11, 0] = 200
    assert has_color(sign)


FISHERS = ROOM["fisher"]


@pytest.mark.parametrize(
    ("n_images", "chosen", "n_words"),
    [
        (FISHERS, "fisher", 128),
        (FISHERS + 1, "fisher", 64),
        (2 * FISHERS, "fisher", 64),
        (2 * FISHERS + 1, "fisher", 32),
        (FISHERS * 2**HALVINGS, "fisher", 32),
        (FISHERS * 2**HALVINGS + 1, "fast", 400),
    ],
)
def test_many_images_get_shorter_vectors(n_images: int, chosen: str, n_words: int) -> None:
    recipe = Auto().choose([GRAY] * n_images).recipe
    assert (recipe["chosen"], recipe["n_words"]) == (chosen, n_words)
    assert (f"{n_images:,} vectors would fill the memory" in recipe["because"]) == (n_images > FISHERS)
    # Two channels take the room of twice the images.
    assert Auto().choose([RED] * -(-n_images // 2)).recipe["n_words"] == n_words
    # So do one copy of each, and five views those of five times as many.
    assert Auto("auto", {"augment": 1}).choose([GRAY] * -(-n_images // 2)).recipe["n_words"] == n_words
    assert Auto("auto", {"views": "crops"}).choose([GRAY] * -(-n_images // 5)).recipe["n_words"] == n_words
    # Who says how many there are to be has said it.
    assert Auto("auto", {"n_words": 100}).choose([GRAY] * n_images).recipe["chosen"] == "fisher"


def test_many_tiny_images_get_fewer_words() -> None:
    tiny = GRAY[:9, :9]
    for n_images, n_words in ((1, 800), (ROOM["patches"] + 1, 400), (8 * ROOM["patches"] + 1, 200)):
        recipe = Auto().choose([tiny] * n_images).recipe
        assert (recipe["chosen"], recipe["n_words"]) == ("patches", n_words)


@pytest.mark.parametrize("name", ROOM)
def test_vectors_for_which_there_is_room_take_4_gb(name: str) -> None:
    settings = {"sample": 3000, "max_iter": 1}
    backend = make_model(name, settings=settings, n_jobs=1).backend.fit([GRAY] * 20)
    assert 3.6e9 < 4 * backend.vector_length * ROOM[name] < 4.1e9


def test_fast_gets_color_where_there_is_color() -> None:
    gray, red = (Auto("fast").choose([image[:40, :40]] * 2).recipe for image in (GRAY, RED))
    assert gray["preset"] == red["preset"] == gray["chosen"] == red["chosen"] == "fast"
    assert (gray["channels"], red["channels"]) == (["local"], ["local", "color"])
    assert (gray["because"], red["because"]) == ("the images are gray", "100% of the images are in colour")


def test_a_named_preset_and_named_parts_leave_nothing_to_choose() -> None:
    for name in PRESETS.keys() - {"auto", "fast", "best"}:
        assert not isinstance(make_model(name).backend, ModelChooser)
    for settings in (
        {"features": "sift"},
        {"detector": "harris"},
        {"descriptor": "orb"},
        {"encoder": "vlad"},
        {"dictionary": "vocabulary-tree"},
        {"channels": ("census",)},
        {"network": "net.onnx", "layer": "conv"},
    ):
        found, textbook = (make_model(name, settings=settings) for name in ("auto", "bow"))
        assert repr(found.backend) == repr(textbook.backend)
        assert repr(found.classifier) == repr(textbook.classifier)
        assert not isinstance(make_model("fast", settings=settings).backend, ModelChooser)


# A second channel of local features.


def test_the_channel_of_color_has_settings_of_its_own() -> None:
    text = ["channels=local,color", "n_words=30", "color__n_words=20", "color__bin_sizes=5,7", "color__reduce=none"]
    model = make_model("bow", settings=dict(map(parse_setting, text)))
    local, color = (part for _, part in model.backend.channels)
    assert (local.encoder.encoder.dictionary.n_words, color.encoder.encoder.dictionary.n_words) == (30, 20)
    assert (local.extractor.bin_sizes, color.extractor.bin_sizes) == ((4, 6, 8, 10), (5, 7))
    assert (local.reduce.n_components, color.reduce) == (64, None)
    assert (model.recipe or {})["color__bin_sizes"] == [5, 7]


def test_color_alone() -> None:
    backend = make_model("bow", settings={"channels": ("color",), "n_words": 7}).backend
    assert isinstance(backend, BagEncoder)
    assert isinstance(backend.extractor, ColorStatistics)
    other = make_model("bow", settings={"channels": ("color",), "color__features": "dense-sift", "color__color": "hsv"})
    assert other.backend.extractor.color == "hsv"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"color__n_words": 9}, "color__n_words applies only if channels has color; it is local"),
        (
            {"channels": ("local", "color"), "color__classifier": "mlp"},
            "color__classifier must be color__ and a setting",
        ),
        ({"channels": ("local", "color"), "color__C": 1.0}, "color__C must be color__ and a setting of local features"),
        (
            {"channels": ("local", "color"), "color__n_nearest": 3},
            "color__n_nearest applies only if encoder is kernel-",
        ),
        ({"channels": ("local", "color"), "color__n_words": 0}, "n_words must be an integer >= 1, got 0"),
    ],
)
def test_wrong_settings_of_a_channel(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        make_model("bow", settings=settings)


# Choosing when a model is fitted.


def sets() -> Iterator[tuple[str, list[NDArray[np.uint8]]]]:
    rng = np.random.default_rng(1)
    for chosen, side in (("patches", 20), ("fisher", 64)):
        coarse = [rng.integers(0, 256, (side // 4, side // 4, 3), np.uint8) for _ in range(6)]
        fine = [rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(6)]
        yield chosen, [one for a, b in zip(fine, coarse, strict=True) for one in (a, b.repeat(4, 0).repeat(4, 1))]


LABELS = ["fine", "coarse"] * 6


@pytest.mark.parametrize(("chosen", "images"), list(sets()))
def test_a_model_chooses_when_it_is_fitted(chosen: str, images: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    model = make_model(settings=QUICK, n_jobs=1).fit(images, LABELS)
    assert model.recipe_ is not None
    assert (model.recipe_["preset"], model.recipe_["chosen"], model.recipe_["n_words"]) == ("auto", chosen, 8)
    assert isinstance(model.backend_, BagEncoder if chosen == "patches" else ChannelUnion)
    assert model.classifier_.standardize == (chosen == "patches")
    assert model.score(images, LABELS) == 1
    assert model.seconds_["choose"] > 0
    digest = model.save(tmp_path / "model")
    loaded = ImageClassifier.load(tmp_path / "model")
    assert loaded.recipe_ == model.recipe_
    assert storage.inspect(tmp_path / "model").metadata["recipe"] == model.recipe_
    np.testing.assert_array_equal(loaded.predict_proba(images), model.predict_proba(images))
    assert loaded.save(tmp_path / "again") == digest


def test_the_choice_and_the_model_are_the_same_for_any_workers(tmp_path: Path) -> None:
    (_, images), _ = sets()
    hashes = set()
    for n_jobs, executor, memory in ((1, "threads", None), (2, "threads", tmp_path / "cache"), (2, "processes", None)):
        with parallel.executor(executor):
            model = make_model(settings=QUICK, n_jobs=n_jobs, memory=memory).fit(images, LABELS)
        hashes.add(model.save(tmp_path / "model"))
    assert len(hashes) == 1


def test_in_a_cross_validation_the_training_part_decides() -> None:
    gray, red = GRAY[:64, :64], RED[:64, :64]
    # Each fold trains on the other half, of which one is gray and the other in colour.
    chosen: list[list[str]] = []

    class Recording(Auto):
        def choose(self, images: Any) -> Chosen:
            found = super().choose(images)
            chosen.append(found.recipe["channels"])
            return found

    images = [gray, gray[::-1], gray, gray[::-1], red, red[::-1], red, red[::-1]]
    halves = [(np.arange(4), np.arange(4, 8)), (np.arange(4, 8), np.arange(4))]
    scores = cross_val_score(ImageClassifier(Recording("auto", QUICK), None), images, list("abab" * 2), cv=halves)
    assert scores.shape == (2,)
    assert chosen == [["local"], ["local", "color"]]


def test_a_classifier_that_is_given_is_taken_and_another_backend_forgets_the_choice() -> None:
    (_, images), _ = sets()
    model = ImageClassifier(Auto("auto", QUICK), "naive-bayes").fit(images, LABELS)
    assert type(model.classifier_).__name__ == "GaussianNB"
    assert model.recipe_ is not None
    model.set_params(backend=ColorHistogram()).fit(images, LABELS)
    assert model.recipe_ is None
    assert "recipe_" not in vars(model)
    assert "choose" not in model.seconds_
    with pytest.raises(ValueError, match=r"^classifier must be a name or a classifier, got None"):
        model.set_params(classifier=None).fit(images, LABELS)


def test_images_that_cannot_be_read_count_for_nothing(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.png") for number in range(6)]
    for path in paths[:4]:
        Image.fromarray(RED).save(path)
    Path(paths[4]).write_bytes(b"no image")
    assert "100% of" in Auto().choose(paths).recipe["because"]
    with pytest.raises(CvbowError, match=r"^none of the 2 images could be read"):
        make_model(settings=QUICK, n_jobs=1).fit(paths[4:], ["a", "b"])


def test_a_setting_that_the_chosen_recipe_does_not_have() -> None:
    model = make_model(settings={"bin_sizes": (4,)}, n_jobs=1)
    message = (
        r"^bin_sizes applies only if features is .*; it is patches; the recipe is patches, because half of the images"
    )
    with pytest.raises(ValueError, match=message):
        model.fit([GRAY[:20]] * 4, list("abab"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_word": 5}, "unknown setting n_word;"),
        ({"n_words": 0}, "n_words must be an integer >= 1, got 0"),
        ({"C": -1.0}, "C must be a number > 0, got -1.0"),
        ({"augment": -1}, "augment must be an integer >= 0, got -1"),
        ({"classifier": "boost"}, "classifier must be one of"),
    ],
)
def test_a_mistake_is_found_before_there_are_images(settings: dict[str, Any], message: str) -> None:
    for preset in ("auto", "fast", "best"):
        with pytest.raises(ValueError, match=f"^{message}"):
            make_model(preset, settings=settings)
        with pytest.raises(ValueError, match=f"^{message}"):
            Auto(preset, settings).choose([GRAY])


def test_wrong_parameters() -> None:
    with pytest.raises(ValueError, match=r"^preset must be one of auto, fast, best, got 'fisher'"):
        Auto("fisher").choose([GRAY])
    with pytest.raises(ValueError, match=r"^settings must be a mapping or None, got 3"):
        Auto("auto", 3).choose([GRAY])  # type: ignore[arg-type]
    tags = get_tags(clone(make_model())).input_tags
    assert tags.three_d_array
    assert not tags.two_d_array


def test_copies_are_made_for_what_is_chosen() -> None:
    (_, images), _ = sets()
    model = make_model(settings={**QUICK, "augment": 2, "augment_with": ("zoom",), "random_state": 3}, n_jobs=1)
    assert (model.n_augmented, model.augment_seed) == (2, 3)
    with reporting(notes := Notes(), details=True):
        model.fit(images, LABELS)
    assert f"classifier: {3 * len(images)} vectors" in "\n".join(notes.lines)
    assert model.shown_recipe["augment"] == 2


def test_a_forged_recipe_is_refused(tmp_path: Path) -> None:
    model = ImageClassifier(RawPixels(size=4), "naive-bayes").fit([GRAY, 255 - GRAY] * 2, list("abab"))
    model.recipe_ = [3]  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"recipe_ must be a mapping or None"):
        storage.save(tmp_path / "model", kind="classifier", state=model, metadata={})


# Elsewhere.


def test_contenders_choose_by_the_images_that_they_learn_from() -> None:
    assert isinstance(parse_contender("auto").backend([RED]), ChannelUnion)
    assert isinstance(parse_contender("auto").backend([GRAY]), BagEncoder)
    tiny = parse_contender("auto").backend([RED[:20]], seed=4, n_jobs=2)
    assert isinstance(tiny, BagEncoder)
    assert (type(tiny.extractor).__name__, tiny.random_state, tiny.n_jobs) == ("WhitenedPatches", 4, 2)
    both = parse_contender("fast+pixels").backend([RED])
    assert isinstance(both, ChannelUnion)
    assert [name for name, _ in both.channels] == ["fast local", "fast color", "pixels"]
    assert all(part.n_jobs is None for _, part in both.channels)


def test_an_index_is_made_of_what_is_named() -> None:
    assert isinstance(index_recipe("fast", {"n_words": 9}).describer(seed=0).backend, BagEncoder)
    assert isinstance(index_recipe("fast").describer(seed=0).backend, BagEncoder)
    with pytest.raises(ValueError, match=r"^what an index is made of must be named"):
        index_recipe("auto")


def test_what_to_try_next() -> None:
    images = [GRAY[:64, :64], 255 - GRAY[:64, :64]] * 20
    labels = ["a", "b"] * 20
    model = make_model(settings=QUICK, n_jobs=1).fit(images, labels)
    assert "--preset best" in (next_step(model, labels) or "")
    assert "half of the classes have 19 images or fewer: --augment 8" in (next_step(model, labels[:38]) or "")
    assert next_step(model, labels * 51) is None
    assert next_step(make_model("bow", settings={"n_words": 5}, n_jobs=1).fit(images, labels), labels) is None
    # What has copies already needs no more.
    copies = make_model(settings={**QUICK, "augment": 1}, n_jobs=1).fit(images[:8], labels[:8])
    assert "--augment" not in (next_step(copies, labels[:8]) or "")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def test_the_command_says_what_was_chosen_and_why(tmp_path: Path) -> None:
    data, model = write_dataset(tmp_path / "data", per_class=4, size=64), tmp_path / "m.cvbow"
    because = "half of the images are 64 pixels high and wide, or more, and the images are gray"
    few = ("--set", "n_words=8", "--set", "max_iter=2", "--n-jobs", 1)
    result = run("train", data, "-o", model, *few)
    assert f"recipe auto: fisher, because {because}" in result.stderr.splitlines()
    assert "next: half of the classes have 4 images or fewer: --augment 8, copies" in result.stderr
    assert because not in result.stdout
    shown = dict(line.split(maxsplit=1) for line in run("info", model).stdout.splitlines() if len(line.split()) > 1)
    assert (shown["preset"], shown["chosen"], shown["because"], shown["n_words"]) == ("auto", "fisher", because, "8")
    document = json.loads(run("info", model, "--json").stdout)
    assert (document["preset"], document["chosen"], document["because"]) == ("auto", "fisher", because)
    assert not {"preset", "chosen", "because"} & document["parameters"].keys()
    quiet = run("train", data, "-o", model, *few, "--quiet", "--json")
    assert quiet.stderr == ""
    assert set(json.loads(quiet.stdout)["seconds"]) == {
        "choose",
        "extract",
        "dictionary",
        "encode",
        "classifier",
        "total",
    }
    assert json.loads(run("info", model, "--json").stdout)["content_hash"] == document["content_hash"]
    run("train", data, "-o", model, *few, "--preset", "bow", "-q")
    assert "chosen" not in json.loads(run("info", model, "--json").stdout)
