"""``cvbow index``: what its commands print, their JSON documents, and mistakes as one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from cvbow.images import gather_images
from cvbow.index import ImageIndex
from cvbow.presets import index_recipe
from cvbow_cli.main import cli

COMMANDS = ("build", "search", "add", "update", "remove", "evaluate", "duplicates", "info", "check", "compact")
#: Small enough for a moment.
SMALL = ("--words", 60, "--set", "max_points=150", "--n-jobs", 1, "--quiet")
N_SCENES = 6


def run(*arguments: object, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(cli, ["index", *map(str, arguments)], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def document(*arguments: object, stdin: str | None = None) -> Any:
    result = run(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def fails(code: int, *arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    return result.stderr


def scene(seed: int, size: tuple[int, int] = (160, 200)) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, size).astype(np.uint8)
    return np.asarray(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX), np.uint8)


def write(path: Path, image: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def view(seed: int) -> NDArray[np.uint8]:
    """A scene, turned a little, smaller and with noise."""
    matrix = cv2.getRotationMatrix2D((100, 80), 8, 0.9)
    turned = cv2.warpAffine(scene(seed), matrix, (200, 160), borderMode=cv2.BORDER_REFLECT).astype(np.float64)
    return np.clip(turned + np.random.default_rng(99).normal(0, 3, turned.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos/, of N_SCENES images in two folders and one beside them, an index of them, and queries."""
    folder = tmp_path_factory.mktemp("index")
    for number in range(N_SCENES):
        below = ("", "a", "a/b")[number % 3]
        write(folder / "photos" / below / f"{number}.png", scene(number))
        write(folder / "queries" / f"{number}.png", view(number))
    write(folder / "queries" / "plain.png", np.full((60, 80), 120, np.uint8))
    (folder / "photos" / "notes.txt").write_text("not an image")
    found = document("build", folder / "photos", "-o", folder / "photos.index", *SMALL)
    assert found["n_images"] == len(found["added"]) == N_SCENES
    return folder


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed by the test; paths in an index are relative to the folder that it lies in."""
    shutil.copytree(made, tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def index(own: Path) -> Path:
    return own / "photos.index"


def path_of(number: int) -> str:
    return "/".join(part for part in ("photos", ("", "a", "a/b")[number % 3], f"{number}.png") if part)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"cvbow index {name}" in result.stdout


def test_the_group_lists_its_commands() -> None:
    assert all(f"  {name} " in run("--help").stdout for name in COMMANDS)


def test_images_at_any_depth_are_gathered(made: Path) -> None:
    paths, ignored = gather_images([made / "photos", made / "photos" / "a", "nowhere.jpg"])
    assert [path.name for path in paths[:-1]] == [path.name for path in gather_images([made / "photos"])[0]]
    assert (len(paths), ignored, str(paths[-1])) == (N_SCENES + 1, 1, "nowhere.jpg")


def test_build_for_a_person(made: Path, tmp_path: Path) -> None:
    bad = made / "photos" / "a" / "bad.jpg"
    bad.write_bytes(b"not an image")
    try:
        result = run("build", made / "photos", "-o", tmp_path / "new.index", *SMALL[:-1])
    finally:
        bad.unlink()
    assert result.exit_code == 0
    assert f"added       {N_SCENES}, 1 skipped" in result.stdout
    assert f"{tmp_path / 'new.index'}, {N_SCENES} images" in result.stdout
    assert "1 file left out" in result.stderr
    assert f"{bad}: not an image" in result.stderr


def test_build_strict_says_how_to_go_on(made: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"not an image")
    said = fails(1, "build", made / "photos", bad, "-o", tmp_path / "new.index", "--strict", *SMALL)
    assert f"error: {bad}: not an image" in said
    assert "cvbow index add" in said
    assert document("add", tmp_path / "new.index", made / "photos")["n_images"] == N_SCENES


def test_building_over_something_is_refused_before_the_work(made: Path) -> None:
    assert "--overwrite replaces it" in fails(1, "build", made / "queries", "-o", made / "photos.index")
    assert "holds other files" in fails(1, "build", made / "queries", "-o", made / "photos", "--overwrite")
    assert "does not exist" in fails(2, "build", made / "queries", "-o", made / "no" / "x.index")


def test_overwrite_and_learning_on_others(own: Path, index: Path) -> None:
    queries = [own / "queries" / "0.png", own / "queries" / "1.png"]
    options = ("--overwrite", "--learn-on", own / "photos", "--root", own / "queries")
    found = document("build", *queries, "-o", index, *options, *SMALL)
    assert found["added"] == ["0.png", "1.png"]
    assert document("info", index, "--paths")["paths"] == ["0.png", "1.png"]


@pytest.mark.filterwarnings("ignore:n_words is 20000")
def test_vectors_with_words_beside_them(own: Path, index: Path) -> None:
    options = ("--with", "colors", "--local", "--overwrite", "--n-jobs", 1, "--quiet")
    found = document("build", own / "photos", "-o", index, *options)
    assert found["kind"] == "exact"
    facts = document("info", index)
    assert (facts["describer"], facts["verifiable"]) == ("ImageVectors", True)
    (answer,) = document("search", index, own / "queries" / "2.png", "--top", N_SCENES)
    assert answer["results"][0]["path"] == path_of(2)
    assert answer["results"][0]["inliers"] >= 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--with", "wrods"), "must be words or a backend"),
        (("--set", "nwords=3"), "unknown setting nwords; did you mean n_words?"),
        (("--with", "vlad", "--set", "nwords=3"), "unknown setting nwords"),
        (("--with", "colors", "--set", "nwords=3"), "unknown setting nwords; settings are n_components"),
        (("--set", "n_words=0"), "n_words must be"),
        (("--local",), "local must be False for words"),
    ],
)
def test_settings_that_mean_nothing(made: Path, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    assert said in fails(2, "build", made / "photos", "-o", tmp_path / "x.index", *options)
    assert not (tmp_path / "x.index").exists()


def test_recipes() -> None:
    vlad = index_recipe("vlad", {"n_words": 16, "n_components": 32}).describer(seed=3)
    assert (vlad.backend.encoder.dictionary.n_words, vlad.n_components, vlad.whiten) == (16, 32, True)
    assert not index_recipe("fisher").describer(seed=0).whiten
    words = index_recipe("words", {"max_points": 7, "tf": "log"}).describer(seed=5)
    assert (words.extractor.max_points, words.tf, words.random_state) == (7, "log", 5)


def test_search(made: Path) -> None:
    index = made / "photos.index"
    queries = [made / "queries" / f"{number}.png" for number in range(N_SCENES)]
    found = document("search", index, *queries, "--top", 3)
    assert [answer["query"] for answer in found] == [str(path) for path in queries]
    for number, answer in enumerate(found):
        best = answer["results"][0]
        assert set(best) == {"path", "file", "score", "inliers", "matrix"}
        assert best["path"] == path_of(number)
        assert Path(best["file"]).samefile(made / path_of(number))
        assert best["inliers"] >= 6
        # The view is turned about (100, 80), which hence is where it was.
        x, y, w = np.array(best["matrix"]) @ [100, 80, 1]
        assert np.hypot(x / w - 100, y / w - 80) < 3
        assert len(answer["results"]) <= 3


def test_search_takes_folders(made: Path) -> None:
    found = document("search", made / "photos.index", made / "queries", "--top", 1)
    assert [answer["query"] for answer in found] == list(map(str, gather_images([made / "queries"])[0]))


def test_search_for_a_person(made: Path) -> None:
    result = run("search", made / "photos.index", made / "queries" / "4.png")
    first, best = result.stdout.splitlines()[:2]
    assert first.split() == ["rank", "score", "inliers", "image"]
    assert best.split()[0] == "1"
    assert best.endswith(f"  {path_of(4)}")
    assert result.stderr == ""
    plain = run("search", made / "photos.index", made / "queries" / "4.png", "--verify", 0)
    assert plain.stdout.splitlines()[0].split() == ["rank", "score", "image"]


def test_search_reads_paths_from_stdin_and_answers_beside_errors(made: Path) -> None:
    lines = f"{made / 'queries' / '1.png'}\n\nnowhere.png\n"
    result = run("search", made / "photos.index", "-", "--json", stdin=lines)
    assert result.exit_code == 1
    answered, failed = json.loads(result.stdout)
    assert answered["results"][0]["path"] == path_of(1)
    assert failed == {"query": "nowhere.png", "error": "there is no such file"}
    result = run("search", made / "photos.index", "nowhere.png")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "cvbow: nowhere.png: there is no such file\n")


def test_search_of_the_index_itself(made: Path) -> None:
    (answer,) = document("search", made / "photos.index", made / path_of(3))
    assert answer["results"][0]["path"] == path_of(3)
    (answer,) = document("search", made / "photos.index", made / path_of(3), "--exclude-self", "--expand", 2)
    assert path_of(3) not in [result["path"] for result in answer["results"]]


def test_an_image_without_keypoints_is_an_answer(made: Path, tmp_path: Path) -> None:
    picture = tmp_path / "nothing.png"
    result = run("search", made / "photos.index", made / "queries" / "plain.png", "-o", picture)
    assert result.exit_code == 0
    assert result.stdout == f"nothing found among {N_SCENES} images\npicture     {picture}\n"
    assert picture.exists()
    assert document("search", made / "photos.index", made / "queries" / "plain.png")[0]["results"] == []


def test_an_image_without_keypoints_in_the_index_is_told(index: Path, own: Path) -> None:
    found = document("add", index, own / "queries" / "plain.png")
    assert found["empty"] == found["added"] == ["queries/plain.png"]
    again = run("add", index, own / "queries" / "plain.png")
    assert "added       0, 1 there already" in again.stdout


def test_boxes(made: Path, tmp_path: Path) -> None:
    index, query = made / "photos.index", made / "queries" / "5.png"
    (part,) = document("search", index, query, "--box", "50,40,100,80")
    (whole,) = document("search", index, query)
    assert part["results"][0]["path"] == path_of(5)
    assert part["results"][0]["inliers"] < whole["results"][0]["inliers"]
    assert run("search", index, query, "--box", "50,40,100,80", "-o", tmp_path / "box.png").exit_code == 0
    assert "four numbers x,y,width,height" in fails(2, "search", index, query, "--box", "1,2,3")
    assert "four numbers" in fails(2, "search", index, query, "--box", "a,b,c,d")
    assert "box must have a positive width" in fails(2, "search", index, query, "--box", "1,2,0,5")
    assert "box must overlap the image of 200 x 160" in fails(2, "search", index, query, "--box", "900,0,5,5")
    assert "--box needs exactly one IMAGE" in fails(2, "search", index, query, query, "--box", "0,0,9,9")


def test_pictures_and_pages(made: Path, tmp_path: Path) -> None:
    index, queries = made / "photos.index", [made / "queries" / "0.png", made / "queries" / "1.png"]
    result = run("search", index, queries[0], "-o", tmp_path / "found.png")
    assert f"picture     {tmp_path / 'found.png'}" in result.stdout
    assert cv2.imread(str(tmp_path / "found.png")).shape[1] > 700
    assert run("search", index, *queries, "nowhere.png", "-o", tmp_path / "found.html").exit_code == 1
    page = (tmp_path / "found.html").read_text(encoding="utf-8")
    assert page.count("<section") == 3
    assert "there is no such file" in page
    assert "-o FILE.html shows any number" in fails(2, "search", index, *queries, "-o", tmp_path / "x.png")
    assert "must end in .png or .html" in fails(2, "search", index, queries[0], "-o", tmp_path / "x.jpg")
    assert "does not exist" in fails(1, "search", index, queries[0], "-o", tmp_path / "no" / "x.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.html", "found.png"]


def test_add_update_remove(own: Path, index: Path) -> None:
    found = document("add", index, own / "photos", write(own / "new.png", scene(50)), own / "gone.png")
    assert (found["added"], len(found["unchanged"]), found["n_images"]) == (["new.png"], N_SCENES, N_SCENES + 1)
    assert [row["path"] for row in found["skipped"]] == [str(own / "gone.png")]
    shutil.copy(own / path_of(1), own / "copy.png")
    assert document("add", index, own / "copy.png")["copies"] == [{"path": "copy.png", "of": path_of(1)}]

    write(own / "new.png", scene(51))
    left = run("add", index, own / "new.png")
    assert "added       0, 1 changed, but not updated" in left.stdout
    assert "cvbow index update" in left.stderr
    (own / path_of(2)).unlink()
    found = document("update", index)
    assert (found["changed"], found["vanished"], found["added"]) == (["new.png"], [path_of(2)], [])
    assert document("check", index)["vanished"] == [path_of(2)]
    # What vanished is found from what is stored of it, and so can be asked for.
    (answer,) = document("search", index, own / "queries" / "2.png")
    assert answer["results"][0]["path"] == path_of(2)
    assert run("search", index, own / "queries" / "2.png", "-o", own / "found.png").exit_code == 0
    found = document("update", index, own / "photos", "--remove-vanished")
    assert (found["vanished"], found["n_images"]) == ([path_of(2)], N_SCENES + 1)
    assert "removed     1" in run("remove", index, "copy.png").stdout
    (answer,) = document("search", index, own / "queries" / "2.png")
    assert path_of(2) not in [result["path"] for result in answer["results"]]


def test_remove_tells_what_is_not_there(own: Path, index: Path) -> None:
    result = run("remove", index, "-", stdin=f"{own / path_of(0)}\nnowhere.png\n")
    assert result.exit_code == 1
    assert "removed     1" in result.stdout
    assert result.stderr == "cvbow: not in the index: nowhere.png\n"
    result = run("remove", index, path_of(0), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["missing"] == [path_of(0)]


def test_an_empty_index(own: Path, index: Path) -> None:
    assert document("remove", index, *(own / path_of(number) for number in range(N_SCENES)))["n_images"] == 0
    assert document("compact", index)["n_bytes"] == 0
    result = run("search", index, own / "queries" / "0.png", "-o", own / "found.png")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "nothing found among 0 images")
    assert document("duplicates", index) == {"n_images": 0, "groups": [], "links": [], "skipped": []}
    assert document("check", index)["sound"]
    assert "it is empty" in fails(2, "evaluate", index, truth(own))
    assert document("add", index, own / "photos")["n_images"] == N_SCENES


def test_nothing_that_can_be_read(own: Path, index: Path) -> None:
    (own / "bad.jpg").write_bytes(b"")
    assert "none of 1 image could be read" in fails(1, "add", index, own / "bad.jpg", "--quiet")
    assert "no images in this folder" in fails(1, "add", index, (own / "empty").mkdir() or own / "empty")


def test_compact(own: Path, index: Path) -> None:
    run("remove", index, path_of(0), path_of(1))
    found = document("compact", index)
    assert found["n_bytes"] < found["n_bytes_before"]
    assert (found["n_images"], found["n_segments"]) == (N_SCENES - 2, 1)
    assert "MB before" in run("compact", index).stdout


def truth(folder: Path) -> Path:
    rows = [f"queries/{number}.png,{path_of(number)},relevant" for number in range(N_SCENES)]
    file = folder / "truth.csv"
    file.write_text("\n".join(["query,image,label", *rows, f"queries/0.png,{path_of(1)},ignored"]))
    return file


def test_evaluate(own: Path, index: Path) -> None:
    found = document("evaluate", index, truth(own), "--at", "1,2")
    assert {"map", "recall", "n_queries", "per_query"} <= set(found)
    assert (found["map"], found["recall"], found["n_queries"]) == (1.0, {"1": 1.0, "2": 1.0}, N_SCENES)
    assert found["verify"] == 100
    assert {name: found[name] for name in ("expand", "model", "tolerance", "max_hamming", "min_inliers")} == {
        "expand": 0,
        "model": "affine",
        "tolerance": 0.012,
        "max_hamming": 28,
        "min_inliers": 6,
    }
    other = document("evaluate", index, truth(own), "--verify", 0, "--model", "homography")
    assert (other["verify"], other["model"]) == (0, "homography")
    said = run("evaluate", index, truth(own)).stdout
    assert "mAP         1.0000" in said
    assert "hardest" not in said
    file = own / "wrong.csv"
    file.write_text(f"query,image,label\nqueries/1.png,{path_of(2)},relevant\ngone.png,{path_of(2)},relevant\n")
    result = run("evaluate", index, file)
    assert "gone.png: there is no such file" in result.stderr
    assert "queries/1.png" in result.stdout.partition("hardest")[2]


def test_evaluate_by_groups(own: Path, index: Path) -> None:
    for number in (0, 1):
        write(own / "groups" / str(number) / "a.png", scene(number))
        write(own / "groups" / str(number) / "b.png", view(number))
    assert document("add", index, own / "groups")["n_images"] == N_SCENES + 4
    found = document("evaluate", index, own / "groups", "--keep-self")
    assert found["n_queries"] == 4
    assert found["ukbench_score"] > 0


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 1, "the file is empty"),
        ("query,picture,label\n", 1, "no column image"),
        ("query,image,label\na.png,b.png,right\n", 1, "line 2: the label must be relevant or ignored, got 'right'"),
        ("query,image,label\na.png,b.png,relevant\n", 2, "ground_truth must name images of the index"),
    ],
)
def test_a_wrong_ground_truth(own: Path, index: Path, text: str, code: int, said: str) -> None:
    (own / "truth.csv").write_text(text)
    assert said in fails(code, "evaluate", index, own / "truth.csv")


def test_wrong_places(index: Path, own: Path) -> None:
    assert "integers separated by commas" in fails(2, "evaluate", index, truth(own), "--at", "1,x")
    assert "k must be" in fails(2, "evaluate", index, truth(own), "--at", "0")


def test_duplicates(own: Path, index: Path) -> None:
    shutil.copy(own / path_of(1), own / "same.png")
    small = cv2.resize(scene(2), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    run("add", index, own / "same.png", write(own / "small.png", small))
    found = document("duplicates", index)
    assert found["n_images"] == N_SCENES + 2
    groups = {tuple(sorted(group["paths"])): group for group in found["groups"]}
    assert set(groups) == {(path_of(1), "same.png"), (path_of(2), "small.png")}
    (pair,) = groups[path_of(1), "same.png"]["pairs"]
    assert (pair["reason"], pair["score"], pair["overlap"]) == ("identical", 1.0, [1.0, 1.0])
    (pair,) = groups[path_of(2), "small.png"]["pairs"]
    assert pair["reason"] == "copy"
    result = run("duplicates", index)
    assert result.stdout.splitlines()[-1].startswith("2 groups among 8 images; keeping one of each group would leave 6")


def test_turned_and_recoloured_duplicates(own: Path, index: Path) -> None:
    # Brown, and the same with red and blue exchanged.
    image = np.dstack([scene(50) // 3, scene(50) // 2 + 60, scene(50)])
    for name, pixels in {"brown": image, "mirrored": image[:, ::-1], "swapped": image[:, :, ::-1]}.items():
        run("add", index, write(own / f"{name}.png", np.ascontiguousarray(pixels)))
    assert document("duplicates", index)["groups"] == []
    (group,) = document("duplicates", index, "--turned")["groups"]
    assert group["paths"] == ["brown.png", "mirrored.png"]
    assert [pair["turned"] for pair in group["pairs"]] == ["mirrored"]
    (group,) = document("duplicates", index, "--colors", "any")["groups"]
    assert group["paths"] == ["brown.png", "swapped.png"]
    assert [pair["turned"] for pair in group["pairs"]] == [""]
    page = own / "found.html"
    result = run("duplicates", index, "--turned", "-o", page)
    assert result.stdout.splitlines()[0].endswith("copy, mirrored")
    assert "copy of 1, mirrored: score" in page.read_text(encoding="utf-8")
    assert "'gray' is not one of" in fails(2, "duplicates", index, "--colors", "gray")


def test_links_are_no_duplicates(own: Path, index: Path) -> None:
    (own / "symbolic.png").symlink_to(own / path_of(1))
    (own / "hard.png").hardlink_to(own / path_of(2))
    run("add", index, own / "symbolic.png", own / "hard.png")
    page = own / "found.html"
    found = document("duplicates", index, "-o", page)
    assert found["groups"] == []
    assert found["links"] == [[path_of(1), "symbolic.png"], [path_of(2), "hard.png"]]
    result = run("duplicates", index)
    assert f"one file: {path_of(2)} = hard.png\n" in result.stdout
    assert result.stdout.splitlines()[-1] == "0 groups among 8 images; keeping one of each group would leave 6"
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"<h2>(.+)</h2>", text) == ["One file of several names (2 files)"]
    assert f"<li>{path_of(1)} = symbolic.png</li>" in text


def test_the_map_that_is_verified_can_be_chosen(made: Path, tmp_path: Path) -> None:
    query = made / "queries" / "0.png"
    corners = np.array([[0, 0], [199, 0], [199, 159], [0, 159]], np.float32)
    tilt = cv2.getPerspectiveTransform(corners, np.array([[10, 20], [180, 5], [195, 150], [5, 130]], np.float32))
    tilted = write(tmp_path / "tilted.png", cv2.warpPerspective(cv2.imread(str(query)), tilt, (200, 160)))
    matrices = {}
    for model in ("similarity", "affine", "homography"):
        picture = tmp_path / f"{model}.html"
        (found,) = document("search", made / "photos.index", tilted, "--top", 1, "--model", model, "-o", picture)
        matrices[model] = np.array(found["results"][0]["matrix"])
        assert picture.stat().st_size > 1000
    assert not matrices["affine"][2, :2].any()
    assert matrices["homography"][2, :2].any()
    assert matrices["similarity"][0, 0] == pytest.approx(matrices["similarity"][1, 1])
    assert "'rigid' is not one of" in fails(2, "search", made / "photos.index", query, "--model", "rigid")


def test_a_page_of_duplicates(own: Path, index: Path) -> None:
    shutil.copy(own / path_of(1), own / "same.png")
    small = cv2.resize(scene(2), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    run("add", index, own / "same.png", write(own / "small.png", small))
    (own / path_of(3)).unlink()
    page = own / "found.html"
    run("duplicates", index, "-o", page)
    text = page.read_text(encoding="utf-8")
    # The surest last: the same bytes.
    assert re.findall(r"<h2>(.+)</h2>", text) == ["Copies (1 group)", "Same bytes (1 group)"]
    first, second = re.findall(r"<h3>(.+)</h3>", text)
    assert re.fullmatch(r"1\. 2 images, score [01]\.\d{3}", first)
    assert second == "1. 2 images"
    assert text.count("<figure>") == 4
    for name in (path_of(1), "same.png", path_of(2), "small.png"):
        assert text.count(f'alt="image 1: {name}"') + text.count(f'alt="image 2: {name}"') == 1
    assert '<p class="wrong">1 could not be read' in text
    assert "must end in .html" in fails(2, "duplicates", index, "-o", own / "found.png")


def test_info_and_check(made: Path) -> None:
    facts = document("info", made / "photos.index")
    assert (facts["kind"], facts["n_images"], facts["describer"]) == ("inverted", N_SCENES, "VisualWords")
    assert facts["parameters"]["n_words"] == 60
    assert facts["root"] == str(made)
    assert "n_words              60" in run("info", made / "photos.index").stdout
    listed = run("info", made / "photos.index", "--paths").stdout.split()
    assert sorted(listed) == sorted(path_of(number) for number in range(N_SCENES))
    assert f"{made / 'photos.index'} is sound" in run("check", made / "photos.index").stdout


ASKING: tuple[Callable[[Path], tuple[object, ...]], ...] = (
    lambda folder: ("search", folder / "photos.index", folder / "queries" / "0.png"),
    lambda folder: ("add", folder / "photos.index", folder / "queries"),
    lambda folder: ("update", folder / "photos.index"),
    lambda folder: ("remove", folder / "photos.index", "x.png"),
    lambda folder: ("compact", folder / "photos.index"),
    lambda folder: ("evaluate", folder / "photos.index", truth(folder)),
    lambda folder: ("duplicates", folder / "photos.index"),
    lambda folder: ("check", folder / "photos.index"),
)


@pytest.mark.parametrize("asking", ASKING)
def test_an_index_that_is_missing_or_damaged(
    own: Path, index: Path, asking: Callable[[Path], tuple[object, ...]]
) -> None:
    (array,) = index.glob("segments/*/places.npy")
    content = bytearray(array.read_bytes())
    content[-3] ^= 1
    array.write_bytes(content)
    said = fails(1, *asking(own))
    assert said.startswith("cvbow: error: ")
    assert "is damaged" in said
    assert len(said.splitlines()) == 1
    (index / "manifest.json").unlink()
    said = fails(1, *asking(own))
    assert "is not an index" in said or "not a" in said
    shutil.rmtree(index)
    assert "photos.index: there is no such file or folder" in fails(2, *asking(own))


def test_an_index_that_another_writes(own: Path, index: Path) -> None:
    with ImageIndex.open(index, write=True):
        for asking in ASKING[1:5]:
            said = fails(1, *asking(own))
            assert "another process is writing it" in said
            assert len(said.splitlines()) == 1
        assert run("search", index, own / "queries" / "0.png").exit_code == 0


def test_an_interrupt_says_how_to_go_on(own: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageIndex, "add", interrupted)
    result = run("add", index, own / "queries")
    assert result.exit_code == 130
    said = f"{index} has {N_SCENES} images; continue with 'cvbow index add {index} {own / 'queries'}'"
    assert said in result.stderr
    monkeypatch.undo()
    assert document("add", index, own / "queries")["n_images"] == 2 * N_SCENES + 1
