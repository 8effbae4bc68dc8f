"""The audit of a set of images: faults that were planted are found, what is whole is not shouted about."""

from __future__ import annotations

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from faulty_images import PER_CLASS, pixels, save, write
from PIL import Image

from cvbow import Audit, ImageList, audit_images, list_images
from cvbow.audit import KINDS, Finding
from cvbow.errors import CvbowError


def audited(folder: Path, **options: object) -> Audit:
    return audit_images(list_images(folder, several=True), preset="fast", **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Audit]:
    """A set with one fault of each kind that is of single images, and its audit with a model."""
    folder = tmp_path_factory.mktemp("faulty")
    train = write(folder, split="train")
    write(folder, split="test", per_class=4, first=40)
    # A wrong label: the fourth lines one lies among the ringss.
    os.replace(train["lines"][3], folder / "train" / "rings" / "wrong.png")
    # The same picture: across the splits, mirrored; and twice within one.
    save(pixels("spots", 5)[:, ::-1].copy(), folder / "test" / "spots" / "leak.png")
    save(cv2.resize(pixels("rings", 6), (100, 100)), folder / "train" / "rings" / "twice.png")
    # Like nothing else.
    noise = np.random.default_rng(9).integers(0, 2, (12, 12, 1), np.uint8) * 255
    stranger = noise.repeat(8, axis=0).repeat(8, axis=1).repeat(3, axis=2)
    save(stranger, folder / "train" / "spots" / "stranger.png")
    save((pixels("rings", 50) * 0.1).astype(np.uint8), folder / "train" / "rings" / "dark.png")
    (folder / "train" / "lines" / "broken.png").write_bytes(b"not an image")
    return folder, audited(folder, keep_model=True)


def names(found: Audit, kind: str) -> list[str]:
    return [Path(finding.paths[0]).name for finding in found.of_kind(kind)]


def test_a_wrong_label_is_found_first_with_the_right_one(planted: tuple[Path, Audit]) -> None:
    folder, found = planted
    first = found.of_kind("label")[0]
    path = str(folder / "train" / "rings" / "wrong.png")
    assert (first.paths, first.label, first.suggested) == ((path,), "rings", "lines")
    assert first.score > 0.8
    given, suggested = found.neighbours[path]
    assert (Path(given).parent.name, Path(suggested).parent.name) == ("rings", "lines")
    assert len(found.of_kind("label")) <= 5


def test_every_label_has_a_doubt(planted: tuple[Path, Audit]) -> None:
    _, audit = planted
    assert len(audit.doubts) == audit.n_images - len(audit.skipped)
    for finding in audit.of_kind("label"):
        assert finding.score == audit.doubts[finding.paths[0]] > np.median(list(audit.doubts.values()))


def test_the_same_picture_in_two_splits_is_a_leak(planted: tuple[Path, Audit]) -> None:
    folder, found = planted
    (leak,) = found.of_kind("leak")
    assert leak.paths == (
        str(folder / "test" / "spots" / "leak.png"),
        str(folder / "train" / "spots" / "05.png"),
    )
    assert "mirrored" in leak.why
    assert leak.suggested == "drop"
    assert 0.8 <= leak.score <= 0.9  # the labels agree


def test_the_same_picture_in_one_split_is_a_duplicate(planted: tuple[Path, Audit]) -> None:
    _, found = planted
    (same,) = found.of_kind("duplicate")
    assert [Path(path).name for path in same.paths] == ["twice.png", "06.png"]


def test_a_stranger_a_dark_picture_and_a_broken_file(planted: tuple[Path, Audit]) -> None:
    _, found = planted
    assert names(found, "stranger")[0] == "stranger.png"
    # Its own class is named once, also where it is the nearest one.
    assert [finding.why.count(f" {finding.label}") for finding in found.of_kind("stranger")] == [1] * len(
        found.of_kind("stranger")
    )
    assert names(found, "picture") == ["dark.png"]
    assert re.search(r"dark: 95% of its pixels are \d+ of 255 or darker\.", found.of_kind("picture")[0].why)
    assert names(found, "unreadable") == ["broken.png"]
    assert [os.path.basename(error.path) for error in found.skipped] == ["broken.png"]
    assert not found.of_kind("shortcut")


def test_findings_are_by_kind_and_the_surest_first(planted: tuple[Path, Audit]) -> None:
    _, found = planted
    order = [(KINDS.index(finding.kind), -finding.score) for finding in found.findings]
    assert order == sorted(order)
    assert all(0 <= finding.score <= 1 for finding in found.findings)
    assert found.n_images == 3 * PER_CLASS + 12 + 5
    assert found.counts == {"rings": 21, "spots": 20, "lines": 18}
    document = found.as_dict()
    assert list(document) == ["n_images", "seconds", "findings"]
    assert list(document["findings"][0]) == ["kind", "paths", "score", "label", "suggested", "why"]


def test_the_model_has_not_learned_from_what_is_in_question(planted: tuple[Path, Audit]) -> None:
    folder, found = planted
    assert found.model is not None
    assert found.model.predict([folder / "train" / "rings" / "wrong.png"]).tolist() == ["lines"]


def test_nothing_is_changed_and_the_number_of_workers_changes_nothing(planted: tuple[Path, Audit]) -> None:
    folder, found = planted
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}
    again = audited(folder, n_jobs=2)
    assert again.findings == found.findings
    assert again.neighbours == found.neighbours
    assert again.model is None
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


def test_any_recipe_will_do(tmp_path: Path) -> None:
    """Also one whose classifier is not told of channels."""
    images = list_images(write(tmp_path, per_class=5)["rings"][0].parents[1])
    found = audit_images(images, preset="spm", keep_model=True)
    assert found.model is not None
    assert found.model.predict(images.paths[:1]).tolist() == ["lines"]


def test_with_a_cache_the_findings_are_the_same(tmp_path: Path) -> None:
    write(tmp_path / "set", per_class=6)
    plain = audited(tmp_path / "set")
    assert [audited(tmp_path / "set", cache=tmp_path / "cache").findings for _ in range(2)] == [plain.findings] * 2


def test_a_set_that_is_whole(tmp_path: Path) -> None:
    write(tmp_path, per_class=20)
    found = audited(tmp_path)
    assert not [finding for finding in found.findings if finding.kind not in ("label", "stranger")]
    assert len(found.findings) <= 3


def test_one_format_per_class_and_a_stamp_are_shortcuts(tmp_path: Path) -> None:
    train = write(tmp_path, per_class=24)
    for path in train["lines"]:
        Image.open(path).save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
    for path in train["rings"]:
        image = np.asarray(Image.open(path)).copy()
        image[-16:-8, -16:-8] = (np.indices((8, 8)).sum(axis=0) % 2 * 255)[:, :, None]
        save(image, path)
    found = audited(tmp_path).of_kind("shortcut")
    assert {finding.label for finding in found} == {"lines", "rings"}
    by_label = {finding.label: finding for finding in found}
    assert by_label["lines"].why.startswith("The file format alone tells lines: JPEG for 100% of its images")
    assert "at the lower right" in by_label["rings"].why
    assert all(finding.score > 0.7 for finding in found)


def test_classes_that_cannot_be_told_apart_and_small_ones(tmp_path: Path) -> None:
    train = write(tmp_path, per_class=44)
    for number, path in enumerate(train["lines"]):
        if number % 2:
            target = tmp_path / "also-lines" / path.name
            target.parent.mkdir(exist_ok=True)
            os.replace(path, target)
    for path in [*train["spots"][3:], *train["rings"][20:]]:
        path.unlink()
    found = audited(tmp_path).of_kind("class")
    assert {finding.label for finding in found} == {"spots", "also-lines | lines"}
    (small,) = [finding for finding in found if finding.label == "spots"]
    assert small.why.startswith("spots has 3 images")
    assert small.score == pytest.approx(1 - 3 / 20)


def test_a_copy_with_another_label_is_surer(tmp_path: Path) -> None:
    write(tmp_path, per_class=6)
    save(pixels("rings", 2), tmp_path / "lines" / "rings.png")
    save(pixels("rings", 3), tmp_path / "rings" / "again.png")
    first, second = audited(tmp_path).of_kind("duplicate")
    assert [Path(path).name for path in first.paths] == ["02.png", "rings.png"]
    assert (first.score, first.suggested) == (1.0, "look")
    assert "labels differ (rings and lines)" in first.why
    assert (Path(second.paths[0]).name, second.suggested) == ("again.png", "keep one")
    assert second.score == pytest.approx(0.9)


def test_a_link_is_told_from_a_copy(tmp_path: Path) -> None:
    train = write(tmp_path, split="train", per_class=6)
    write(tmp_path, split="test", per_class=2, first=30)
    link = tmp_path / "test" / "rings" / "link.png"
    link.symlink_to(train["rings"][1])
    (leak,) = audited(tmp_path).of_kind("leak")
    assert leak.paths == (str(link), str(train["rings"][1]))
    assert "two names of one file, by a link" in leak.why


def test_a_file_that_is_listed_for_two_splits(tmp_path: Path) -> None:
    train = write(tmp_path, per_class=6)
    rows = [f"{path},{name},train" for name, paths in train.items() for path in paths]
    rows.append(f"{train['rings'][0]},rings,test")
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]), encoding="utf-8")
    (leak,) = audited(tmp_path / "list.csv").of_kind("leak")
    assert leak.paths == (str(train["rings"][0]),) * 2
    assert leak.why.startswith("The file is listed for train and test.")


def test_several_labels_an_image(tmp_path: Path) -> None:
    """Textures side by side: an image has the label of each that it shows."""
    rng = np.random.default_rng(0)
    rows = ["path,labels"]
    for number in range(60):
        shown = [name for name in ("rings", "spots") if rng.random() < 0.5]
        parts = [pixels(name if name in shown else "lines", number) for name in ("rings", "spots")]
        save(np.hstack(parts), tmp_path / f"{number}.png")
        # Of one image a label is missing, another has one too many.
        given = {7: [*shown, "rings"] if "rings" not in shown else shown[1:]}.get(number, shown)
        rows.append(f"{tmp_path / f'{number}.png'},{'|'.join(given)}")
    (tmp_path / "list.csv").write_text("\n".join(rows), encoding="utf-8")
    found = audited(tmp_path / "list.csv", keep_model=True)
    first = found.of_kind("label")[0]
    assert found.model is not None
    assert found.model.multilabel
    assert Path(first.paths[0]).name == "7.png"
    assert "rings" in (first.label or "").split(" | ") or "rings" in (first.suggested or "").split(" | ")


@pytest.mark.parametrize("n_classes", [1, 2])
def test_few_images(tmp_path: Path, n_classes: int) -> None:
    for number in range(n_classes):
        save(pixels("rings", number), tmp_path / str(number) / "0.png")
    found = audited(tmp_path)
    assert {finding.kind for finding in found.findings} <= {"class", "picture"}
    assert found.n_images == n_classes


def test_what_cannot_be_audited_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="images must have at least one image, got none"):
        audit_images(ImageList((), (), ()))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.png").write_bytes(b"not an image")
    with pytest.raises(CvbowError, match="the image cannot be read: "):
        audited(tmp_path)


def test_a_finding_is_a_line_of_csv() -> None:
    finding = Finding("label", ("a,b.png",), 0.51237, 'ca"t', "dog", "why")
    assert finding.as_csv() == '"a,b.png","ca""t",dog,label,0.5124'


@pytest.mark.parametrize(("share", "n_found"), [(0.2, 3), (1.0, 0)])
def test_turned_by_exif_counts_unless_most_images_are(tmp_path: Path, share: float, n_found: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for paths in write(tmp_path, per_class=5).values():
        for path in paths[: round(share * len(paths))]:
            Image.open(path).save(path, exif=exif)
    found = [finding for finding in audited(tmp_path).of_kind("picture") if "by 90 degrees (EXIF)" in finding.why]
    assert len(found) == n_found


def test_thin_writing_on_a_class_is_a_stamp(tmp_path: Path) -> None:
    """Whatever is behind it: only the strokes are the same."""
    for path in write(tmp_path, per_class=24)["spots"]:
        image = np.asarray(Image.open(path)).copy()
        cv2.putText(image, "12 05", (40, 90), cv2.FONT_HERSHEY_DUPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        save(image, path)
    (found,) = audited(tmp_path).of_kind("shortcut")
    assert (found.label, "at the lower right" in found.why or "at the bottom" in found.why) == ("spots", True)
    assert found.score > 0.6


def test_images_without_any_label(tmp_path: Path) -> None:
    rows = [f"{path}," for paths in write(tmp_path, per_class=3).values() for path in paths]
    save(pixels("rings", 1)[:, ::-1].copy(), tmp_path / "again.png")
    (tmp_path / "list.csv").write_text("\n".join(["path,labels", *rows, "again.png,"]), encoding="utf-8")
    found = audited(tmp_path / "list.csv", keep_model=True)
    assert {finding.kind for finding in found.findings} == {"duplicate"}
    assert found.findings[0].label == ""
    assert found.model is None
