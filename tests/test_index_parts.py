"""Several indexes that answer as one: by any executor, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image
from synthetic import textured

from cvbow.backends import RawPixels
from cvbow.errors import ImageError, IndexFileError
from cvbow.features import SIFT
from cvbow.index import ImageIndex, Result, search_parts
from cvbow.index._snapshot import Snapshot
from cvbow.parallel import executor
from cvbow.retrieval import Describer, ImageVectors, VisualWords
from cvbow_cli.main import cli

#: Images of each of the parts.
CUTS = (slice(0, 4), slice(4, 5), slice(5, 5), slice(5, 12))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Nine textures, a part and two copies of the first."""
    folder = tmp_path_factory.mktemp("photographs")
    pixels = [textured(96, 112, seed) for seed in range(9)]
    pixels += [pixels[0][8:, 10:], pixels[0], pixels[0]]
    paths = [str(folder / f"{number:02d}.png") for number in range(len(pixels))]
    for path, one in zip(paths, pixels, strict=True):
        Image.fromarray(one).save(path)
    return paths


def words(**options: Any) -> VisualWords:
    return VisualWords(SIFT(max_points=60), n_words=40, sample=3000, **options)


def parts_of(folder: Path, describer: Describer, photographs: Sequence[str]) -> tuple[Path, list[Path]]:
    """One index of all images, and four of some each, one of which is empty."""
    paths = [folder / "all", *(folder / f"part{number}" for number in range(len(CUTS)))]
    for path, some in zip(paths, (slice(None), *CUTS), strict=True):
        with ImageIndex.build(path, describer, root=Path(photographs[0]).parent) as index:
            index.add(photographs[some])
    return paths[0], paths[1:]


@pytest.fixture(scope="module")
def signed(photographs: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    return parts_of(tmp_path_factory.mktemp("signed"), words().fit(photographs), photographs)


def told(found: list[Result] | ImageError) -> list[tuple[str, float, int | None]]:
    assert not isinstance(found, ImageError)
    return [(result.path, result.score, result.n_inliers) for result in found]


def whole(path: Path, queries: Sequence[Any], **options: Any) -> list[list[tuple[str, float, int | None]]]:
    with ImageIndex.open(path) as index:
        return [told(found) for found in index.search_many(queries, **options)]


@pytest.mark.parametrize("kind", ["words", "signatures", "vectors", "vectors with words"])
def test_parts_answer_as_one_index(kind: str, photographs: list[str], tmp_path: Path) -> None:
    describer: Describer = {
        "words": lambda: words(embedding_bits=0),
        "signatures": words,
        "vectors": lambda: ImageVectors(RawPixels(size=16, n_components=None), n_components=9),
        "vectors with words": lambda: ImageVectors(RawPixels(size=16, n_components=None), local=words()),
    }[kind]()
    one, parts = parts_of(tmp_path, describer.fit(photographs), photographs)
    for options in ({"k": 3}, {"k": None}, {"k": 2, "verify": 3}, {"k": 5, "verify": 2}):
        if options.get("verify") and not describer.has_geometry:
            continue
        found = list(search_parts(parts, photographs, **options))
        assert [told(results) for results in found] == whole(one, photographs, **options)
    ranges = [range(*some.indices(12)) for some in CUTS]
    for results in found:
        assert not isinstance(results, ImageError)
        assert all(int(Path(result.path).stem) in ranges[result.part] for result in results)
    with ImageIndex.open(parts[0]) as first, ImageIndex.open(one) as index:
        query = index.describe(0)
        differ = bool((first.scores(query) != index.scores(query)[: len(first)]).any())
        assert differ == (describer.kind == "inverted"), "without the others words have other weights"


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_parts_are_searched_by_any_executor(
    name: str, photographs: list[str], signed: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    one, parts = signed
    (tmp_path / "broken.png").write_bytes(b"broken")
    queries = [photographs[0], str(tmp_path / "broken.png"), photographs[7]]
    expected = whole(one, [queries[0], queries[2]], k=4, verify=None)
    with executor(name):
        first, error, last = search_parts(parts, queries, k=4, verify=None, n_jobs=2)
    assert [told(first), told(last)] == expected
    assert isinstance(error, ImageError)
    assert error.path == queries[1]


def test_a_box_and_pixels_are_looked_for(photographs: list[str], signed: tuple[Path, list[Path]]) -> None:
    one, parts = signed
    pixels: NDArray[np.uint8] = np.asarray(Image.open(photographs[3]))
    boxes = [(10, 10, 60, 60), None]
    found = [told(results) for results in search_parts(parts, [pixels, photographs[2]], boxes=boxes, check=False)]
    assert found == whole(one, [pixels, photographs[2]], boxes=boxes)


def test_what_cannot_be_one_index_is_refused(
    photographs: list[str], signed: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    _, parts = signed
    with pytest.raises(ValueError, match="paths must be a sequence of one path or more"):
        search_parts([], photographs)
    with pytest.raises(ValueError, match="paths must be a sequence of one path or more"):
        search_parts(parts[0], photographs)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="boxes must be as many as images"):
        search_parts(parts, photographs, boxes=[None])
    for options in ({"expand": 1}, {"exclude_self": True}):
        with pytest.raises(ValueError, match="expand must be 0 and exclude_self False"):
            search_parts(parts, photographs, **options)
    other = tmp_path / "other"
    ImageIndex.build(other, words(random_state=1).fit(photographs)).close()
    with pytest.raises(ValueError, match=r"other was built with another describer than .*part0"):
        list(search_parts([parts[0], other], photographs))
    with pytest.raises(IndexFileError, match="is not an index"):
        list(search_parts([parts[0], tmp_path], photographs))
    with pytest.raises(FileNotFoundError):
        search_parts([tmp_path / "none"], photographs)


def test_a_change_during_the_search_is_told(photographs: list[str], tmp_path: Path) -> None:
    describer = words(embedding_bits=0).fit(photographs)
    _, parts = parts_of(tmp_path, describer, photographs)
    found = search_parts(parts, photographs * 6, k=2)  # more than are asked at a time
    next(found)
    with ImageIndex.open(parts[1], write=True) as index:
        index.remove(photographs[4:5])
    with pytest.raises(IndexFileError, match=r"part1: was changed while it was searched: search again"):
        list(found)


def test_the_command(photographs: list[str], signed: tuple[Path, list[Path]], tmp_path: Path) -> None:
    import json

    one, parts = signed
    also = [text for part in parts[1:] for text in ("--also", str(part))]
    arguments = ["index", "search", str(parts[0]), photographs[0], *also, "--top", "3", "--n-jobs", "1", "--quiet"]
    done = CliRunner().invoke(cli, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    (answer,) = json.loads(done.stdout)
    (expected,) = whole(one, photographs[:1], k=3, verify=None)
    assert [(row["path"], row["score"], row["inliers"]) for row in answer["results"]] == expected
    assert [row["file"] for row in answer["results"]] == [
        str(Path(photographs[0]).parent / path) for path, _, _ in expected
    ]
    assert [row["index"] for row in answer["results"]] == [
        next(str(part) for part, some in zip(parts, CUTS, strict=True) if int(path[:2]) in range(*some.indices(12)))
        for path, _, _ in expected
    ]
    shown = CliRunner().invoke(cli, arguments)
    assert shown.exit_code == 0, shown.output
    for path, _, _ in expected:
        assert path in shown.stdout
    assert "part3" in shown.stdout
    for option, message in (("-o", "-o shows the results of one index"), ("--expand", "expand must be 0")):
        wrong = CliRunner().invoke(cli, [*arguments, option, "found.png" if option == "-o" else "1"])
        assert wrong.exit_code in (1, 2), wrong.output
        assert message in wrong.stderr


def test_an_index_is_built_like_another(
    photographs: list[str], signed: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    _, parts = signed
    target = tmp_path / "like.index"
    arguments = ["index", "build", *photographs[:2], "-o", str(target), "--like", str(parts[0]), "--n-jobs", "1"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert len(list(search_parts([target, parts[3]], photographs[:1]))) == 1
    for extra in (["--words", "30"], ["--with", "vlad"], ["--set", "max_points=9"], ["--local"], ["--seed", "1"]):
        wrong = CliRunner().invoke(cli, [*arguments, *extra])
        assert wrong.exit_code == 2
        assert "--like takes what is learned from the other index" in wrong.stderr


def test_the_command_opens_each_index_once(
    photographs: list[str], signed: tuple[Path, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, parts = signed
    opened: list[str] = []
    real = Snapshot.open

    def counted(folder: str, **options: Any) -> Snapshot:
        opened.append(folder)
        return real(folder, **options)

    monkeypatch.setattr(Snapshot, "open", counted)
    also = [text for part in parts[1:] for text in ("--also", str(part))]
    done = CliRunner().invoke(cli, ["index", "search", str(parts[0]), photographs[0], *also, "--n-jobs", "1"])
    assert done.exit_code == 0, done.output
    assert sorted(opened) == sorted(map(str, parts))
