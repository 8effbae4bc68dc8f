"""The benchmark of retrieval on images made here, its definition, its place in tables, and its command."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from own_datasets import register

from cvbow.datasets import RetrievalLayout, load_dataset, locate
from cvbow.errors import DatasetError, ImageError, NetworkError
from cvbow.experiments import (
    RetrievalDefinition,
    collect_results,
    find_benchmark,
    read_benchmark,
    result_rows,
    result_tables,
    rows_table,
    run_benchmark,
    target_rows,
    write_result,
)
from cvbow.index import ImageIndex, evaluate_index
from cvbow.retrieval import ImageVectors
from cvbow_cli.main import cli

COVERS = """
title = "Tiny covers"
content = "made by the tests"
n_images = 16
n_classes = 8
layout = "references"
homepage = "https://example.org"
terms = "Made by the tests."
citation = "Nobody, 2024."

[options]
references = "Reference"
queries = ["Phone"]
"""

OTHERS = """
title = "Tiny others"
content = "made by the tests"
n_images = 12
n_classes = 2
layout = "folders"
homepage = "https://example.org"
terms = "Made by the tests."
citation = "Nobody, 2024."
"""

DEFINITION = """
kind = "retrieval"
title = "Tiny"
dataset = "tiny-covers"

[protocol]
distractors = ["tiny-others"]
learn_on = "distractors"
k = [1, 3]
metric = "recall@1"

[describers.words]
kind = "words"
n_words = 60
extractor = { max_points = 150 }

[describers.colors]
kind = "vectors"
backend = "colors"
n_components = 3

[[variants]]
name = "words"
describer = "words"

[[variants]]
name = "colors"
describer = "colors"

[[variants]]
name = "words, verified"
describer = "words"
verify = 5

[[variants.published]]
method = "somebody"
figure = 90.0
source = "Nobody, 2024"
status = "as reported"
"""

#: The same with the cheap describer alone.
COLORS = (
    DEFINITION[: DEFINITION.index("[describers.words]")]
    + """
[describers.colors]
kind = "vectors"
backend = "colors"
n_components = 3

[[variants]]
name = "colors"
describer = "colors"
"""
)


def texture(seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (150, 180)).astype(np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX)


def write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight references, each with a query that is turned, shrunk and darkened; and twelve other images."""
    root = tmp_path_factory.mktemp("sets")
    for number in range(8):
        pixels = texture(number)
        write(root / "covers" / "Reference" / f"{number}.png", pixels)
        matrix = cv2.getRotationMatrix2D((90, 75), 8 + number, 0.9)
        turned = cv2.warpAffine(pixels, matrix, (180, 150), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        write(root / "covers" / "Phone" / f"{number}.png", (0.8 * turned).astype(np.uint8))
    for number in range(12):
        write(root / "others" / "ab"[number % 2] / f"{number}.png", texture(100 + number))
    (root / "tiny.toml").write_text(DEFINITION)
    return root


@pytest.fixture
def sets(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    register(monkeypatch, tmp_path / "bundled", **{"tiny-covers": COVERS, "tiny-others": OTHERS})
    return folder


def read(path: Path) -> RetrievalDefinition:
    definition = read_benchmark(path)
    assert isinstance(definition, RetrievalDefinition)
    return definition


def data(sets: Path) -> dict[str, Path]:
    return {"tiny-covers": sets / "covers", "tiny-others": sets / "others"}


def test_the_result_is_that_of_the_parts(sets: Path, tmp_path: Path) -> None:
    definition = read(sets / "tiny.toml")
    result = run_benchmark(definition, data(sets), n_jobs=1)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["kind"], result["benchmark"], result["quick"]) == ("cvbow-retrieval-result", "tiny", False)
    assert result["dataset"]["n_images"] == 16
    assert [other["name"] for other in result["others"]] == ["tiny-others"]
    assert result["learned_on"] == {"what": "distractors", "n_images": 12}
    words, colors, verified = result["variants"]
    assert [variant["name"] for variant in result["variants"]] == ["words", "colors", "words, verified"]
    assert {variant["n_images"] for variant in result["variants"]} == {20}
    assert {variant["n_queries"] for variant in result["variants"]} == {8}
    assert verified["recall"]["1"] == 1, "a turn of a few degrees is no difficulty"
    assert verified["verify"] == 5
    assert 12 <= colors["cost"]["index_bytes_per_image"] < words["cost"]["index_bytes_per_image"]
    assert words["cost"]["search_ms_per_query"] > 0

    layout = locate("tiny-covers", sets / "covers").manifest.layout
    assert isinstance(layout, RetrievalLayout)
    found = layout.retrieval(sets / "covers")
    others = [path for path in load_dataset(locate("tiny-others", sets / "others")).images if isinstance(path, Path)]
    describer = definition.describers["words"].describer(seed=0).fit(others)
    with ImageIndex.build(tmp_path / "index", describer) as index:
        index.add([*found.indexed, *others])
        by_hand = evaluate_index(index, found.ground_truth, k=(1, 3))
    assert {key: words[key] for key in by_hand} == by_hand
    other = run_benchmark(definition, data(sets), n_jobs=2)
    for variant in (*other["variants"], *result["variants"]):
        variant.pop("cost")
    assert other["variants"] == result["variants"], "figures must not depend on the number of workers"


def test_queries_are_never_learned_from(sets: Path) -> None:
    """Learned on a data set that is indexed: its queries are left out; where nothing else is left, that is said."""
    text = COLORS.replace('distractors = ["tiny-others"]', "").replace('"distractors"', '"index"')
    path = sets / "index.toml"
    path.write_text(text)
    result = run_benchmark(read(path), sets / "covers", n_jobs=1)
    assert result["learned_on"] == {"what": "index", "n_images": 8}
    assert result["variants"][0]["n_images"] == 8
    assert result["others"] == []


def test_a_data_set_that_is_all_queries_is_not_learned_from(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = COVERS.replace('"references"', '"numbered-groups"').split("[options]")[0] + "[options]\nsize = 2\n"
    register(
        monkeypatch, tmp_path / "more", **{"tiny-covers": groups.replace("= 16", "= 8").replace("= 8\nl", "= 4\nl")}
    )
    path = tmp_path / "groups.toml"
    path.write_text(
        DEFINITION.replace('distractors = ["tiny-others"]', "keep_self = true").replace('"distractors"', '"index"')
    )
    with pytest.raises(DatasetError, match="nothing to learn from: all images of index are queries"):
        run_benchmark(read(path), sets / "covers" / "Reference", n_jobs=1)


def test_an_image_that_cannot_be_read_is_an_error(sets: Path, tmp_path: Path) -> None:
    for name in ("covers", "others"):
        for path in (sets / name).rglob("*.png"):
            target = tmp_path / path.relative_to(sets)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    (tmp_path / "colors.toml").write_text(COLORS)
    definition = read(tmp_path / "colors.toml")
    for broken in ("covers/Phone/3.png", "covers/Reference/2.png", "others/a/4.png"):
        content = (tmp_path / broken).read_bytes()
        (tmp_path / broken).write_bytes(b"broken")
        with pytest.raises(ImageError, match=Path(broken).name):
            run_benchmark(definition, data(tmp_path), n_jobs=1)
        (tmp_path / broken).write_bytes(content)


def test_tables(sets: Path, tmp_path: Path) -> None:
    definition = read(sets / "tiny.toml")
    result = run_benchmark(definition, data(sets), n_jobs=1, quick=True)
    assert result["quick"]
    assert result["variants"][0]["n_queries"] == 6
    table = result_tables(result)["figures"]
    assert list(table.heads[:5]) == ["index", "recall@1 %", "recall@3 %", "mAP %", "mAP, trapezoids %"]
    names = ["words", "colors", "words, verified"]
    assert [row[0] for row in table.rows] == [f"{name} (quick run: not meaningful)" for name in names]
    write_result(tmp_path / "tiny.json", result)
    write_result(tmp_path / "other.json", {"kind": "train"})
    (collected,) = collect_results([tmp_path])
    rows = result_rows([collected])
    assert [(row.preset, row.published) for row in rows] == [
        ("words, recall@1", None),
        ("colors, recall@1", None),
        ("words, verified, recall@1", 90.0),
    ]
    assert rows[2].figure == 100 * result["variants"][2]["recall"]["1"]
    assert rows[2].difference is None, "a quick run is not compared"
    result["quick"] = False
    assert result_rows([result])[2].difference == pytest.approx(rows[2].figure - 90)
    assert "somebody (as reported)" in rows_table(result_rows([result])).text()
    assert [row.published for row in target_rows([definition])] == [90.0]


def test_the_command(sets: Path, tmp_path: Path) -> None:
    output = tmp_path / "result.json"
    arguments = ["bench", "run", str(sets / "tiny.toml"), "--quick", "--n-jobs", "1", "--quiet"]
    folders = ["--data", str(sets / "covers"), "--data", f"tiny-others={sets / 'others'}"]
    done = CliRunner().invoke(cli, [*arguments, *folders, "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("QUICK")
    for words in ("words, verified", "recall@3", "tiny-others, 12 images, sha256:", "6 queries"):
        assert words in done.stdout
    assert json.loads(output.read_text())["kind"] == "cvbow-retrieval-result"
    named = ["--data", f"tiny-covers={sets / 'covers'}", *folders[2:], "--json"]
    (tmp_path / "colors.toml").write_text(COLORS)
    arguments[2] = str(tmp_path / "colors.toml")
    document = json.loads(CliRunner().invoke(cli, [*arguments, *named]).stdout)
    assert document["variants"][0]["recall"].keys() == {"1", "3"}
    twice = CliRunner().invoke(cli, [*arguments, *folders, *folders[:2]])
    assert (twice.exit_code, "--data gives tiny-covers twice" in twice.stderr) == (2, True)
    absent = CliRunner().invoke(cli, [*arguments, *folders[:2]])
    assert absent.exit_code == 1
    assert "Tiny others" in absent.stderr
    foreign = CliRunner().invoke(cli, [*arguments, "--data", str(sets / "nowhere"), *folders[2:]])
    assert (foreign.exit_code, "no such folder" in foreign.stderr) == (1, True)


def test_data_of_another_set_is_refused(sets: Path) -> None:
    with pytest.raises(ValueError, match="data must be of tiny-covers, tiny-others, got 'digits'"):
        run_benchmark(read(sets / "tiny.toml"), data(sets) | {"digits": sets})


def test_networks_are_asked_for_when_a_definition_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CVBOW_NETWORKS", raising=False)
    definition = find_benchmark("dvd-covers-networks")
    assert isinstance(definition, RetrievalDefinition)
    assert definition.describers.keys() == {variant.describer for variant in definition.variants}
    with pytest.raises(NetworkError, match="CVBOW_NETWORKS"):
        run_benchmark(definition, tmp_path)


def test_the_shipped_definitions() -> None:
    found = {
        name: find_benchmark(name) for name in ("buildings", "dvd-covers", "ukbench", "holidays", "oxford5k", "paris6k")
    }
    definitions = {name: one for name, one in found.items() if isinstance(one, RetrievalDefinition)}
    assert definitions.keys() == found.keys()
    covers = definitions["dvd-covers"]
    assert (covers.protocol.distractors, covers.protocol.learn_on) == (("scene15",), "distractors")
    assert {variant.search.verify for variant in covers.variants} == {0, 100}
    assert [name for name, one in definitions.items() if one.protocol.keep_self] == ["ukbench", "oxford5k", "paris6k"]
    assert [figure.figure for figure in definitions["holidays"].published] == [81.3, 52.6, 55.6]
    assert {figure.figure for figure in definitions["oxford5k"].published} == {63.6, 67.2, 68.3, 72.0, 74.8, 82.5}
    assert definitions["paris6k"].published == ()
    vectors = covers.describers["vlad"].describer(seed=0)
    assert isinstance(vectors, ImageVectors)
    assert vectors.backend.get_params()["reduce"] is None, '"none" stands for None, as with --set'
    assert definitions["ukbench"].published[0].figure == 80


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('dataset = "tiny-covers"', 'dataset = "tiny-others"', "dataset must be one of tiny-covers, got 'tiny-others'"),
        ('["tiny-others"]', '["scenes"]', "protocol.distractors must be a list of different data sets, of tiny-others"),
        (
            'distractors = ["tiny-others"]',
            "",
            "protocol.learn_on must be something else where there are no distractors",
        ),
        ('"distractors"', '"queries"', "protocol.learn_on must be one of index, distractors, tiny-others"),
        ('"recall@1"', '"recall@2"', "protocol.metric must be at one of the places k, 1, 3, got 'recall@2'"),
        ('"recall@1"', '"accuracy"', "protocol.metric must be map, map_trapezoids or recall@K"),
        ("k = [1, 3]", "k = [1, 1]", "protocol.k must be a list of different integers >= 1"),
        ("k = [1, 3]", "K = [1, 3]", "protocol.metric|unknown key protocol.K"),
        ("n_words = 60", "n_word = 60", "describers.words: .*n_word"),
        ("n_words = 60", "n_words = 0", "describers.words: .*n_words must be"),
        ("max_points = 150", "max_point = 150", "describers.words: .*max_point"),
        ('backend = "colors"', 'backend = "color"', "describers.colors: backend must be one of"),
        ('backend = "colors"', "", "key describers.colors.backend is missing"),
        (
            "n_components = 3",
            "backend_settings = {step = 3}",
            "describers.colors: backend_settings must go with a preset",
        ),
        ('describer = "colors"', 'describer = "color"', r"variants\[2\].describer must be one of words, colors"),
        ('name = "colors"', 'name = "words"', "variants must be one table or more, with names of their own"),
        ("verify = 5", "verify = -1", r"variants\[3\].verify must be an integer >= 0"),
        ("verify = 5", "expanded = 5", r"unknown key variants\[3\].expanded"),
        ("figure = 90.0", "figure = 190.0", r"variants\[3\].published\[1\].figure must be a number of percent"),
    ],
)
def test_what_is_wrong_in_a_definition_is_named(sets: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "wrong.toml"
    assert old in DEFINITION
    path.write_text(DEFINITION.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_benchmark(path)
