"""``cvbow augment``, and ``cvbow train --augment``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cvbow.augmentation import parse_saved_name
from cvbow.images import read_image
from cvbow_cli.main import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("left", "right"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            noise = rng.integers(0, 256, (12, 10) if name == "left" else (10, 12)).astype(np.uint8)
            large = np.kron(noise, np.ones((6, 6), np.uint8))
            Image.fromarray(large).save(tmp_path / "photos" / name / f"p_{number}.png")
    return tmp_path / "photos"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_variants_are_written_by_class_and_tell_their_source(photos: Path, tmp_path: Path) -> None:
    done = run("augment", photos, "-o", tmp_path / "out", "-n", 3, "--json", "--quiet")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["n_images"] == 8
    assert document["n_written"] == 24
    assert document["classes"] == {"left": 12, "right": 12}
    assert document["skipped"] == []
    written = sorted((tmp_path / "out").rglob("*.png"))
    assert len(written) == 24
    sources = [*sorted((photos / "left").iterdir()), *sorted((photos / "right").iterdir())]
    for path in written:
        stem, index, number = parse_saved_name(path)
        assert sources[index].stem == stem
        assert sources[index].parent.name == path.parent.name
        assert 0 <= number < 3
        assert read_image(path).shape == read_image(sources[index]).shape
    assert len(set(files(tmp_path / "out").values())) == 24


def test_a_folder_without_classes(photos: Path, tmp_path: Path) -> None:
    done = run("augment", photos / "left", "-o", tmp_path / "out", "-n", 2, "--quiet")
    assert done.exit_code == 0, done.output
    found = sorted(files(tmp_path / "out"))
    assert found == [f"p_{index}_{index}_{number}.png" for index in range(4) for number in range(2)]


def test_the_same_for_any_number_of_workers_and_another_for_another_seed(photos: Path, tmp_path: Path) -> None:
    for name, options in (("a", ["--n-jobs", 1]), ("b", ["--n-jobs", 3]), ("c", ["--seed", 1])):
        assert run("augment", photos, "-o", tmp_path / name, "-n", 2, "-q", *options).exit_code == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a") != files(tmp_path / "c")


def test_options_are_the_augmenters(photos: Path, tmp_path: Path) -> None:
    done = run("augment", photos, "-o", tmp_path / "out", "--vertical-flip", "-n", 8, "-q")
    assert done.exit_code == 0
    source = read_image(photos / "left" / "p_0.png")
    found = [read_image(path) for path in sorted((tmp_path / "out" / "left").glob("p_0_0_*.png"))]
    turned = [np.array_equal(image, source[::-1]) for image in found]
    assert all(flip or np.array_equal(image, source) for flip, image in zip(turned, found, strict=True))
    assert 0 < sum(turned) < 8
    shifted = run(
        "augment", photos, "-o", tmp_path / "shift", "--width-shift-range", "3,5", "--fill-mode", "wrap", "-q"
    )
    assert shifted.exit_code == 0
    image = read_image(tmp_path / "shift" / "left" / "p_0_0_0.png")
    assert any(np.array_equal(image, np.roll(source, by, axis=1)) for by in (-5, -3, 3, 5))


def test_it_writes_into_no_folder_with_images_or_files(photos: Path, tmp_path: Path) -> None:
    before = files(photos)
    for target in (photos, photos / "out", photos / "left", tmp_path):
        done = run("augment", photos, "-o", target)
        assert done.exit_code == 2, target
        assert "Traceback" not in done.output
    assert files(photos) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    done = run("augment", photos, "-o", tmp_path / "full")
    assert done.exit_code == 2
    assert "folder must be new or empty" in done.stderr
    assert list(files(tmp_path / "full")) == ["notes.txt"]


def test_images_that_cannot_be_read(photos: Path, tmp_path: Path) -> None:
    (photos / "left" / "p_1.png").write_bytes(b"broken")
    done = run("augment", photos, "-o", tmp_path / "out", "--json", "-q")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["n_written"] == 7
    assert [Path(entry["path"]).name for entry in document["skipped"]] == ["p_1.png"]
    strict = run("augment", photos, "-o", tmp_path / "strict", "--strict")
    assert strict.exit_code == 1
    assert "p_1.png" in strict.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--zoom-range", "1.5"], "zoom_range must be below 1"),
        (["--zoom-range", "a,b"], "is not a number"),
        (["-n", "0"], "n must be an integer >= 1, got 0"),
        (["--format", "gif"], "image_format must be one of png"),
        (["--fill-mode", "mirror"], "fill_mode must be one of constant"),
    ],
)
def test_mistakes(photos: Path, tmp_path: Path, options: list[str], message: str) -> None:
    done = run("augment", photos, "-o", tmp_path / "out", *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_help_has_an_example() -> None:
    assert "cvbow augment photos/ -o augmented/ -n 5" in run("augment", "--help").stdout


def test_training_with_copies_and_what_info_says(photos: Path, tmp_path: Path) -> None:
    small = ["--preset", "fast", "--set", "n_words=8", "--set", "reduce=none", "--set", "step=10", "-q"]
    done = run("train", photos, "-o", tmp_path / "m.cvbow", "--augment", 2, "--set", "augment_with=mirror,zoom", *small)
    assert done.exit_code == 0, done.output
    told = json.loads(run("info", tmp_path / "m.cvbow", "--json").stdout)["parameters"]
    assert told["augment"] == 2
    assert told["augment_with"] == ["mirror", "zoom"]
    wrong = run("train", photos, "-o", tmp_path / "x.cvbow", "--augment", 2, "--set", "augment_with=melt", *small)
    assert wrong.exit_code == 2
    assert "augment_with must be names among mirror, rotate" in wrong.stderr
    assert run("train", photos, "-o", tmp_path / "x.cvbow", "--augment", -1, *small).exit_code == 2
