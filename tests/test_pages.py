"""The pages and the gallery: what they show runs, they are complete, and the names in them are there."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from fresh_process import run_code
from headless_browser import Browser, has_browser
from importing import importable

import cvbow
from cvbow_cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SCRIPTS = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


@pytest.fixture
def made() -> Iterator[None]:
    """Modules of docs/ can be imported."""
    with importable(DOCS):
        yield


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_of_the_gallery_runs_and_draws(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'cvbow[report]'")
    code = (
        "import runpy, sys, matplotlib.pyplot as plt\n"
        f"runpy.run_path({str(ROOT / 'examples' / f'{name}.py')!r})\n"
        "print(len(plt.get_fignums()), 'figures', file=sys.stderr)"
    )
    environment = {"MPLBACKEND": "Agg", "MPLCONFIGDIR": str(tmp_path / "fonts")}
    done = run_code(code, folder=tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^[1-9]\d* figures$", done.stderr, re.MULTILINE)
    assert done.stdout, "a script says in figures what its picture shows"
    left = {path.name for path in tmp_path.iterdir()} - {"fonts"}
    assert not left, "a script leaves no files"


def test_a_script_uses_public_names_alone() -> None:
    for name in SCRIPTS:
        tree = ast.parse((ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cvbow":
                module = importlib.import_module(node.module)
                assert {alias.name for alias in node.names} <= set(module.__all__), f"{name}: {node.module}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cvbow":
                assert node.attr in cvbow.__all__, f"{name}: cvbow.{node.attr}"


def test_the_gallery_has_an_order(made: None) -> None:
    gallery = importlib.import_module("_gallery")
    assert sorted(gallery.SCRIPTS) == SCRIPTS
    assert gallery.Order("examples")(f"{gallery.SCRIPTS[1]}.py") == 1


def test_a_page_of_the_gallery_begins_with_its_picture(made: None) -> None:
    picture_first = importlib.import_module("_gallery").picture_first
    intro, first, second = (
        "A question\n==========\n\n",
        ".. image-sg:: /a.png\n   :alt: a\n",
        ".. image-sg:: /b.png\n   :alt: b\n",
    )
    code = ".. GENERATED FROM PYTHON SOURCE LINES 1-2\n\n.. code-block:: Python\n\n    x = 1\n\n"
    assert picture_first(f"{intro}{code}{first}\n{code}{second}") == f"{intro}{first}\n{code}\n{code}{second}"
    assert picture_first(intro + code) == intro + code


def test_every_command_has_lines_that_are_run(made: None) -> None:
    commands = importlib.import_module("_commands")
    assert set(commands.RUNS) == set(COMMANDS)
    for name, lines in commands.RUNS.items():
        assert lines
        assert all(line.startswith(f"cvbow {name} ") or line == f"cvbow {name}" for line in lines)


def test_a_command_s_page(made: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = importlib.import_module("_commands")
    monkeypatch.setitem(commands.RUNS, "stats", ("cvbow stats photos -o photos-stats",))
    monkeypatch.setattr(commands, "RUNS", {"stats": commands.RUNS["stats"]})
    monkeypatch.setattr(commands, "COMMANDS", {"stats": COMMANDS["stats"]})
    commands.write_commands(tmp_path / "commands", tmp_path / "extra")
    text = (tmp_path / "commands" / "cvbow-stats.md").read_text(encoding="utf-8")
    assert "$ cvbow stats photos -o photos-stats\n" in text
    assert "84" in text  # images
    assert "(files/photos-stats-montage.png)" in text
    assert (tmp_path / "commands" / "files" / "photos-stats-montage.png").is_file()
    assert "\n`--size WIDTH HEIGHT`\n: Resize images" in text
    assert "\n: \n" not in text
    assert "[`cvbow stats`](cvbow-stats.md)" in (tmp_path / "commands" / "index.md").read_text(encoding="utf-8")


def test_plain_text_as_markdown(made: None) -> None:
    prose = importlib.import_module("_commands").prose
    assert prose("Read DIR/<class>/<image>, a file's path_1\n  (see --top K).") == (
        "Read `DIR/<class>/<image>`, a file's `path_1` (see `--top` K)."
    )


def test_every_room_has_a_page(made: None) -> None:
    pytest.importorskip("sphinx", reason="needs Sphinx: pip install 'cvbow[docs]'")
    rooms = importlib.import_module("_rooms")
    assert sorted(room for some in rooms.ROOMS.values() for room in some) == rooms.public_rooms()


def test_links_that_lead_nowhere_are_found(made: None, tmp_path: Path) -> None:
    links = importlib.import_module("_links")
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">x</a><a href="https://example.org/no">y</a><img src="c.png">'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p><a href="a.html#gone">x</a><a href="#there">y</a>')
    assert links.broken_links(tmp_path) == ["a.html: c.png", "b.html: a.html#gone"]
    (tmp_path / "c.png").touch()
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    assert links.broken_links(tmp_path) == []


def test_what_the_concepts_say_is_printed(made: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    material = importlib.import_module("_material")
    material.write_photos(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    # doctest knows no fences: the one that ends a block would be taken for output.
    text = re.sub(r"^```.*$", "", (DOCS / "concepts.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    (tmp_path / "concepts.txt").write_text(text, encoding="utf-8")
    failed, tried = doctest.testfile(str(tmp_path / "concepts.txt"), module_relative=False, globs={})
    assert tried > 20
    assert failed == 0


def resolved(name: str) -> object:
    """What a dotted name stands for; AttributeError or ModuleNotFoundError if there is nothing of that name."""
    module, _, rest = name.partition(".")
    value: object = importlib.import_module(module)
    for part in rest.split("."):
        if isinstance(value, ModuleType) and not hasattr(value, part):
            value = importlib.import_module(f"{value.__name__}.{part}")
        else:
            value = getattr(value, part)
    return value


def test_the_names_in_the_pages_are_there() -> None:
    """Names of cvbow, detectors and descriptors of the page for those who come from elsewhere; commands of all."""
    text = (DOCS / "coming_from.md").read_text(encoding="utf-8")
    names = set(re.findall(r"\bcvbow(?:\.\w+)+", text))
    assert len(names) > 30
    for name in names:
        resolved(name)
    from cvbow.features import DESCRIPTORS, DETECTORS

    for first, second in re.findall(r'LocalFeatures\("([\w-]+)", (?:"([\w-]+)"|\.\.\.)\)', text):
        assert first in DETECTORS
        assert not second or second in DESCRIPTORS
    for kind, registry in (("detectors?", DETECTORS), ("descriptors?", DESCRIPTORS)):
        for listed in re.findall(rf"\b{kind} ((?:`[\w-]+`(?:, )?)+)", text):
            assert set(re.findall(r"`([\w-]+)`", listed)) <= set(registry)
    for page in DOCS.rglob("*.md"):
        if page.parent.name not in ("commands", "_made"):
            for command in re.findall(r"`cvbow ([a-z]+)", page.read_text(encoding="utf-8")):
                assert command in COMMANDS, f"{page.name}: cvbow {command}"


def slugs(path: Path) -> set[str]:
    """The places of a Markdown file that links may lead to: its titles, as a code host spells them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_pages_can_be_read_where_they_are_not_built() -> None:
    """On a code host: tables stand in the pages, and nothing that they lead to is made first."""
    folders = {"_made", "_build", "api", "commands", "gallery"}
    pages = [page for page in DOCS.rglob("*.md") if not folders & {*page.parts}]
    assert len(pages) > 15
    n_links = 0
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"(?:\]\(|\{include\} )([^)\s#]*(?:#[\w-]+)?)", text):
            name, _, place = link.partition("#")
            if "://" in name:
                continue
            target = (page.parent / name).resolve() if name else page
            n_links += 1
            assert target.exists(), f"{page.name}: {link}"
            assert not (target.is_relative_to(DOCS) and folders & {*target.relative_to(DOCS).parts}), link
            assert not place or place in slugs(target), f"{page.name}: {link}"
    assert n_links > 50


def test_links_lead_to_what_is_built(made: None) -> None:
    """Where a page leads to a command, a room or the examples, the site leads to the page that it has of them."""
    as_built = importlib.import_module("_links").as_built
    text = (
        "[a](../../cli/cvbow_cli/train.py) [b](../cvbow/images/) [c](../cvbow/) [d](../cli/cvbow_cli/) "
        "[e](../../examples/) [f](../benchmarks/README.md#faces) [g](../../CONTRIBUTING.md) [h](start.md#cvbow/)"
    )
    assert as_built(text) == (
        "[a](../commands/cvbow-train.md) [b](api/cvbow.images.rst) [c](api/index.rst) [d](commands/index.md) "
        "[e](../gallery/index.rst) [f](benchmarks.md#faces) [g](../contributing.md) [h](start.md#cvbow/)"
    )
    for page in (*DOCS.glob("*.md"), *DOCS.glob("guide/*.md"), *DOCS.glob("decisions/*.md")):
        links = re.findall(r"\]\(([^)#\s]+)", as_built(page.read_text(encoding="utf-8")))
        outside = [link for link in links if not (page.parent / link).resolve().is_relative_to(DOCS)]
        assert not [link for link in outside if "://" not in link], page.name


def test_the_drawing_of_the_concepts_is_what_its_script_makes(made: None, tmp_path: Path) -> None:
    importlib.import_module("_way").write_way(tmp_path / "way.svg")
    made_now, shown = (path.read_text(encoding="utf-8") for path in (tmp_path / "way.svg", DOCS / "way.svg"))
    said = [re.findall(r"<text[^>]*>([^<]*)<", text) for text in (made_now, shown)]
    number = r"\d[\d,.]*"
    assert [re.sub(number, "0", line) for line in said[0]] == [re.sub(number, "0", line) for line in said[1]]
    numbers = [[float(one.replace(",", "")) for line in lines for one in re.findall(number, line)] for lines in said]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.02)
    assert len(numbers[0]) > 6


@pytest.mark.skipif(not has_browser(), reason="needs chromium and its driver")
def test_titles_and_tables_on_a_phone(tmp_path: Path) -> None:
    """A title is larger than those below it, a figure stays beside its unit, and what is wide scrolls by itself."""
    style = (DOCS / "_static" / "cvbow.css").read_text(encoding="utf-8")
    cells = "".join(f'<td class="text-right">{number}.21 megabytes</td>' for number in range(9))
    (tmp_path / "page.html").write_text(
        "<!doctype html><style>h1 { font-size: 2.5rem } h2 { font-size: 2.2rem } h3 { font-size: 1.8rem }\n"
        f'{style}</style><article class="bd-article"><h1>Recipes</h1><h2>Which one</h2><h3>Parts</h3>'
        f"<table><tr>{cells}</tr></table></article>"
    )
    with Browser(width=390) as browser:
        browser.open(tmp_path / "page.html")
        sizes = browser.run(
            "return ['h1', 'h2', 'h3'].map((name) => getComputedStyle(document.querySelector(name)).fontSize)"
            ".map(parseFloat)"
        )
        assert sizes == sorted(set(sizes), reverse=True)
        assert browser.run("return document.querySelector('td').offsetHeight") < 2 * 16 * 0.9 * 1.5
        assert browser.run("return document.documentElement.scrollWidth") <= 390


def test_opencv_s_names_are_opencv_s() -> None:
    """OpenCV 5 moved some of those of OpenCV 4 to other modules, or dropped them."""
    import cv2

    moved = {"cv2.BOWKMeansTrainer", "cv2.BOWImgDescriptorExtractor"}
    text = (DOCS / "coming_from.md").read_text(encoding="utf-8")
    for name in set(re.findall(r"\bcv2(?:\.\w+)+", text)) - moved:
        assert resolved(name) is not None
    assert all(hasattr(cv2, name[4:]) for name in moved) == (cv2.__version__ < "5")
