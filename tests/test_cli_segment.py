"""``cvbow segment``: train, apply and evaluate, and what they say of what cannot be used."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from masked_images import scene, write_masked
from PIL import Image

from cvbow import Segmenter, read_image, storage
from cvbow.segmentation import read_mask
from cvbow_cli.main import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["segment", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images and masks, five to train on and two to test with, and a model."""
    root = tmp_path_factory.mktemp("segment")
    write_masked(root / "train", 5)
    write_masked(root / "test", 2, first=5)
    (root / "train" / "masks" / "classes.txt").write_text("noise\nstripes\n")
    train = root / "train"
    done = run(
        "train",
        train / "images",
        train / "masks",
        "-o",
        root / "model.cvbow",
        "--classifier",
        "decision-tree",
        "--json",
    )
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["n_images"], document["classes"]) == (5, ["noise", "stripes"])
    assert document["skipped"] == document["without_mask"] == document["without_image"] == []
    return root


def test_masks_are_written(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "found"
    more = ("--overlay", "--probabilities", "--uncertainty", "--json", "--n-jobs", 2)
    done = run("apply", folder / "model.cvbow", folder / "test" / "images", "-o", out, *more)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["mask"] for row in rows] == [str(out / "5.png"), str(out / "6.png")]
    model = Segmenter.load(folder / "model.cvbow")
    for row in rows:
        found = model.segment(row["path"])
        mask = read_mask(row["mask"])
        np.testing.assert_array_equal(mask, found.mask())
        assert row["shares"] == {"noise": pytest.approx((mask == 0).mean()), "stripes": pytest.approx(mask.mean())}
        name = Path(row["mask"]).name
        written = read_image(out / "probabilities" / "stripes" / name).astype(float) / 255
        np.testing.assert_allclose(written, found.probabilities()[1], atol=0.51 / 255)
        written = read_image(out / "uncertainty" / name).astype(float) / 255
        np.testing.assert_allclose(written, found.uncertainty(), atol=0.51 / 255)
        assert read_image(out / "overlay" / name).ndim == 3
    first = (out / "5.png").read_bytes()
    again = run("apply", folder / "model.cvbow", folder / "test" / "images", "-o", out)
    assert again.exit_code == 0, "what cvbow has written may be replaced"
    assert (out / "5.png").read_bytes() == first
    assert "stripes" in again.stdout


def test_nothing_is_lost(folder: Path, tmp_path: Path) -> None:
    images = folder / "test" / "images"
    done = run("apply", folder / "model.cvbow", images, "-o", images)
    assert done.exit_code == 2
    assert "another folder" in done.stderr
    assert sorted(os.listdir(images)) == ["5.bmp", "6.bmp"]
    (tmp_path / "5.png").write_bytes(b"somebody's own")
    done = run("apply", folder / "model.cvbow", images, "-o", tmp_path)
    assert done.exit_code == 2
    assert "--force" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["5.png"]
    twice = tmp_path / "twice"
    twice.mkdir()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(twice / "5.png")
    done = run("apply", folder / "model.cvbow", images, twice, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert "5.bmp and " in done.stderr
    assert "would both be written to 5.png" in done.stderr
    done = run("apply", folder / "model.cvbow", twice / "5.png", "-o", twice)
    assert done.exit_code == 2
    assert "is an input of this command" in done.stderr
    assert read_image(twice / "5.png").shape == (9, 9)


def test_an_image_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"not an image")
    done = run(
        "apply", folder / "model.cvbow", tmp_path / "bad.jpg", folder / "test" / "images", "-o", tmp_path, "--json"
    )
    assert done.exit_code == 1
    rows = json.loads(done.stdout)
    assert "error" in rows[0]
    assert [Path(row["mask"]).name for row in rows[1:]] == ["5.png", "6.png"]
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run("apply", folder / "model.cvbow", empty, "-o", tmp_path)
    assert done.exit_code == 1
    assert "no images in this folder" in done.stderr


def test_an_evaluation_and_its_page(folder: Path, tmp_path: Path) -> None:
    test = folder / "test"
    page = tmp_path / "page.html"
    done = run("evaluate", folder / "model.cvbow", test / "images", test / "masks", "--json", "--report", page)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert list(document["iou"]) == ["noise", "stripes"]
    assert document["mean_iou"] == pytest.approx(np.mean(list(document["iou"].values())))
    assert 0 <= document["boundary_f"] <= 1
    model = Segmenter.load(folder / "model.cvbow")
    right = [(model.predict(test / "images" / f"{n}.bmp") == read_mask(test / "masks" / f"{n}.png")) for n in (5, 6)]
    assert document["pixel_accuracy"] == pytest.approx(np.mean(right))
    text = page.read_text()
    assert storage.kind_of(page) == "page"
    assert text.count("data:image/jpeg") == 2
    worst = min(document["images"], key=lambda one: one["mean_iou"])
    assert text.index(Path(worst["path"]).name) < text.rindex("</figure>")
    first, second = (text.index(f"<wbr>{name}" if f"<wbr>{name}" in text else name) for name in ("5.bmp", "6.bmp"))
    assert (first < second) == (Path(worst["path"]).stem == "5")
    told = run("evaluate", folder / "model.cvbow", test / "images", test / "masks")
    assert f"mean IoU             {100 * document['mean_iou']:.1f} %" in told.stdout


def test_what_has_no_partner_is_told(folder: Path, tmp_path: Path) -> None:
    for number in range(4):
        image, mask = scene(number, (48, 64))
        for name, pixels, is_left_out in (("images", image, number == 3), ("masks", mask, number == 0)):
            (tmp_path / name).mkdir(exist_ok=True)
            if not is_left_out:
                Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "masks" / "2.png")
    given = (tmp_path / "images", tmp_path / "masks", "-o", tmp_path / "m.cvbow", "--classifier", "decision-tree")
    done = run("train", *given)
    assert done.exit_code == 0, done.output
    assert "1 images have no mask: 0.png; they are left out" in done.stderr
    assert "1 masks have no image: 3.png; they are left out" in done.stderr
    assert "2.png: the mask is 5 x 5 pixels, and its image 64 x 48" in done.stderr
    assert "images      1, 1 skipped" in done.stdout
    strict = run("train", *given, "--strict")
    assert strict.exit_code == 1
    assert "no mask" in strict.stderr


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--unknown", "300"), 2, "0 to 255, or none"),
        (("--classifier", "none"), 2, "classifier"),
        (("--classes", "a,a"), 2, "different names"),
        (("--classes", "noise"), 1, "none of the 5 images could be used"),
    ],
)
def test_mistakes_of_training(folder: Path, tmp_path: Path, more: tuple[str, str], code: int, said: str) -> None:
    train = folder / "train"
    done = run("train", train / "images", train / "masks", "-o", tmp_path / "m.cvbow", *more)
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert not (tmp_path / "m.cvbow").exists()


def test_info_shows_a_segmenter(folder: Path) -> None:
    done = CliRunner().invoke(cli, ["info", str(folder / "model.cvbow"), "--json"])
    document = json.loads(done.stdout)
    assert (document["kind"], document["classes"]) == ("segmenter", ["noise", "stripes"])
    assert (document["n_images"], document["parameters"]["superpixel_size"]) == (5, 10)
