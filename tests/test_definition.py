"""Definitions of benchmarks: those that come with cvbow, and what is refused with which words."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cvbow import _toml
from cvbow.datasets import RetrievalLayout, Sequences, dataset_names, find_dataset
from cvbow.demo import DIGIT_SETTINGS
from cvbow.detection import ObjectDetector
from cvbow.experiments import (
    ClassificationDefinition,
    ComparisonDefinition,
    CoverageDefinition,
    DetectionDefinition,
    ExplanationDefinition,
    FixedSplit,
    HeldOut,
    KFold,
    LabelsDefinition,
    LocalizationDefinition,
    MatchingDefinition,
    RandomSplits,
    RetrievalDefinition,
    SegmentationDefinition,
    Variant,
    benchmark_names,
    find_benchmark,
    read_benchmark,
)
from cvbow.networks import known_networks
from cvbow.presets import PRESETS

ROOT = Path(__file__).resolve().parents[1]

GOOD = """
title = "Mine"
dataset = "digits"
preset = "fast"
seeds = [3, 4]
metric = "accuracy"

[protocol]
kind = "random"
train_per_class = 5

[settings]
n_words = 20
C = 2

[[published]]
method = "a method"
figure = 81.4
std = 0.5
source = "a paper"
status = "as reported"
"""


def write(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", benchmark_names())
def test_every_definition_names_a_data_set_a_preset_and_valid_settings(name: str) -> None:
    definition = find_benchmark(name)
    assert definition.name == name
    if isinstance(definition, MatchingDefinition):
        assert isinstance(find_dataset(definition.dataset).layout, Sequences)
        assert len(definition.variants) > 1
        return
    if isinstance(definition, ComparisonDefinition):
        assert len(definition.contenders) > 1
        assert find_dataset(definition.dataset).n_images > 0
        return
    if isinstance(definition, RetrievalDefinition):
        assert isinstance(find_dataset(definition.dataset).layout, RetrievalLayout)
        assert len(definition.variants) > 1
        return
    if isinstance(definition, LocalizationDefinition):
        assert {definition.dataset, *definition.others} <= set(dataset_names())
        assert {variant.preset for variant in definition.variants} <= set(PRESETS)
        return
    if isinstance(definition, SegmentationDefinition):
        assert find_dataset(definition.dataset).n_images > 0
        return
    if isinstance(definition, DetectionDefinition):
        assert find_dataset(definition.dataset).n_images > 0
        assert ObjectDetector(**definition.settings).n_shapes > 0
        return
    if isinstance(definition, ExplanationDefinition):
        assert {definition.dataset, definition.masked} <= set(dataset_names())
        assert set(definition.presets) <= {*PRESETS, *known_networks()}
        return
    if isinstance(definition, CoverageDefinition):
        assert {definition.dataset, *definition.strangers} <= set(dataset_names())
        return
    if isinstance(definition, LabelsDefinition):
        assert len(definition.contenders) > 1
        assert definition.dataset in dataset_names()
        return
    assert isinstance(definition, ClassificationDefinition)
    assert definition.recipe == definition.preset
    assert definition.preset in PRESETS
    if not definition.variants:
        assert definition.preset == name.rpartition("-")[2], "a definition's name ends with its preset"
    assert find_dataset(definition.dataset).n_images > 0
    assert definition.protocol.describe()
    for figure in definition.published:
        assert 1 < figure.figure <= 100, "percent"
        assert len(figure.source) > 5


def test_the_data_sets_of_published_tables_are_covered() -> None:
    definitions = [find_benchmark(name) for name in benchmark_names()]
    masked = {definition.masked for definition in definitions if isinstance(definition, ExplanationDefinition)}
    others = {name for one in definitions if isinstance(one, LocalizationDefinition) for name in one.others}
    assert {definition.dataset for definition in definitions} | masked | others == set(dataset_names())
    kinds = {(definition.dataset, type(definition.protocol)) for definition in definitions}
    assert kinds >= {
        ("scene15", FixedSplit),
        ("scene15", RandomSplits),
        ("kth-tips", RandomSplits),
        ("kth-tips", HeldOut),
        ("digits", KFold),
        ("caltech101", RandomSplits),
        ("dtd", FixedSplit),
    }
    caltech = [definition.protocol for definition in definitions if definition.dataset == "caltech101"]
    assert {protocol.train_per_class for protocol in caltech} == {15, 30}  # type: ignore[attr-defined]
    assert {protocol.max_test_per_class for protocol in caltech} == {50}  # type: ignore[attr-defined]


def test_the_figure_to_compare_with_comes_first() -> None:
    first = find_benchmark("scene15-bow").published[0]
    assert (first.figure, first.std, first.status) == (81.4, 0.5, "as reported")
    assert "CVPR 2006" in first.source


COMPARISON = """
kind = "comparison"
title = "Ours"
dataset = "digits"
contenders = ["pixels", "both=fast+squeezenet1.1"]
curve = [2, 4]
corruptions = true

[protocol]
kind = "random"
train_per_class = 5
"""


def test_a_comparison(tmp_path: Path) -> None:
    definition = find_benchmark(str(write(tmp_path, COMPARISON)))
    assert isinstance(definition, ComparisonDefinition)
    assert [contender.name for contender in definition.contenders] == ["pixels", "both"]
    assert definition.contenders[1].parts == ("fast", "squeezenet1.1")
    assert (definition.curve, definition.corruptions, definition.classifier) == ((2, 4), True, "tuned-svm")
    for old, new, message in (
        ('"pixels"', '"pixel"', "mine.toml: contenders: backend must be one of .*got 'pixel'"),
        ('"pixels"', '"both=bow"', "contenders must be texts with names of their own"),
        ("[2, 4]", "[0]", "curve must be a list of integers >= 1"),
        ("corruptions = true", "corruption = true", "unknown key corruption"),
    ):
        with pytest.raises(ValueError, match=message):
            find_benchmark(str(write(tmp_path, COMPARISON.replace(old, new))))


def test_digits_have_the_demonstrations_settings() -> None:
    assert find_benchmark("digits-bow").settings == DIGIT_SETTINGS


def test_what_ships_in_the_wheel_is_what_is_looked_for() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    wheel = build["targets"]["wheel"]
    for kind, folder in _toml._BUNDLED.items():
        # A folder inside another one travels with it.
        top = next(source for source in wheel["sources"] if folder == source or folder.startswith(f"{source}/"))
        assert folder.replace(top, wheel["sources"][top], 1) == f"cvbow/_data/{kind}"
        assert top in wheel["only-include"]
        assert sorted(_toml.bundled(kind)) == sorted(path.stem for path in (ROOT / folder).glob("*.toml"))


def test_an_installed_copy_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_data" / "benchmarks").mkdir(parents=True)
    write(tmp_path / "_data" / "benchmarks", GOOD, "other")
    monkeypatch.setattr(_toml, "_PACKAGE", tmp_path)
    assert list(_toml.bundled("benchmarks")) == ["other"]


def test_a_definition_of_ones_own(tmp_path: Path) -> None:
    definition = find_benchmark(str(write(tmp_path, GOOD)))
    assert definition.name == "mine"
    assert definition.seeds == (3, 4)
    assert definition.metric == "accuracy"
    assert definition.protocol == RandomSplits(5, 10, None)
    assert definition.settings == {"n_words": 20, "C": 2}
    assert definition.published[0].figure == 81.4


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('title = "Mine"', 'titel = "Mine"', "the key title is missing"),
        ('title = "Mine"', 'title = " "', "title must be text that is not empty, got ' '"),
        ('preset = "fast"', 'preset = "slow"', "preset must be one of auto, bow, fast"),
        ('dataset = "digits"', 'dataset = "numbers"', "dataset must be one of bccd, buildings, caltech101"),
        ('metric = "accuracy"', 'metric = "mAP"', "metric must be one of mean_class_accuracy, accuracy, got 'mAP'"),
        ('metric = "accuracy"', 'metrics = "accuracy"', "unknown key metrics; the keys here are"),
        ("seeds = [3, 4]", "seeds = [3, 3]", "seeds must be a list of different integers"),
        ("seeds = [3, 4]", "seeds = [true]", "seeds must be a list of different integers"),
        ("seeds = [3, 4]", "seeds = []", "seeds must be a list of different integers"),
        ('kind = "random"', 'kind = "bootstrap"', "protocol.kind must be one of fixed, random, k-fold, held-out"),
        ("train_per_class = 5", "train_per_class = 0", "protocol.train_per_class must be an integer >= 1, got 0"),
        ("train_per_class = 5", "", "the key protocol.train_per_class is missing"),
        ("train_per_class = 5", "train_per_class = 5\nfolds = 3", "unknown key protocol.folds; the keys here are kind"),
        ("n_words = 20", "n_wrods = 20", "settings: unknown setting n_wrods"),
        ("n_words = 20", 'n_words = "many"', "settings: n_words must be an integer, got 'many'"),
        ("n_words = 20", "random_state = 1", "settings.random_state must be left to the key seeds"),
        ("figure = 81.4", "figure = 8140", "published[1].figure must be a number of percent"),
        ("figure = 81.4", 'figure = "81"', "published[1].figure must be a number of percent"),
        ('source = "a paper"', "", "the key published[1].source is missing"),
        ('status = "as reported"', 'status = "sure"', "published[1].status must be one of as reported"),
        ('status = "as reported"', 'status = "as reported"\nyear = 2006', "unknown key published[1].year"),
        ("[[published]]", "[published]", "published must be tables"),
        ('title = "Mine"', "title = Mine", "not a TOML file"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"mine\.toml") as caught:
        read_benchmark(path)
    assert expected in str(caught.value)


def test_another_recipe_is_a_file_of_two_lines(tmp_path: Path) -> None:
    base = read_benchmark(write(tmp_path, GOOD))
    other = read_benchmark(write(tmp_path, 'like = "mine"\npreset = "bow"\n', "other"))
    assert other == ClassificationDefinition(**{**vars(base), "name": "other", "preset": "bow"})
    third = read_benchmark(write(tmp_path, 'like = "other"\n[settings]\nn_words = 9\n', "third"))
    assert third.preset == "bow"
    assert third.settings == {"n_words": 9}, "a table that is given replaces the whole table"
    shipped = read_benchmark(write(tmp_path, 'like = "scene15-bow"\npreset = "fast"\n', "scene15-mine"))
    assert shipped.published == find_benchmark("scene15-bow").published


VARIANTS = (
    GOOD
    + """
[[variants]]
name = "few"
settings = { n_words = 9 }

[[variants]]
name = "many"
preset = "bow"
settings = { n_words = 30, step = 9 }
"""
)


def test_variants_change_the_settings_they_share(tmp_path: Path) -> None:
    definition = read_benchmark(write(tmp_path, VARIANTS))
    assert definition.settings == {"n_words": 20, "C": 2}
    assert definition.variants == (
        Variant("few", "fast", {"n_words": 9, "C": 2}),
        Variant("many", "bow", {"n_words": 30, "step": 9, "C": 2}),
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"few"', '"many"', "variants must be tables with names of their own"),
        ("n_words = 9", "n_wrods = 9", "few: unknown setting n_wrods"),
        ("n_words = 9", "random_state = 9", r"variants[1].settings.random_state must be left to the key seeds"),
        ('name = "few"', "", "the key variants[1].name is missing"),
        ('preset = "bow"', 'preset = "slow"', "variants[2].preset must be one of auto, bow, fast"),
        ('name = "few"', 'name = "few"\npresets = "bow"', "unknown key variants[1].presets"),
    ],
)
def test_a_mistake_in_a_variant_names_it(tmp_path: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"mine\.toml") as caught:
        read_benchmark(write(tmp_path, VARIANTS.replace(old, new, 1)))
    assert expected in str(caught.value)


def test_likeness_must_lead_somewhere(tmp_path: Path) -> None:
    for name, like in (("a", "b"), ("b", "a"), ("c", "c"), ("d", "nothing")):
        write(tmp_path, f'like = "{like}"\n', name)
    for name in "abcd":
        with pytest.raises(ValueError, match=r"\.toml: like must be the name of another definition"):
            read_benchmark(tmp_path / f"{name}.toml")


def test_settings_are_read_as_on_the_command_line(tmp_path: Path) -> None:
    text = GOOD.replace("n_words = 20", 'reduce = "none"\nbin_sizes = [4, 6]\ngrids = ["1x1"]\nroot = false')
    settings = read_benchmark(write(tmp_path, text)).settings
    assert settings == {"reduce": None, "bin_sizes": (4, 6), "grids": ("1x1",), "root": False, "C": 2}


def test_an_unknown_benchmark_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"benchmark must be one of .*scene15-bow.*, or a \.toml file, got 'scene'"):
        find_benchmark("scene")
    with pytest.raises(FileNotFoundError):
        find_benchmark("no-such-file.toml")
