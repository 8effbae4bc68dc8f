"""What is said of a set that looks as if it were laid out wrong, and what is not said of one that is right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from notes import Notes
from PIL import Image

from cvbow import ImageClassifier, list_images
from cvbow.backends import ColorHistogram
from cvbow.images import layout_doubts
from cvbow.progress import reporting
from cvbow_cli.main import cli


def write(root: Path, *names: str) -> None:
    """Write files that differ, each of the bytes of its own name after its last ``=``, or of its name."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.stem.split("=")[-1])


def doubts(root: Path) -> list[str]:
    return layout_doubts(root, list_images(root, several=True))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["cat/1.jpg", "dog/2.jpg", "dog/old/3.jpg"], []),
        (["images/1.jpg", "Masks/2.jpg"], ["the classes are called images, Masks: is this a folder of classes?"]),
        (["images/1.jpg", "dog/2.jpg"], []),
        (
            ["2021/cat/1.jpg", "2021/dog/2.jpg", "2022/cat/3.jpg", "2022/dog/4.jpg", "2022/eel/5.jpg"],
            ["each class has the same folders cat, dog: are these the classes?"],
        ),
        (["2021/cat/1.jpg", "2021/dog/2.jpg", "2022/cat/3.jpg", "2022/dog/4.jpg", "2022/5.jpg"], []),
        (["2021/cat/1.jpg", "2021/dog/2.jpg", "2022/cat/3.jpg"], []),
        (
            ["photos/cat/1.jpg", "photos/dog/2.jpg"],
            ["the only class is photos, and in it are the folders cat, dog: is photos the folder of classes?"],
        ),
        (["train/a/1.jpg", "train/b/2.jpg", "test/a/3.jpg", "test/c/4.jpg"], []),
        (
            ["train/a/1.jpg", "train/b/2.jpg", "test/a/3=1.jpg", "test/b/4.jpg", "val/a/5.jpg"],
            ["1 images of test are also in train, byte for byte; cvbow audit lists them"],
        ),
        (
            ["train/a/1.jpg", "train/b/2.jpg", "test/a/3=1.jpg", "test/b/4=2.jpg"],
            ["test is part of train: all 2 of its images are there, byte for byte"],
        ),
        (
            ["train/a/1.jpg", "train/b/2.jpg", "val/A/3.jpg", "val/B/4.jpg"],
            ["no class of validation is one of train: they are A, B"],
        ),
        (["val/a/3.jpg", "test/b/4=3.jpg"], []),  # without train there is nothing to be part of
    ],
)
def test_what_is_said(tmp_path: Path, names: list[str], said: list[str]) -> None:
    write(tmp_path, *names)
    assert doubts(tmp_path) == said


def test_a_list_of_files(tmp_path: Path) -> None:
    write(tmp_path, "1.jpg", "copy=1.jpg")
    rows = "path,labels,split\n1.jpg,a|b,train\ngone.jpg,a,train\ncopy=1.jpg,b,test\nalso-gone.jpg,c,test\n"
    (tmp_path / "list.csv").write_text(rows)
    assert doubts(tmp_path / "list.csv") == [
        "1 images of test are also in train, byte for byte; cvbow audit lists them"
    ]


def test_a_model_knows_what_it_has_learned_from(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = [random.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(8)]
    paths = []
    for number, array in enumerate(arrays[:6]):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(array).save(paths[-1])
    labels = ["a", "b"] * 3
    model = ImageClassifier(ColorHistogram()).fit([*paths[:4], *arrays[4:6]], labels)
    model.save(tmp_path / "model.cvbow")
    loaded = ImageClassifier.load(tmp_path / "model.cvbow")
    seen = loaded.has_seen([*paths[:4], *paths[4:], *arrays[4:6], arrays[6], "gone.png"])
    # Files are known by their bytes, pixels by their values: the same picture as the other of the two is another.
    assert seen.tolist() == [True] * 4 + [False] * 2 + [True] * 2 + [False] * 2
    notes = Notes()
    with reporting(notes):
        loaded.evaluate(paths[:4], labels[:4])
        loaded.evaluate(paths[2:], labels[2:])
        loaded.evaluate(paths[4:], labels[4:])
    all_of_them = "warning: the model has learned from all of these images: this tells what it remembers, not more"
    assert notes.lines == [
        all_of_them,
        "warning: the model has learned from 2 of these 4 images, which it may remember",
    ]
    loaded.seen_ = None  # as in files from before
    assert not loaded.has_seen(paths).any()


def test_commands_say_it(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 2)):
        for number in range(count):
            path = tmp_path / "set" / split / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    (tmp_path / "set" / "test" / "a" / "0.png").write_bytes((tmp_path / "set" / "train" / "a" / "0.png").read_bytes())
    model = str(tmp_path / "m.cvbow")
    trained = CliRunner().invoke(cli, ["train", str(tmp_path / "set"), "-o", model, "--set", "channels=colors"])
    line = "warning: 1 images of test are also in train, byte for byte; cvbow audit lists them"
    assert trained.exit_code == 0
    assert line in trained.stderr.splitlines()
    judged = CliRunner().invoke(cli, ["evaluate", model, str(tmp_path / "set"), "--json"])
    assert json.loads(judged.stdout)["n_images"] == 2
    assert line in judged.stderr.splitlines()
    assert "warning: the model has learned from 1 of these 2 images, which it may remember" in judged.stderr
