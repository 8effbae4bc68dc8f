"""What a notebook shows of results: tables, and pictures of points and of heat."""

from __future__ import annotations

import base64
import html.parser
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvbow import Features, ImageClassifier, ImageIndex, ImageList, Objects, explain, match_images
from cvbow.backends import BagEncoder, ColorHistogram
from cvbow.classify import Answers
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords
from cvbow.features import DenseSIFT
from cvbow.index import Result, Results
from cvbow.retrieval import ImageVectors
from cvbow.tables import Table


class Cells(html.parser.HTMLParser):
    """The texts of a page's cells, row by row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: object) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def shown(page: str) -> np.ndarray:
    """The pixels of the first picture of a page."""
    data = re.search(r'src="data:image/png;base64,([^"]+)"', page)
    assert data is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.group(1)))).convert("RGB"))


@pytest.fixture(scope="module")
def striped() -> tuple[ImageClassifier, list[np.ndarray]]:
    """A model that tells upright stripes from others, by words."""
    y, x = np.mgrid[:48, :48]
    rng = np.random.default_rng(0)
    images = [np.uint8(127 + 100 * np.sin((x if turn % 2 else y) / (1.5 + rng.random()))) for turn in range(12)]
    backend = BagEncoder(DenseSIFT(step=8), BagOfWords(KMeansDictionary(n_words=8)))
    return ImageClassifier(backend).fit(images, ["lying", "<upright>"] * 6), images


def test_a_table_in_html_has_its_cells_and_no_markup_of_names() -> None:
    table = Table(("class", "images"), [("<b>", "12"), ("cat & dog", "3")], title="of <all>", notes="1 < 2")
    page = table._repr_html_()
    assert Cells(page).rows == [["class", "images"], ["<b>", "12"], ["cat & dog", "3"]]
    assert "<b>" not in page
    assert "<caption>of &lt;all&gt;</caption>" in page
    assert page.endswith("<p>1 &lt; 2</p>")
    assert page.count("text-align: right") == 3  # the figures and their head


def test_a_report_shows_what_the_command_prints(striped: tuple[ImageClassifier, list[np.ndarray]]) -> None:
    model, images = striped
    report, answers = model.evaluate(images, ["lying", "<upright>"] * 6)
    rows = Cells(report._repr_html_()).rows
    assert ["accuracy", f"{report.accuracy:.4f}"] in rows
    assert ["class", "images", "recall", "precision"] in rows
    told = [row for table in report.tables() for row in [*([table.heads] if table.heads else []), *table.rows]]
    assert rows == [list(row) for row in told]
    several = model.__class__(model.backend, model.classifier).fit(images, [["a", "b"], ["b"]] * 6)
    labels, _ = several.evaluate(images, [["a", "b"], ["b"]] * 6)
    assert ["F1", f"{labels.macro_f1:.4f} mean over labels, {labels.micro_f1:.4f} over all answers"] in Cells(
        labels._repr_html_()
    ).rows
    assert len(answers.labels) == 12


@pytest.mark.pandas
def test_answers_become_a_data_frame(striped: tuple[ImageClassifier, list[np.ndarray]], tmp_path: Path) -> None:
    import pandas

    model, images = striped
    answers = model.answer([images[0], tmp_path / "none.png", images[1]])
    frame = answers.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.index.tolist() == [0, 2]
    assert frame["label"].tolist() == answers.labels.tolist()
    for column, name in enumerate(model.classes_):
        np.testing.assert_array_equal(frame[f"probability of {name}"], answers.probabilities[:, column])
    assert ("stranger" in frame) == (answers.strangers is not None)
    assert len(model.answer([]).to_frame()) == 0
    names = np.array(["crane", "cat", "crane"])
    twice = Answers(np.array(["cat"]), np.array([[0.2, 0.5, 0.3]]), np.array([0]), [], classes=names).to_frame()
    assert twice.iloc[0, 1:].tolist() == [0.2, 0.5, 0.3]


def test_answers_show_the_first_of_many(striped: tuple[ImageClassifier, list[np.ndarray]], tmp_path: Path) -> None:
    model, images = striped
    answers = model.answer([*images, *images, tmp_path / "none.png"])
    (table,) = answers.tables()
    assert len(table.rows) == 20
    assert table.notes == "4 more. 1 could not be read."
    assert list(table.rows[0][:2]) == ["0", answers.labels[0]]
    assert Cells(answers._repr_html_()).rows[1][2] == f"{answers.probabilities[0].max():.3f}"


def test_an_explanation_shows_its_heat_and_its_sum(
    striped: tuple[ImageClassifier, list[np.ndarray]], tmp_path: Path
) -> None:
    model, images = striped
    why = explain(model, images[1])
    page = why._repr_html_()
    rows = Cells(page).rows
    assert ["score", f"{why.score:+.4f}"] in rows
    assert ["image", f"{why.heat_sum:+.4f}"] in rows
    assert "<upright>" not in page
    strongest = np.unravel_index(np.argmax(why.heat), why.heat.shape)
    red, _, blue = shown(page)[strongest].astype(int)
    assert red > blue  # vermillion speaks for the class
    Image.fromarray(images[1]).save(tmp_path / "stripes.png")
    over = explain(model, tmp_path / "stripes.png").picture()
    assert over.shape == (48, 48, 3)
    assert (over != why.picture()).any()  # the image is under the heat


def test_features_show_their_points() -> None:
    points = np.array([[20, 30, 16, -1], [50, 10, 8, 90]], np.float32)
    features = Features(points, np.zeros((2, 128), np.float32), image_size=(64, 48))
    page = features._repr_html_()
    assert "2 points in 64 x 48 pixels, each with 128 values" in page
    pixels = shown(page)
    assert pixels.shape == (48, 64, 3)
    drawn = pixels[..., 0] < 128
    assert drawn[30, 28]  # on the circle
    assert not drawn[30, 20]  # its centre, which has no angle
    assert drawn[12, 50]  # the line along its angle, downwards
    nothing = Features(np.zeros((0, 4), np.float32), np.zeros((0, 128), np.float32), (8, 8))
    assert (nothing.picture() == 255).all()


def test_objects_show_a_row_each() -> None:
    found = Objects.of([[1, 2, 30, 40.25]], ["dog"], [0.5])
    assert Cells(found._repr_html_()).rows[1] == ["dog", "0.500", "1", "2", "30", "40.2"]


def test_a_ranking_shows_its_rows_and_the_first_images(tmp_path: Path) -> None:
    paths = [tmp_path / f"<{number}>.png" for number in range(8)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((20, 30, 3), (30 * number, 0, 0), np.uint8)).save(path)
    describer = ImageVectors(ColorHistogram(), whiten=False).fit(paths)
    with ImageIndex.build(tmp_path / "images.index", describer) as index:
        index.add(paths)
        found = index.search(paths[3], k=8)
    assert found[0].file == str(paths[3])
    assert repr(found[0]) == f"Result({found[0].path!r}, score={found[0].score:.3g})"
    assert [row[1] for row in Cells(found._repr_html_()).rows[1:]] == [result.path for result in found]
    ranking = Results(Result(path.name, 1 - 0.1 * rank, row=rank, file=str(path)) for rank, path in enumerate(paths))
    page = ranking._repr_html_()
    assert page.count("<img") == 6
    assert (shown(page)[0, 0] == (0, 0, 0)).all()
    assert "<3>" not in page
    paths[3].unlink()  # an image that is gone is no error
    assert ranking._repr_html_().count("<img") == 5
    assert "20 more." in Results([Result("a.jpg", 0.5, row=0)] * 40).html()
    assert "Nothing was found." in Results().html()
    assert type(ranking[:3]) is Results
    assert ranking[1:3].html().count("<img") == 2
    assert ranking[-1] is list(ranking)[-1]


def test_matches_show_what_they_agree_on() -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8).repeat(8, 0).repeat(8, 1)
    found = match_images(image, image[:, 16:])
    assert repr(found) == f"MatchResult({len(found)} pairs, {found.n_inliers} agree with a homography map)"
    rows = Cells(found._repr_html_()).rows
    assert ["agreeing with a homography map", str(found.n_inliers)] in rows
    assert rows[-1] == [f"{value:.4g}" for value in found.matrix[2]]
    assert repr(match_images(image, image, model=None)).count("agree") == 0


def test_a_list_of_images_shows_its_classes() -> None:
    images = ImageList((Path("1"), Path("2"), Path("3")), ("<cat>", "dog", "dog"), ("train", "train", "test"))
    rows = Cells(images._repr_html_()).rows
    assert rows == [["class", "images", "test", "train"], ["<cat>", "1", "0", "1"], ["dog", "2", "1", "1"]]
    assert "<cat>" not in images._repr_html_()


def test_a_line_tells_what_there_is(striped: tuple[ImageClassifier, list[np.ndarray]], tmp_path: Path) -> None:
    model, images = striped
    answers = model.answer([images[0], images[2], images[1], tmp_path / "none.png"])
    assert repr(answers) == "Answers(3 images: lying 2, <upright> 1; 1 skipped)"
    assert repr(model.answer([])) == "Answers(0 images)"
    why = explain(model, images[1])
    words = len(why.words)
    assert repr(why) == f"Explanation(<upright> {why.score:+.3f} of 48x48 pixels, {words} words, exact)"
    assert len(repr(why.words[0])) < 80
