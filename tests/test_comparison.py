"""Comparisons: the same splits and head for all, figures that follow from the models, and what is printed and drawn."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from own_datasets import write_split
from PIL import Image
from tiny_images import write_dataset
from tiny_network import tiny_network

from cvbow import ImageClassifier, list_images
from cvbow.backends import BagEncoder, ChannelUnion, CnnEncoder, ColorHistogram, MultiCrop, RawPixels
from cvbow.datasets import LabelledImages
from cvbow.errors import NetworkError
from cvbow.experiments import FixedSplit, KFold, RandomSplits, compare, result_tables
from cvbow.experiments.significance import accuracy_interval, mcnemar_test, paired_splits_test
from cvbow.images.corruptions import CORRUPTIONS, corrupt
from cvbow.presets import Contender, parse_contender
from cvbow.report import write_comparison_plots
from cvbow_cli.main import cli

HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
FACTS = 'size = 12\nchannel_order = "rgb"\nmean = 128\nscale = 0.01\nlayer = "relu"\n'


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network())
    path.with_suffix(".toml").write_text(FACTS)
    return path


@pytest.fixture
def material(tmp_path: Path) -> LabelledImages:
    return LabelledImages.from_list(list_images(write_split(tmp_path / "split")))


def test_contenders_by_their_texts(network: Path) -> None:
    kinds = {"fast": BagEncoder, "pixels": RawPixels, "colors": ColorHistogram, str(network): CnnEncoder}
    for text, kind in kinds.items():
        contender = parse_contender(text)
        assert isinstance(contender.backend(), kind)
        assert contender.name == (text if "/" not in text and "\\" not in text else "tiny")
    both = parse_contender(f"both = fast + {network}")
    assert both == Contender("both", ("fast", str(network)))
    union = both.backend(seed=3, n_jobs=2)
    assert isinstance(union, ChannelUnion)
    assert [name for name, _ in union.channels] == ["fast", "tiny"]
    assert union.n_jobs == 2
    assert union.channels[0][1].random_state == 3
    # "best" looks at five views of an image: so does what is joined with it.
    views = parse_contender("best+pixels").backend()
    assert isinstance(views, MultiCrop)
    assert [name for name, _ in views.backend.channels] == ["best local", "best census", "pixels"]
    for text, message in (
        (
            "slow",
            "backend must be one of auto, bow, fast, .*, pixels, colors, mobilenet.*, an .onnx file, .*; got 'slow'",
        ),
        ("fast+", "got ''"),
        ("fast+fast", "parts that differ"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_contender(text)
    with pytest.raises(FileNotFoundError):
        parse_contender("none.onnx")


def test_figures_of_a_fixed_split_are_those_of_the_models(material: LabelledImages) -> None:
    contenders = [parse_contender("pixels"), parse_contender("colors")]
    result = compare(material, FixedSplit(), contenders, corruptions=True, corrupted_per_class=2, n_jobs=1)
    assert json.loads(json.dumps(result)) == result, "plain values"
    (split,) = FixedSplit().splits(material)
    truth = np.array([material.labels[place] for place in split.test])
    rights = []
    for contender, row in zip(contenders, result["contenders"], strict=True):
        model = ImageClassifier(contender.backend(n_jobs=1), "tuned-svm")
        model.fit([material.images[i] for i in split.train], [material.labels[i] for i in split.train])
        right = model.predict([material.images[i] for i in split.test]) == truth
        rights.append(right)
        interval = accuracy_interval(right, truth)
        assert row["mean_class_accuracy"] == {"mean": pytest.approx(interval.figure), "std": None}
        assert row["accuracy"]["mean"] == pytest.approx(right.mean())
        assert (row["interval"]["low"], row["interval"]["high"]) == (interval.low, interval.high)
        assert row["head"]["C"] == [model.classifier_.C_]
        assert row["vector_length"] == model.backend_.vector_length
        assert row["cost"]["ms_per_image"] > 0
        assert row["cost"]["model_bytes"] > 1000
        found = row["corruptions"]
        assert found["kinds"].keys() == CORRUPTIONS.keys()
        assert found["n_images"] == 6
        assert found["mean"] == pytest.approx(np.mean(list(found["kinds"].values())))
    expected = mcnemar_test(*rights)
    (pair,) = result["pairs"]
    assert (pair["first"], pair["second"]) == ("pixels", "colors")
    assert (pair["p_value"], pair["difference"]) == (expected.p_value, expected.difference)
    assert pair["p_value_holm"] == expected.p_value, "one pair needs no correction"


def test_corrupted_images_are_what_is_judged(material: LabelledImages) -> None:
    contender = parse_contender("pixels")
    result = compare(material, FixedSplit(), [contender], corruptions=True, corrupted_per_class=99, n_jobs=1)
    (split,) = FixedSplit().splits(material)
    model = ImageClassifier(contender.backend(n_jobs=1), "tuned-svm")
    model.fit([material.images[i] for i in split.train], [material.labels[i] for i in split.train])
    truth = np.array([material.labels[i] for i in split.test])
    from cvbow import read_image

    for kind, strength in itertools.product(("blur", "occlusion"), (1, 5)):
        worse = [corrupt(read_image(material.images[i], gray=True), kind, strength, seed=int(i)) for i in split.test]
        right = model.predict(worse) == truth
        expected = np.mean([right[truth == name].mean() for name in np.unique(truth)])
        figures = result["contenders"][0]["corruptions"]["kinds"][kind]
        assert figures[strength - 1] == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:n_words is 400")
def test_over_splits_and_along_a_curve(material: LabelledImages) -> None:
    contenders = [parse_contender("pixels"), parse_contender("fast"), parse_contender("colors")]
    protocol, head = RandomSplits(4, 2), "linear-svm"
    result = compare(material, protocol, contenders, classifier=head, curve=(1, 3), curve_draws=2, n_jobs=2)
    assert result["classifier"] == head
    assert [split["n_train"] for split in result["splits"]] == [12, 12]
    for row in result["contenders"]:
        assert row["interval"] is None
        assert row["mean_class_accuracy"]["std"] is not None
        assert [point["train_per_class"] for point in row["curve"]] == [1, 3]
        for point in row["curve"]:
            assert len(point["draws"]) == 2
            assert point["mean"] == pytest.approx(np.mean(point["draws"]))
    assert [(pair["first"], pair["second"]) for pair in result["pairs"]] == [
        ("pixels", "fast"),
        ("pixels", "colors"),
        ("fast", "colors"),
    ]
    assert all(pair["test"].startswith("t test over splits") for pair in result["pairs"])
    again = compare(material, protocol, contenders[:2], classifier=head, n_jobs=1)
    assert [row["mean_class_accuracy"] for row in again["contenders"]] == [
        row["mean_class_accuracy"] for row in result["contenders"][:2]
    ]
    splits = protocol.splits(material)
    means = [
        [
            float(
                (
                    ImageClassifier(contender.backend(n_jobs=1), head)
                    .fit([material.images[i] for i in split.train], [material.labels[i] for i in split.train])
                    .predict([material.images[i] for i in split.test])
                    == np.array([material.labels[i] for i in split.test])
                ).mean()
            )
            for split in splits
        ]
        for contender in contenders[:2]
    ]
    expected = paired_splits_test(*means, test_over_train=18 / 12)
    assert again["pairs"][0]["p_value"] == pytest.approx(expected.p_value)


@pytest.mark.filterwarnings("ignore:n_words is 400")
def test_with_a_cache_times_are_not_told(material: LabelledImages, tmp_path: Path) -> None:
    plain = compare(material, FixedSplit(), [parse_contender("fast")], n_jobs=1)
    cached = compare(material, FixedSplit(), [parse_contender("fast")], n_jobs=1, memory=tmp_path / "cache")
    cost = cached["contenders"][0]["cost"]
    assert (cost["train_seconds"], cost["ms_per_image"]) == (None, None)
    assert cached["contenders"][0]["mean_class_accuracy"] == plain["contenders"][0]["mean_class_accuracy"]


def test_a_broken_network_is_found_before_the_first_image(material: LabelledImages, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    contenders = [Contender("first", ("pixels",)), Contender("second", (str(broken),))]
    for path in material.images:
        Path(path).unlink()
    with pytest.raises(NetworkError, match=r"broken.onnx: not an ONNX network"):
        compare(material, FixedSplit(), contenders, n_jobs=1)


def test_what_is_refused(material: LabelledImages) -> None:
    pixels = parse_contender("pixels")
    changes: list[tuple[dict[str, Any], str]] = [
        ({"contenders": []}, "contenders must be at least one, with names of their own, got none"),
        ({"contenders": [pixels, pixels]}, "got pixels, pixels"),
        ({"classifier": "boost"}, "classifier must be one of"),
        ({"curve": (0,)}, "curve must be an integer >= 1, got 0"),
        ({"curve_draws": 0}, "curve_draws must be an integer >= 1, got 0"),
    ]
    for change, message in changes:
        with pytest.raises(ValueError, match=message):
            compare(**{"images": material, "protocol": FixedSplit(), "contenders": [pixels], **change})


def result_of(material: LabelledImages, **parameters: Any) -> dict[str, Any]:
    contenders = [parse_contender("pixels"), parse_contender("colors")]
    return compare(material, KFold(2), contenders, classifier="linear-svm", n_jobs=1, **parameters)


def test_tables(material: LabelledImages) -> None:
    result = result_of(material, curve=(2,), corruptions=True, corrupted_per_class=1)
    tables = result_tables(result)
    assert list(tables) == ["figures", "pairs", "curve", "corruptions"]
    text = "\n".join(table.text() for table in tables.values())
    markdown = "\n".join(table.markdown() for table in tables.values())
    for row in result["contenders"]:
        for table in (text, markdown):
            assert f"{100 * row['mean_class_accuracy']['mean']:.1f}" in table
            assert f"{100 * row['curve'][0]['mean']:.1f}" in table
            assert f"{100 * row['corruptions']['mean']:.1f}" in table
    assert "| pixels | colors |" in markdown
    assert max(map(len, text.splitlines())) <= 120
    assert len(result_tables(result_of(material))) == 2


def easy(root: Path) -> Path:
    """Folders of a user's own, whose classes anything can tell: 20 white and 9 black pictures in the test."""
    for split, counts in (("train", (4, 4)), ("test", (20, 9))):
        for name, level, count in zip(("white", "black"), (220, 20), counts, strict=True):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (16, 16), (level + number,) * 3).save(root / split / name / f"{number}.png")
    return root


def test_right_answers_alone_are_not_certain_and_own_folders_have_no_authors(tmp_path: Path) -> None:
    arguments = ("compare", easy(tmp_path / "own"), "-w", "colors", "-w", "again=colors", "--n-jobs", "1")
    result = run(*arguments, "-o", tmp_path / "result.json")
    assert result.exit_code == 0, result.stderr
    document = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    for row in document["contenders"]:
        assert row["mean_class_accuracy"]["mean"] == 1
        # Wilson's for as many images as two classes of 20 and 9 are worth: 4 / (1/20 + 1/9).
        worth = 4 / (1 / 20 + 1 / 9)
        assert row["interval"]["low"] == pytest.approx(worth / (worth + 1.959964**2), abs=0.02)
        assert row["interval"]["high"] == 1
        line = next(line for line in result.stdout.splitlines() if line.startswith(f"{row['name']} "))
        assert f"{100 * row['interval']['low']:.1f} to 100.0" in line
    assert document["pairs"][0]["p_value"] == 1
    said = " ".join(result.stdout.split())
    assert "the authors' split" not in said
    assert "the data set's own split: trained on train, tested on test" in said


def test_images_of_classes_that_are_not_learned_are_told(tmp_path: Path) -> None:
    root = easy(tmp_path / "own")
    (root / "test" / "black").rename(root / "test" / "gray")
    result = run("compare", root, "-w", "colors", "--n-jobs", "1")
    assert result.exit_code == 0
    assert "the model does not know gray: 9 images, each a mistake" in result.stderr
    (root / "test" / "white").rename(root / "test" / "snow")
    result = run("compare", root, "-w", "colors", "--n-jobs", "1")
    assert result.exit_code == 1
    assert "no image is of a class that the model knows: they are of gray, snow; it knows black, white" in result.stderr


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="needs the extra report")
def test_plots_show_the_intervals_of_the_table(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    from cvbow.report.comparison_plots import _cost, _curve

    images = LabelledImages.from_list(list_images(easy(tmp_path / "own")))
    result = compare(images, FixedSplit(), [parse_contender("colors")], curve=(2, 9), curve_draws=2, n_jobs=1)
    (row,) = result["contenders"]
    axes = Figure().subplots()
    _cost(axes, [row])
    (bar,) = axes.collections[0].get_segments()
    assert bar[:, 1] == pytest.approx([100 * row["interval"]["low"], 100 * row["interval"]["high"]])
    assert axes.get_ylabel() == "mean class accuracy, %\nwith 95 % interval"
    axes = Figure().subplots()
    _curve(axes, [row])
    two, all_of_them = axes.collections[0].get_segments()
    assert two[:, 1] == pytest.approx([100, 100])
    assert not len(all_of_them), "where all images are taken there is one draw, and no spread"


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="needs the extra report")
@pytest.mark.parametrize("least", [0.1, 0.42, 0.99])
def test_a_mark_at_all_right_is_inside_and_text_is_not_cut(least: float) -> None:
    from matplotlib.figure import Figure

    from cvbow.report.comparison_plots import _cost, _curve

    rows: list[Any] = [
        {
            "name": str(share),
            "cost": {"ms_per_image": 10.0},
            "mean_class_accuracy": {"mean": share, "std": 0.01},
            "interval": None,
            "curve": [{"train_per_class": count, "mean": share, "std": 0.01} for count in (5, 10)],
        }
        for share in (least, 1.0)
    ]
    for draw in (_cost, _curve):
        figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
        axes = figure.subplots()
        draw(axes, rows)
        figure.draw_without_rendering()
        inside, whole = axes.get_window_extent(), figure.bbox
        top = axes.transData.transform((10, 100))[1]
        assert top + 3.5 * 120 / 72 <= inside.y1, "half a mark and its edge, in points"
        assert axes.get_ylim()[1] < 104
        assert max(axes.get_yticks()) <= 100
        label = axes.yaxis.label.get_window_extent()
        assert whole.y0 <= label.y0 < label.y1 <= whole.y1


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="needs the extra report")
def test_plots(material: LabelledImages, tmp_path: Path) -> None:
    result = result_of(material, curve=(2, 4), corruptions=True, corrupted_per_class=1)
    written = write_comparison_plots(tmp_path / "plots", result)
    assert [path.name for path in written] == ["accuracy-cost.png", "learning-curve.png", "corruptions.png"]
    for path in written:
        with Image.open(path) as image:
            assert image.width >= 800
            assert np.asarray(image.convert("L")).std() > 10, "something is drawn"
    assert [path.name for path in write_comparison_plots(tmp_path / "plots", result_of(material))] == [
        "accuracy-cost.png"
    ]


def test_plots_without_matplotlib(material: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'cvbow\[report\]'"):
        write_comparison_plots(tmp_path / "plots", {"contenders": []})
    assert not (tmp_path / "plots").exists()


def test_the_command(tmp_path: Path, network: Path) -> None:
    data, output = write_dataset(tmp_path / "tiny"), tmp_path / "result.json"
    head = ("--classifier", "linear-svm")
    arguments = ("compare", data, "-w", "pixels", "-w", f"cnn={network}", *head, "--n-jobs", "1")
    result = run(*arguments, "-o", output)
    assert result.exit_code == 0, result.stderr
    document = json.loads(output.read_text(encoding="utf-8"))
    assert (document["kind"], document["classifier"]) == ("cvbow-comparison-result", "linear-svm")
    assert [row["name"] for row in document["contenders"]] == ["pixels", "cnn"]
    assert document["protocol"].startswith("5-fold")
    for row in document["contenders"]:
        line = next(line for line in result.stdout.splitlines() if line.startswith(f"{row['name']} "))
        assert f"{100 * row['mean_class_accuracy']['mean']:.1f}" in line
    repeated = json.loads(run(*arguments, "--json").stdout)
    assert repeated["pairs"] == document["pairs"]
    split = run("compare", write_split(tmp_path / "split"), "-w", "colors", "--markdown", "--quiet")
    assert split.exit_code == 0
    assert "| colors |" in split.stdout
    assert split.stderr == ""


def test_mistakes_are_one_clear_line(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "tiny")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    for arguments, code, expected in (
        ((data,), 2, "Missing option '--with'"),
        (("-w", "pixels"), 2, "give either DIR or --benchmark NAME"),
        ((data, "--benchmark", "digits-fast", "-w", "pixels"), 2, "give either DIR or --benchmark NAME"),
        ((data, "--data", tmp_path, "-w", "pixels"), 2, "--data needs --benchmark"),
        ((data, "-w", "slow"), 2, "backend must be one of auto, bow"),
        ((data, "-w", "none.onnx"), 1, "none.onnx"),
        ((data, "-w", broken), 1, "broken.onnx: not an ONNX network"),
        ((data, "-w", "pixels", "--curve", "5;6"), 2, "must be integers separated by commas"),
        ((data, "-w", "pixels", "-o", tmp_path / "no" / "r.json"), 1, "does not exist"),
        (("--benchmark", "oxford-affine", "-w", "pixels"), 2, "--benchmark must be one of classification"),
        (("--benchmark", "scene", "-w", "pixels"), 2, "benchmark must be one of"),
    ):
        result = run("compare", *arguments)
        assert result.exit_code == code, (arguments, result.output)
        assert expected in result.stderr
        assert "Traceback" not in result.stderr
