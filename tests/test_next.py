"""Which images to label next: unsure and unlike each other, in Python, as a list and as a page."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from notes import Notes
from PIL import Image

from cvbow import CvbowError, ImageClassifier, images_to_label, list_images
from cvbow.backends import ColorHistogram, RawPixels
from cvbow.classify import ImagesToLabel
from cvbow.progress import reporting
from cvbow_cli.main import cli

BLACK, WHITE = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)


def half(black: int, color: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """An image of so many black rows, and a colour below."""
    image = np.zeros((8, 8, 3), np.uint8)
    image[black:] = color
    return image


@pytest.fixture(scope="module")
def model() -> ImageClassifier:
    return ImageClassifier(RawPixels(size=8, n_components=None)).fit([half(7), half(1)] * 4, ["black", "white"] * 4)


def test_the_unsure_first_and_copies_last(model: ImageClassifier) -> None:
    images = [half(6), half(2), half(4), half(4), half(4).transpose(1, 0, 2).copy()]
    chosen = images_to_label(model, images, n_images=5)
    order = chosen.rows.tolist()
    # Half of each, in two ways; then those that are clear; the copy of the first has nothing more to teach.
    assert set(order[:2]) == {2, 4}
    assert order[-1] == 3
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert chosen.labels.tolist() == [model.predict([images[row]])[0] for row in order]
    np.testing.assert_allclose(chosen.probabilities, model.predict_proba([images[row] for row in order]))
    assert images_to_label(model, images, n_images=2).rows.tolist() == order[:2]


def test_it_is_the_greedy_determinant(model: ImageClassifier) -> None:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(9)]
    order = images_to_label(model, images, n_images=4).rows.tolist()
    vectors = model.backend_.encode_images(images).vectors.astype(np.float64)
    probabilities = model.predict_proba(images)
    gradients = probabilities - np.eye(2)[probabilities.argmax(axis=1)]
    products = (vectors @ vectors.T) * (gradients @ gradients.T)
    for step in range(4):
        left = [row for row in range(9) if row not in order[:step]]
        spans = [np.ix_([*order[:step], row], [*order[:step], row]) for row in left]
        assert left[int(np.argmax([np.linalg.det(products[span]) for span in spans]))] == order[step]


def test_many_images_in_parts_are_as_at_once(model: ImageClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(30)]
    at_once = images_to_label(model, images, n_images=2).rows.tolist()
    module = sys.modules[ImagesToLabel.__module__]
    monkeypatch.setattr(module, "_LEAST", 4)
    monkeypatch.setattr(module, "_TIMES", 4)
    few = images_to_label(model, images, n_images=2)
    assert at_once[0] == few.rows[0]  # the unsurest is among the candidates of any part
    squares = ((few.probabilities - np.eye(2)[few.probabilities.argmax(axis=1)]) ** 2).sum(axis=1)
    assert len(few.rows) == 2
    assert (squares > 0).all()


def test_what_is_left_out(model: ImageClassifier, tmp_path: Path) -> None:
    notes = Notes()
    with reporting(notes):
        chosen = images_to_label(model, [half(7), tmp_path / "gone.png", half(4)])
    assert chosen.rows.tolist() == [2]
    assert [Path(error.path).name for error in chosen.skipped] == ["gone.png"]
    assert "1 image left out: the model has learned from them" in notes.lines
    with pytest.raises(CvbowError, match="the model has learned from all of them"):
        images_to_label(model, [half(7), half(1)])
    with pytest.raises(CvbowError, match="the image cannot be read: "):
        images_to_label(model, [tmp_path / "gone.png"])
    with pytest.raises(ValueError, match="n_images must be an integer >= 1, got 0"):
        images_to_label(model, [half(4)], n_images=0)


def test_several_labels_an_image() -> None:
    images = [half(6), half(2, (255, 0, 0)), half(2), half(6, (255, 0, 0))] * 3
    labels = [["dark"], ["red"], [], ["dark", "red"]] * 3
    model = ImageClassifier(ColorHistogram()).fit(images, labels)
    chosen = images_to_label(model, [BLACK, half(4, (255, 0, 0)), half(4)], n_images=3)
    assert sorted(chosen.rows.tolist()) == [0, 1, 2]
    assert chosen.labels == [
        model.answer([[BLACK, half(4, (255, 0, 0)), half(4)][row]]).labels[0] for row in chosen.rows
    ]


def test_the_command(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    folder = tmp_path / "new"
    for number in range(6):
        (folder / "sub").mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / "sub" / f"ü {number}.png")
    (folder / "broken.png").write_bytes(b"no image")
    ImageClassifier(ColorHistogram()).fit([BLACK, WHITE] * 3, ["a, b", "c"] * 3).save(tmp_path / "m.cvbow")
    listed, page = folder / "list.csv", tmp_path / "page.html"
    command = ["next", str(tmp_path / "m.cvbow"), str(folder), "-n", "4", "--csv", str(listed), "--report", str(page)]
    shown = CliRunner().invoke(cli, command)
    assert shown.exit_code == 0, shown.output
    assert "1 image skipped:" in shown.stderr
    rows = list(csv.DictReader(listed.read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["path", "label", "guess", "probability"]
    assert [row["label"] for row in rows] == [""] * 4
    assert {row["guess"] for row in rows} <= {"a, b", "c"}
    assert [line.split("\t")[0] for line in shown.stdout.splitlines()[:4]] == [
        str(folder / row["path"]) for row in rows
    ]
    html = page.read_text(encoding="utf-8")
    assert html.count("<figure>") == 4
    assert "a, b" in html
    # What a person has filled in is not lost, and is what train takes.
    again = CliRunner().invoke(cli, command)
    assert again.exit_code == 2
    assert "--force replaces it" in again.stderr
    text = listed.read_text(encoding="utf-8").replace(",,", ",d,")
    listed.write_text(text, encoding="utf-8")
    assert list_images(listed).counts == {"d": 4}
    document = json.loads(CliRunner().invoke(cli, [*command[:5], "--json"]).stdout)
    assert [row["path"] for row in document["images"]] == [str(folder / row["path"]) for row in rows]
    assert set(document["images"][0]["scores"]) == {"a, b", "c"}
    assert [Path(row["path"]).name for row in document["skipped"]] == ["broken.png"]
