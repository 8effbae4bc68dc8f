"""The search for recipes: the front, the same again, resumed; and what recipes share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notes import Notes
from numpy.typing import NDArray
from tiny_images import TEXTURES, texture

from cvbow import PRESETS, make_model
from cvbow.errors import CvbowError
from cvbow.parallel import executor
from cvbow.presets import Preset, resolve
from cvbow.presets.recipes import IN_COLOR
from cvbow.progress import reporting
from cvbow.tuning import Outcome, Tuning, evaluation, tune
from cvbow.tuning.cost import MILLISECONDS, counts, milliseconds
from cvbow.tuning.evaluation import Evaluator, front_of, in_even_order, in_folds
from cvbow.tuning.sharing import Kept, share, unshare
from cvbow.tuning.space import genes, place_of, recipe_of

optuna = pytest.importorskip("optuna", reason="the search needs optuna: pip install 'cvbow[tune]'")

NONE = np.zeros(0, bool)


def made(per_class: int = 8, *, size: int = 48, seed: int = 0) -> tuple[list[NDArray[np.uint8]], list[str]]:
    rng = np.random.default_rng(seed)
    images = [texture(name, size=size, rng=rng) for name in TEXTURES for _ in range(per_class)]
    return images, [name for name in TEXTURES for _ in range(per_class)]


def outcome(error: float, ms: float, mb: float, *, first: Any = NONE, stopped: str = "") -> Outcome:
    return Outcome(PRESETS["fast"], error, 0.01, ms, mb, 0.0, np.asarray(first, bool), stopped)


# The front.

figures = st.tuples(*[st.integers(0, 4)] * 3)


@given(st.lists(figures, max_size=30))
def test_the_front_is_what_nothing_dominates(values: list[tuple[int, int, int]]) -> None:
    outcomes = [outcome(*map(float, value)) for value in values]
    front = [one.values for one in front_of(outcomes)]
    for value in set(values):
        others = [other for other in values if other != value]
        beaten = any(all(a <= b for a, b in zip(other, value, strict=True)) for other in others)
        assert (value in front) != beaten
    assert len(set(front)) == len(front)
    assert front == sorted(front)


def test_dominating_is_to_be_as_good_in_all_and_better_in_something() -> None:
    assert outcome(0.1, 5, 1).dominates(outcome(0.1, 6, 1))
    assert not outcome(0.1, 5, 1).dominates(outcome(0.1, 5, 1))
    assert not outcome(0.1, 5, 1).dominates(outcome(0.05, 6, 2))


# The recipes.


@pytest.mark.parametrize(
    ("preset", "changes"),
    [("bow", {}), ("fast", {}), ("fisher", {}), ("patches", {}), ("fast", IN_COLOR), ("fisher", IN_COLOR)],
)
def test_the_presets_are_among_the_recipes(preset: str, changes: dict[str, Any]) -> None:
    ours = recipe_of(place_of(preset, colored=bool(changes)))
    expected = make_model(Preset(preset, "", {**PRESETS[preset].settings, **changes}, {}, PRESETS[preset].classifier))
    found = make_model(ours).recipe
    assert found is not None
    assert expected.recipe is not None
    same = {**found, "preset": preset, "grids": sorted(found["grids"])}
    assert same == {**expected.recipe, "grids": sorted(expected.recipe["grids"])}


@pytest.mark.parametrize("colored", [False, True])
@pytest.mark.parametrize("tiny", [False, True])
def test_all_recipes_make_models_and_say_themselves_apart(colored: bool, tiny: bool) -> None:
    rng = np.random.default_rng(0)
    of_kind = genes(colored=colored, tiny=tiny, side=320)
    said: dict[str, Any] = {}
    for _ in range(40):
        chosen = {gene.name: gene.choices[rng.integers(len(gene.choices))] for gene in of_kind}
        recipe = recipe_of(chosen)
        resolved = resolve(recipe)
        channels = resolved[0]["channels"]
        assert colored or "color" not in channels
        assert resolved[0]["features"] == "dense-sift" or tiny
        make_model(recipe)
        said.setdefault(recipe.summary, []).append(resolved)
    assert len(said) > 30


def test_a_gene_that_means_nothing_changes_nothing() -> None:
    start = place_of("fast", colored=False)
    assert recipe_of({**start, "color_size": 0}) == recipe_of({**start, "color_size": 4})
    assert recipe_of({**start, "power": 1.0}) == recipe_of(start)
    assert recipe_of({**start, "size": 0}) != recipe_of(start)


# What is shared.


@pytest.mark.parametrize("preset", ["bow", "fast", "fisher", "vlad", "llc", "patches"])
def test_a_backend_that_shares_makes_the_same_vectors(preset: str) -> None:
    images, _ = made(3)
    small = {"n_words": 8, "sample": 2000, "max_iter": 2}
    expected = make_model(PRESETS[preset], settings=small, n_jobs=1).backend.fit_transform(images)
    features, words = Kept(100_000_000), Kept(10_000_000)
    for number in range(2):
        backend = make_model(PRESETS[preset], settings=small, n_jobs=2).backend
        share(backend, features, words)
        assert np.array_equal(backend.fit_transform(images), expected)
        # Sampled and then encoded: each image is described once, and its words are learned once.
        assert (features.made, words.made) == (len(images), 1)
        assert (features.found, words.found) == (len(images) * (1 + 2 * number), number)
    unshare(backend)
    assert np.array_equal(backend.transform(images), expected)
    assert features.found == 3 * len(images)


def test_processes_compute_for_themselves() -> None:
    images, _ = made(2)
    small = {"n_words": 8, "sample": 2000, "max_iter": 2}
    expected = make_model(PRESETS["fast"], settings=small, n_jobs=1).backend.fit_transform(images)
    backend = make_model(PRESETS["fast"], settings=small, n_jobs=2).backend
    kept = Kept(100_000_000)
    share(backend, kept, kept)
    with executor("processes"):
        assert np.array_equal(backend.fit_transform(images), expected)


def test_what_is_kept_is_bounded() -> None:
    kept = Kept(100)
    for key in range(5):
        kept.get(key, lambda: np.zeros(40, np.uint8), size=lambda array: array.nbytes)
        assert kept.held <= 100
    kept.get(4, lambda: pytest.fail("the newest is kept"), size=lambda array: array.nbytes)
    kept.get(0, lambda: np.zeros(101, np.uint8), size=lambda array: array.nbytes)
    assert sorted(kept.results) == [3, 4]


# What it costs.


def fitted(settings: dict[str, Any]) -> Any:
    images, labels = made(3)
    small = {"sample": 2000, "max_iter": 2, "reduce": 16, "n_words": 8}
    return make_model("bow", settings={**small, **settings}, n_jobs=1).fit(images, labels)


def test_costs_are_counted_as_by_hand() -> None:
    model = fitted({"step": 8, "bin_sizes": (4,), "grids": ("1x1",)})
    found = counts(model.backend_, model.classifier_, (48, 40))
    n_points = len(model.backend_.extractor_.extract(np.zeros((40, 48), np.uint8)))
    assert found["SIFT"] == n_points > 10
    assert found["pixel read"] == found["pixel smoothed"] == 48 * 40
    assert found["product"] == n_points * 128 * 16
    assert found["product by words"] == n_points * 8 * 16
    assert found["value of a vector"] == 8
    assert milliseconds(model.backend_, model.classifier_, (48, 40)) == pytest.approx(
        sum(MILLISECONDS.get(step, 0) * count for step, count in found.items())
    )


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"step": 8}, {"step": 4}),
        ({"n_words": 8}, {"n_words": 64}),
        ({"mirror": False}, {"mirror": True}),
        ({"bin_sizes": (4,)}, {"bin_sizes": (4, 6)}),
        ({"classifier": "linear-svm"}, {"classifier": "kernel-ridge"}),
        ({"channels": ("local",)}, {"channels": ("local", "census")}),
    ],
)
def test_more_work_costs_more(less: dict[str, Any], more: dict[str, Any]) -> None:
    cheap, dear = (fitted({"shares": None, **one} if "linear" in str(one) else one) for one in (less, more))
    # A channel that the classifier does not use is no work.
    if "channels" in more:
        images, _ = made(3)
        model = make_model("bow", settings={"n_words": 8, "sample": 2000, **more}, n_jobs=1)
        dear.backend_ = model.backend.fit(images)
    size = (48, 48)
    assert milliseconds(cheap.backend_, cheap.classifier_, size) < milliseconds(dear.backend_, dear.classifier_, size)


# One recipe.


def test_the_first_images_have_the_classes_in_the_parts_of_all() -> None:
    labels = np.array(["a"] * 50 + ["b"] * 30 + ["c"] * 20)
    order = in_even_order(labels, seed=3)
    assert sorted(order.tolist()) == list(range(100))
    for n_first in (10, 40, 70):
        found = [int((labels[order[:n_first]] == name).sum()) for name in "abc"]
        assert np.abs(np.array(found) - n_first * np.array([0.5, 0.3, 0.2])).max() <= 1
    assert not np.array_equal(order, in_even_order(labels, seed=4))


@pytest.mark.parametrize("n_classes", [2, 3, 5, 10])
def test_each_part_that_is_left_out_has_all_classes(n_classes: int) -> None:
    labels = np.array([chr(97 + place % n_classes) for place in range(20 * n_classes)])
    labels = labels[in_even_order(labels, 0)]
    for n_images in (len(labels), round(0.4 * len(labels))):
        folds = in_folds(labels[:n_images])
        for name in np.unique(labels):
            counts = np.bincount(folds[labels[:n_images] == name], minlength=5)
            assert counts.max() - counts.min() <= 1
            assert counts.min() > 0


def test_errors_are_those_of_classifiers_that_have_not_seen_the_images() -> None:
    images, labels = made(10)
    names = np.array(labels)
    order = in_even_order(names, 0)
    images, names = [images[place] for place in order], names[order]
    recipe = recipe_of({**place_of("fast", colored=False), "size": 0, "grids": "1x1", "bin_sizes": "4"})
    found = Evaluator(images, names, images, n_jobs=1, room=0).try_out(recipe, [])
    model = make_model(recipe, n_jobs=1)
    vectors = model.backend.fit_transform(images)
    folds = in_folds(names)
    wrong = np.empty(len(names), bool)
    for fold in range(5):
        out = folds == fold
        fitted = make_model(recipe).classifier.fit(vectors[~out], names[~out])
        wrong[out] = fitted.predict(vectors[out]) != names[out]
    assert found.error == pytest.approx(np.mean([wrong[names == name].mean() for name in TEXTURES]))
    assert found.error < 0.5


def test_a_recipe_is_tried_out_and_a_hopeless_one_is_stopped() -> None:
    images, labels = made(20)
    order = in_even_order(np.array(labels), 0)
    images, names = [images[place] for place in order], np.array(labels)[order]
    evaluator = Evaluator(images, names, images, n_jobs=1, room=100_000_000)
    good = evaluator.try_out(
        recipe_of({**place_of("fast", colored=False), "size": 0, "classifier": "kernel-ridge"}), []
    )
    assert good.error < 0.2
    assert not good.stopped
    assert len(good.first) == 24
    assert good.measured > 0
    # As one that costs nothing and was always right.
    perfect = outcome(0.0, 0.0, 0.0, first=np.zeros(24, bool))
    hopeless = recipe_of({**place_of("bow", colored=False), "size": 0, "grids": "1x1", "fit": 0, "bin_sizes": "4"})
    free = evaluator.try_out(hopeless, [])
    first_wrong = outcome(0.0, 0.0, 0.0, first=free.first)
    assert not evaluator.try_out(hopeless, [first_wrong]).stopped
    if free.first.mean() > 0.3:
        stopped = evaluator.try_out(hopeless, [perfect])
        assert stopped.stopped
        assert stopped.error >= free.first.mean() - 1e-9
    # What costs more, or was itself stopped, stops nobody.
    dear = outcome(0.0, 1e9, 0.0, first=np.zeros(24, bool))
    out = outcome(0.0, 0.0, 0.0, first=np.zeros(24, bool), stopped="yes")
    assert not evaluator.try_out(hopeless, [dear, out]).stopped


def test_a_recipe_that_cannot_be_is_the_worst() -> None:
    images = [np.full((8, 8), 10 * number, np.uint8) for number in range(8)]
    evaluator = Evaluator(images, np.array(["a", "b"] * 4), images, n_jobs=1, room=0)
    found = evaluator.try_out(recipe_of(place_of("bow", colored=False)), [outcome(0.2, 7.0, 3.0)])
    assert found.stopped
    assert found.values == (1.0, 7.0, 3.0)


def test_a_recipe_whose_vectors_fill_the_memory_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = made(2)
    evaluator = Evaluator(images, np.array(labels), images, n_jobs=1, room=0)
    recipe = recipe_of({**place_of("fast", colored=False), "size": 0, "grids": "1x1"})
    assert not evaluator.try_out(recipe, []).stopped
    # 6 images, 50 pairs of words.
    monkeypatch.setattr(evaluation, "_ROOM_FOR_VECTORS", 4 * 6 * 50 - 1)
    assert evaluator.try_out(recipe, []).stopped.startswith("the vectors of 6 images would take")


# The search, on recipes whose figures are made up: fast, and as many as are wanted.


def made_up(self: Evaluator, recipe: Preset, known: Sequence[Outcome]) -> Outcome:
    settings = recipe.settings
    words, step = settings["n_words"], settings["step"]
    error = 1 / (1 + np.log2(words)) + 0.02 * step + 0.01 * len(settings["bin_sizes"]) if "bin_sizes" in settings else 1
    stopped = "hopeless" if step == 12 else ""
    return Outcome(recipe, float(error), 0.01, 100 / step, words / 1e3, 1.0, np.arange(9) % 3 == 0, stopped)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Evaluator, "try_out", made_up)
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def told(tuning: Tuning) -> list[tuple[Any, ...]]:
    return [(one.recipe, one.values, one.first.tolist(), one.stopped) for one in tuning.outcomes]


def search(**options: Any) -> Tuning:
    images, labels = made(3)
    return tune(images, labels, n_jobs=1, **options)


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("sampler", ["nsga2", "tpe", "random"])
def test_a_search_that_goes_on_comes_to_the_same(sampler: str, tmp_path: Path) -> None:
    whole = search(evaluations=24, sampler=sampler)
    assert len(whole.outcomes) == 24
    assert told(search(evaluations=24, sampler=sampler)) == told(whole)
    storage = tmp_path / "search.log"
    for evaluations in (2, 13, 24):
        part = search(evaluations=evaluations, sampler=sampler, storage=storage)
        assert told(part) == told(whole)[:evaluations]
    assert [one.recipe for one in part.front] == [one.recipe for one in whole.front]
    assert told(search(evaluations=8, sampler=sampler, seed=1)) != told(whole)[:8]


@pytest.mark.usefixtures("quickly")
def test_a_search_killed_at_any_byte_comes_to_the_same(tmp_path: Path) -> None:
    storage = tmp_path / "search.log"
    whole = search(evaluations=22, storage=storage)
    content = storage.read_bytes()
    rng = np.random.default_rng(0)
    for end in [0, 5, 40, *rng.integers(1, len(content), 4)]:
        storage.write_bytes(content[:end])
        assert told(search(evaluations=22, storage=storage)) == told(whole)


@pytest.mark.usefixtures("quickly")
def test_the_presets_come_first_and_the_front_is_no_worse() -> None:
    found = search(evaluations=12)
    starts = [recipe_of(place_of(name, colored=False)) for name in ("patches", "fast", "bow")]
    assert [one.recipe for one in found.outcomes[:3]] == starts
    assert found.front == front_of([one for one in found.outcomes if not one.stopped])
    for one in found.outcomes:
        assert one.stopped or any(
            best is one or best.dominates(one) or best.values == one.values for best in found.front
        )
    assert found.n_stopped == sum(bool(one.stopped) for one in found.outcomes)


@pytest.mark.usefixtures("quickly")
def test_a_genetic_search_finds_more_than_chance() -> None:
    def area(tuning: Tuning) -> float:
        """The mean, over prices, of the least error that one gets for it."""
        return float(
            np.mean([min(o.error for o in tuning.front if o.milliseconds <= ms) for ms in (12.5, 16.7, 20, 25)])
        )

    seeds = range(2)
    genetic, chance = (
        np.mean([area(search(evaluations=80, sampler=sampler, seed=seed)) for seed in seeds])
        for sampler in ("nsga2", "random")
    )
    assert genetic <= chance


@pytest.mark.usefixtures("quickly")
def test_a_storage_of_another_search_is_refused(tmp_path: Path) -> None:
    storage = tmp_path / "search.log"
    search(evaluations=2, storage=storage)
    for options in ({"seed": 1}, {"sampler": "random"}, {"max_images": 6}):
        with pytest.raises(ValueError, match=r"storage must be of the same search; .* has other"):
            search(evaluations=3, storage=storage, **options)
    foreign = tmp_path / "letter.txt"
    foreign.write_text("Dear reader\n")
    with pytest.raises(ValueError, match="storage must be a file of cvbow tune, or none yet"):
        search(evaluations=2, storage=foreign)
    assert foreign.read_text() == "Dear reader\n"


@pytest.mark.usefixtures("quickly")
def test_time_ends_a_search() -> None:
    started = time.monotonic()
    found = search(seconds=0)
    assert len(found.outcomes) == 1
    assert found.seconds <= time.monotonic() - started


@pytest.mark.usefixtures("quickly")
def test_notes_tell_what_joins_the_front() -> None:
    notes = Notes()
    with reporting(notes):
        search(evaluations=3)
    assert notes.lines[0].startswith("1: error ")
    assert "MB: patches of 6" in notes.lines[0]


# All of it.


def test_a_search_of_images_repeats_itself(tmp_path: Path) -> None:
    images, labels = made(3, size=32)
    storage = tmp_path / "search.log"
    whole = tune(images, labels, evaluations=3, n_jobs=1)
    tune(images, labels, evaluations=2, n_jobs=2, storage=storage)
    again = tune(images, labels, evaluations=3, n_jobs=1, storage=storage)
    assert told(again) == told(whole)
    best = whole.front[0]
    assert best.error <= whole.outcomes[0].error
    model = make_model(best.recipe, n_jobs=1).fit(images, labels)
    assert model.score(images, labels) > 0.9
    whole.write(tmp_path / "best.toml")
    named = make_model(str(tmp_path / "best.toml"), n_jobs=1).fit(images, labels)
    assert np.array_equal(named.predict_proba(images[:3]), model.predict_proba(images[:3]))


def test_what_cannot_be_searched(tmp_path: Path) -> None:
    images, labels = made(2)
    with pytest.raises(ValueError, match="sampler must be one of nsga2, tpe, random"):
        tune(images, labels, sampler="grid")
    with pytest.raises(ValueError, match="evaluations must be None or an integer >= 1"):
        tune(images, labels, evaluations=0)
    with pytest.raises(ValueError, match="seconds must be a number >= 0"):
        tune(images, labels, seconds=-1.0)
    with pytest.raises(ValueError, match="y must hold a label for each of 6 images, got 5"):
        tune(images, labels[:5])
    with pytest.raises(ValueError, match="y must be one label for each image"):
        tune(images, [[label] for label in labels])
    with pytest.raises(CvbowError, match="two classes or more, each with two images"):
        tune(images, ["a"] * 6)
    with pytest.raises(CvbowError, match="b has 1"):
        tune(images, ["a"] * 5 + ["b"])


@pytest.mark.usefixtures("quickly")
def test_images_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    images, labels = made(3)
    (tmp_path / "bad.png").write_text("nothing")
    found = tune([*images, tmp_path / "bad.png"], [*labels, "checker"], evaluations=1, n_jobs=1)
    assert found.n_images == 9
    assert [str(tmp_path / "bad.png")] == [error.path for error in found.skipped]


def test_a_killed_process_leaves_a_search_to_go_on_with(tmp_path: Path) -> None:
    script = (
        "from test_tuning import *\n"
        "Evaluator.try_out = lambda *values: (time.sleep(0.05), made_up(*values))[1]\n"
        f"search(evaluations=1000, storage={str(tmp_path / 'search.log')!r})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment)
    storage = tmp_path / "search.log"
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and (not storage.exists() or storage.stat().st_size < 20_000):
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evaluator, "try_out", made_up)
        n_known = len(search(evaluations=1, storage=storage).outcomes)
        assert n_known > 1
        assert told(search(evaluations=n_known + 4, storage=storage)) == told(search(evaluations=n_known + 4))
