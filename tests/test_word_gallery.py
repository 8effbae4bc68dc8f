"""Galleries of words: patches, counts, weights and shares; the page and the command."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bags import PixelWords, dictionary
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from synthetic import textured

from cvbow.backends import BagEncoder, ChannelUnion, ColorHistogram, MultiCrop
from cvbow.classify import ImageClassifier, LinearSVM
from cvbow.dictionary import GaussianMixtureDictionary, KMeansDictionary, SphericalDictionary
from cvbow.encoders import LLC, VLAD, BagOfWords, Encoder, FisherVector, SoftThreshold, SpatialPyramid
from cvbow.errors import CvbowError, ImageError
from cvbow.explanation import WordGallery, explain, word_gallery
from cvbow.explanation.patches import cut_patch, even_contrast
from cvbow.features import ColorStatistics, DenseSIFT
from cvbow.parallel import executor
from cvbow.report.words import write_words_page
from cvbow_cli.main import cli

Pixels = NDArray[np.uint8]

IMAGES = [textured(45, 53, seed) for seed in range(9)]
LABELS = np.array(["a", "b", "c"] * 3)


def bags(encoder: Encoder, **options: Any) -> BagEncoder:
    pyramid = SpatialPyramid(encoder, grids=("1x1", "2x2"))
    return BagEncoder(DenseSIFT(step=8, bin_sizes=(4, 6), contrast_threshold=0.0), pyramid, **options)


BACKENDS = {
    "bow": bags(BagOfWords(KMeansDictionary(n_words=6))),
    "llc": bags(LLC(KMeansDictionary(n_words=6))),
    "soft threshold": bags(SoftThreshold(SphericalDictionary(n_words=4))),
    "vlad with the mirror": bags(VLAD(KMeansDictionary(n_words=6)), mirror=True),
    "fisher in pairs": bags(FisherVector(GaussianMixtureDictionary(n_words=4)), mirror="pairs"),
    "views": MultiCrop(bags(BagOfWords(KMeansDictionary(n_words=6)))),
    "union": ChannelUnion(
        [("bow", bags(BagOfWords(KMeansDictionary(n_words=6)))), ("vlad", bags(VLAD(KMeansDictionary(n_words=3))))]
    ),
}


@functools.cache
def trained(name: str) -> ImageClassifier:
    return ImageClassifier(BACKENDS[name], LinearSVM(shares=None)).fit(IMAGES, LABELS)


@functools.cache
def gallery_of(name: str) -> WordGallery:
    return word_gallery(trained(name), IMAGES, LABELS, n_patches=3)


@pytest.mark.parametrize("name", BACKENDS)
def test_the_shares_of_all_words_and_the_bias_are_the_mean_score(name: str) -> None:
    model, gallery = trained(name), gallery_of(name)
    scores = model.decision_function(IMAGES) - model.classifier_.intercept_
    for place, label in enumerate(model.classes_):
        own = label == LABELS
        assert sum(word.share[place] for word in gallery.words) == pytest.approx(scores[own, place].mean(), abs=1e-5)
        elsewhere = sum(word.share_elsewhere[place] for word in gallery.words)
        assert elsewhere == pytest.approx(scores[~own, place].mean(), abs=1e-5)


@pytest.mark.parametrize("name", BACKENDS)
def test_patches_are_the_nearest_of_each_image(name: str) -> None:
    model, gallery = trained(name), gallery_of(name)
    several = len(model.backend_.value_words) > 1
    for use in gallery.words:
        tables = [model.words(image, use.channel if several else None) for image in IMAGES]
        for word, patches in zip(use.words, use.patches, strict=True):
            nearest = sorted(
                (table.distance[table.word == word].min(), row)
                for row, table in enumerate(tables)
                if (table.word == word).any()
            )[:3]
            assert [(patch.distance, patch.path) for patch in patches] == [(d, f"image {row}") for d, row in nearest]
            for patch in patches:
                image = IMAGES[int(patch.path.split()[1])]
                np.testing.assert_array_equal(patch.pixels, cut_patch(image, np.array(patch.point, np.float32), 40))
        has = np.array([np.isin(table.word, use.words).any() for table in tables])
        assert use.n_images.tolist() == [int(has[label == LABELS].sum()) for label in gallery.classes]
        assert use.n_points == sum(int(np.isin(table.word, use.words).sum()) for table in tables)
        shares = np.array([np.isin(table.word, use.words).mean() for table in tables])
        means = [shares[label == LABELS].mean() for label in gallery.classes]
        np.testing.assert_allclose(use.frequency, means, rtol=1e-12)


def test_words_are_numbered_as_in_the_table() -> None:
    assert [word.words for word in gallery_of("fisher in pairs").words] == [(0, 2), (1, 3)]
    assert [word.name for word in gallery_of("fisher in pairs").words] == ["word 0", "word 1"]
    assert [word.words for word in gallery_of("soft threshold").words] == [(n,) for n in range(8)]
    expected = ["word 4 of bow", "word 5 of bow", "word 0 of vlad", "word 1 of vlad"]
    assert [word.name for word in gallery_of("union").words[4:8]] == expected


@pytest.mark.parametrize("name", ["fisher in pairs", "vlad with the mirror", "soft threshold", "union"])
def test_explanations_call_the_words_the_same(name: str) -> None:
    points = dict.fromkeys((word.name for word in gallery_of(name).words), 0)
    for image in IMAGES:
        for word in explain(trained(name), image).words:
            points[word.name] += word.n_points
    assert points == {word.name: word.n_points for word in gallery_of(name).words}


def test_a_weight_says_what_it_is() -> None:
    assert gallery_of("union").weight_is == {"bow": "mean", "vlad": "length"}
    coefficients = trained("bow").classifier_.coef_.reshape(3, 5, 6)
    weights = np.array([word.weight for word in gallery_of("bow").words])
    np.testing.assert_allclose(weights, coefficients.mean(axis=1).T, rtol=1e-6)
    coefficients = trained("fisher in pairs").classifier_.coef_.reshape(3, 5, 2, 2, -1)
    weights = np.array([word.weight for word in gallery_of("fisher in pairs").words])
    np.testing.assert_allclose(weights, np.sqrt((coefficients**2).sum(axis=(1, 2, 4))).T, rtol=1e-6)


def test_words_for_a_class_stand_in_the_order_of_their_shares() -> None:
    gallery = gallery_of("bow")
    found = gallery.words_for("b")
    assert [word.share[1] for word in found] == sorted((word.share[1] for word in gallery.words), reverse=True)
    assert gallery.words_for("b", 2) == found[:2]
    with pytest.raises(ValueError, match="'z' is not in list"):
        gallery.words_for("z")


def image_of(*words: int) -> Pixels:
    return np.array([words], np.uint8)


def counting(classifier: Any) -> ImageClassifier:
    """Words 1 and 2 are of one class, 3 of the other."""
    words = BagOfWords(dictionary(3), normalization="l1")
    images = [image_of(1, 1, 2), image_of(1, 2, 2), image_of(3, 3, 2), image_of(3, 3, 3)]
    return ImageClassifier(BagEncoder(PixelWords(), words), classifier).fit(images, ["low", "low", "up", "up"])


def word_of(model: ImageClassifier, value: int) -> int:
    return int(np.flatnonzero(model.backend_.encoder_.dictionary_.words_[:, 0] == 10 * (value - 1))[0])


@pytest.mark.parametrize("classifier", [LinearSVM(), LogisticRegression()])
def test_of_two_classes_each_has_weights_of_its_own(classifier: Any) -> None:
    model = counting(classifier)
    gallery = word_gallery(model, [image_of(1, 2), image_of(3, 3, 3, 1)], ["low", "up"])
    first, third = (gallery.words[word_of(model, value)] for value in (1, 3))
    coefficients = model.classifier_.coef_[0]
    assert first.weight.tolist() == pytest.approx([-coefficients[word_of(model, 1)], coefficients[word_of(model, 1)]])
    assert first.share.tolist() == pytest.approx([first.weight[0] / 2, first.weight[1] / 4])
    assert first.share_elsewhere.tolist() == pytest.approx([first.weight[0] / 4, first.weight[1] / 2])
    assert gallery.words_for("up")[0] is third
    assert third.n_images.tolist() == [0, 1]
    assert third.frequency.tolist() == [0, 0.75]


def test_without_linear_scores_frequency_decides() -> None:
    model = counting("rbf-svm")
    gallery = word_gallery(model, [image_of(1, 2), image_of(3, 3, 3, 1), image_of(2, 2)], ["low", "up", "low"])
    assert not gallery.is_linear
    assert model.class_weights is None
    assert np.isnan([word.share for word in gallery.words]).all()
    order = [word.words[0] for word in gallery.words_for("low")]
    assert order == [word_of(model, value) for value in (2, 1, 3)]  # 0.75 - 0, 0.25 - 0.25, 0 - 0.75


def test_classes_that_the_model_does_not_know_and_such_without_images() -> None:
    gallery = word_gallery(counting(LinearSVM()), [image_of(1, 2), image_of(3)], ["low", "other"])
    assert gallery.classes == ["low", "up", "other"]
    assert gallery.n_images.tolist() == [1, 0, 1]
    assert [len(gallery.words_for(name)) for name in gallery.classes] == [3, 0, 0]
    assert np.isfinite([word.share_elsewhere[:2] for word in gallery.words]).all()
    assert np.isnan([word.frequency[1] for word in gallery.words]).all()


def test_an_image_without_points_counts_as_an_image() -> None:
    gallery = word_gallery(counting(LinearSVM()), [image_of(0, 0), image_of(1)], ["low", "low"])
    assert gallery.n_images.tolist() == [2, 0]
    assert sum(word.frequency[0] for word in gallery.words) == 0.5
    empty = word_gallery(counting(LinearSVM()), [image_of(0, 0)], ["low"])
    assert [word.patches for word in empty.words] == [((),)] * 3
    assert [word.means for word in empty.words] == [(None,)] * 3


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_the_number_of_workers_changes_no_bit(name: str) -> None:
    with executor(name):
        trained("union").backend_.n_jobs = 2
        try:
            again = word_gallery(trained("union"), IMAGES, LABELS, n_patches=3)
        finally:
            trained("union").backend_.n_jobs = None
    for one, other in zip(gallery_of("union").words, again.words, strict=True):
        for field in ("n_images", "frequency", "weight", "share", "share_elsewhere"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        np.testing.assert_array_equal(one.means[0], other.means[0])
        for patch, same in zip(one.patches[0], other.patches[0], strict=True):
            assert (patch.path, patch.point, patch.distance) == (same.path, same.point, same.distance)


def test_what_cannot_be_done_is_told() -> None:
    model = trained("bow")
    found = word_gallery(model, [IMAGES[0], "missing.png"], ["a", "b"])
    assert [error.path for error in found.skipped] == ["missing.png"]
    assert found.n_images.tolist() == [1, 0, 0]
    with pytest.raises(ImageError, match="there is no such file"):
        word_gallery(model, [IMAGES[0], "missing.png"], ["a", "b"], strict=True)
    with pytest.raises(CvbowError, match="the image cannot be read"):
        word_gallery(model, ["missing.png"], ["a"])
    with pytest.raises(ValueError, match="one for each of the 2 images"):
        word_gallery(model, IMAGES[:2], ["a"])
    with pytest.raises(ValueError, match="n_patches must be"):
        word_gallery(model, IMAGES[:1], ["a"], n_patches=0)
    without = ImageClassifier(ColorHistogram()).fit(IMAGES, LABELS)
    with pytest.raises(ValueError, match="the model has no visual words"):
        word_gallery(without, IMAGES, LABELS)


def test_a_patch_is_what_is_around_the_point() -> None:
    image = textured(60, 70)
    point = np.array([29.5, 19.5, 16, 0], np.float32)
    np.testing.assert_array_equal(cut_patch(image, point, 16), image[12:28, 22:38])
    turned = np.array([29.5, 19.5, 16, 90], np.float32)
    # What lies in the direction of the angle, from the x axis towards the y axis, comes to lie to the right.
    np.testing.assert_array_equal(cut_patch(image, turned, 16), np.rot90(image[12:28, 22:38]))
    halved = image[4:36, 14:46].reshape(16, 2, 16, 2).mean(axis=(1, 3))
    large = cut_patch(image, np.array([29.5, 19.5, 32, -1], np.float32), 16).astype(float)
    np.testing.assert_allclose(large, halved, atol=1)
    color = np.stack([image, image // 2, image // 4], axis=2)
    assert cut_patch(color, point, 16).shape == (16, 16, 3)
    corner = cut_patch(image, np.array([0, 0, 16, 0], np.float32), 16)
    assert (corner[:8, :8] == image[0, 0]).all()
    assert cut_patch(np.full((1, 1), 7, np.uint8), np.array([0, 0, 1, -1], np.float32), 16).tolist() == [[7] * 16] * 16


def test_patches_are_in_colour_where_descriptors_are() -> None:
    images = [np.stack([image, image // 2, image // 3], axis=2) for image in IMAGES]
    channels = [("gray", BACKENDS["bow"]), ("color", BagEncoder(ColorStatistics(step=9), BACKENDS["bow"].encoder))]
    model = ImageClassifier(ChannelUnion(channels), LinearSVM(shares=None)).fit(images, LABELS)
    gallery = word_gallery(model, images, LABELS)
    shapes = {word.channel: {p.pixels.shape for patches in word.patches for p in patches} for word in gallery.words}
    assert shapes == {"gray": {(40, 40)}, "color": {(40, 40, 3)}}
    assert [model.words(images[0], name).gray_only for name in ("gray", "color")] == [True, False]


def test_gray_patches_come_to_one_contrast() -> None:
    patch = textured(16, 16)
    dark = (patch // 3 + 20).astype(np.uint8)
    plain = np.full((16, 16), 9, np.uint8)
    even = even_contrast(np.stack([patch, dark, plain])).astype(float)
    np.testing.assert_allclose(even[0], even[1], atol=3)
    assert even[0].mean() == pytest.approx(128, abs=1)
    assert (even[2] == 128).all()
    color = np.zeros((1, 4, 4, 3), np.uint8)
    assert even_contrast(color) is color


def page_of(path: Path, gallery: WordGallery, **options: Any) -> str:
    write_words_page(path / "words.html", gallery, title="Words", **options)
    return (path / "words.html").read_text()


def test_the_page_has_the_words_of_each_class_in_order(tmp_path: Path) -> None:
    gallery = gallery_of("bow")
    text = page_of(tmp_path, gallery, per_class=4)
    shown = re.findall(r"<b><bdi>(word \d+)</bdi></b>", text)
    assert shown == [word.name for name in "abc" for word in gallery.words_for(name, 4)]
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["a (3 images)", "b (3 images)", "c (3 images)"]
    assert text.count("<img ") == 2 * 12
    assert "A weight is the mean over the cells of the word's coefficient." in text
    assert "<dt>Shown for each class</dt><dd>4</dd>" in text
    assert "<script" not in text
    assert not re.search(r"(src|href)=\"(?!data:image/jpeg|#)", text)


def test_the_page_says_what_it_leaves_out(tmp_path: Path) -> None:
    whole = page_of(tmp_path, gallery_of("bow"), per_class=6)
    assert "too large" not in whole
    size = sum(map(len, re.findall(r'<figure class="word">.*?</figure>\n', whole, re.DOTALL)))
    part = page_of(tmp_path, gallery_of("bow"), per_class=6, limit=size // 2)
    assert part.count("<figure") in (6, 9)
    assert "More words would make the page too large." in part
    least = page_of(tmp_path, gallery_of("bow"), limit=size // 12)
    assert 0 < least.count("<figure") < 3
    assert "further class" in least


def test_pairs_stand_together_and_channels_are_named(tmp_path: Path) -> None:
    pairs = page_of(tmp_path, gallery_of("fisher in pairs"))
    assert "<b><bdi>word 0</bdi></b>" in pairs
    assert "the mirror of word 0" in pairs
    assert "<dt>Pairs of words</dt><dd>2</dd>" in pairs
    assert pairs.count('<div class="patches">') + pairs.count("is in none of the images") == 2 * pairs.count("<figure")
    union = page_of(tmp_path, gallery_of("union"))
    assert "<b><bdi>word 1 of vlad</bdi></b>" in union
    assert "<dt>Channels</dt><dd>2</dd>" in union
    assert "A weight of vlad is the length of the word" in union


def test_a_page_of_frequencies_and_of_names_that_are_no_html(tmp_path: Path) -> None:
    images = [image_of(1, 2), image_of(3, 3)]
    words = BagOfWords(dictionary(3))
    model = ImageClassifier(BagEncoder(PixelWords(), words), "rbf-svm").fit([*images, image_of(1)], ["<b>", "x", "<b>"])
    text = page_of(tmp_path, word_gallery(model, [*images, "no<i>.png"], ["<b>", "x", "x"]))
    assert "&lt;b&gt; (1 image)" in text
    assert "no&lt;i&gt;.png" in text
    assert "no sums over visual words" in text
    assert "of the points" in text
    assert "is in none of the images" not in text


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["words", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def model_file(tmp_path: Path, tiny_dataset: Path) -> Path:
    paths = sorted(tiny_dataset.glob("*/*.png"))
    backend = bags(BagOfWords(KMeansDictionary(n_words=8)))
    path = tmp_path / "tiny.cvbow"
    ImageClassifier(backend).fit(paths, [path.parent.name for path in paths]).save(path)
    return path


def test_the_command_prints_a_table_and_writes_a_page(model_file: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    (tiny_dataset / "checker" / "bad.png").write_bytes(b"no image")
    page = tmp_path / "words.html"
    result = run(model_file, tiny_dataset, "-o", page, "--per-class", 3)
    assert result.exit_code == 0
    rows = result.stdout.splitlines()
    assert rows[0].split() == ["class", "images", "words", "that", "give", "most", "to", "the", "score"]
    assert [row.split()[:2] for row in rows[1:4]] == [["checker", "6"], ["horizontal", "6"], ["vertical", "6"]]
    assert rows[-1] == f"page  {page}"
    assert "1 image skipped" in result.stderr
    assert page.read_text().count("<figure") == 9
    assert "bad.png" in page.read_text()


def test_json_has_all_words_and_where_they_are(model_file: Path, tiny_dataset: Path) -> None:
    result = run(model_file, tiny_dataset, "--json", "--patches", 2, "-q")
    document = json.loads(result.stdout)
    assert document["classes"][0] == {"class": "checker", "images": 6}
    assert document["skipped"] == []
    gallery = word_gallery(
        ImageClassifier.load(model_file), paths := sorted(tiny_dataset.glob("*/*.png")), [p.parent.name for p in paths]
    )
    assert len(document["words"]) == 8
    for row, word in zip(document["words"], gallery.words, strict=True):
        assert (row["channel"], row["words"], row["n_points"]) == ("all", list(word.words), word.n_points)
        assert row["word"] == word.words[0]
        for field in ("n_images", "frequency", "weight", "share", "share_elsewhere"):
            assert row[field] == dict(zip(gallery.classes, getattr(word, field).tolist(), strict=True))
        expected = [{"path": p.path, "box": list(p.box), "distance": p.distance} for p in word.patches[0][:2]]
        assert row["nearest"] == [expected]


def test_mistakes_are_one_line(model_file: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    without = tmp_path / "colors.cvbow"
    paths = sorted(tiny_dataset.glob("*/*.png"))
    ImageClassifier(ColorHistogram()).fit(paths, [path.parent.name for path in paths]).save(without)
    result = run(without, tiny_dataset, "-q")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "the model has no visual words" in result.stderr
    result = run(model_file, tiny_dataset, "-o", tmp_path / "words.txt")
    assert result.exit_code == 2
    assert "must end in .html" in result.stderr
    result = run(model_file, tiny_dataset / "checker", "-q")
    assert result.exit_code == 1
    page = tmp_path / "own.html"
    page.write_text("mine")
    assert run(model_file, tiny_dataset, "-o", page).exit_code == 2
    assert page.read_text() == "mine"
