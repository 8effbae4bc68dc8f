"""The examples of the README and of the pages: every Python block runs as it stands, and so does every command."""

from __future__ import annotations

import glob
import re
import shlex
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner
from fresh_process import run_code
from marked_images import write_marked
from masked_images import write_masked
from tiny_images import write_dataset

from cvbow_cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "docs/start.md",
    *sorted(f"docs/guide/{path.name}" for path in (ROOT / "docs/guide").glob("*.md")),
)


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """Lines of shell blocks that call cvbow, without their comments."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("cvbow ")]


def each_once(found: dict[str, str]) -> list[tuple[str, str]]:
    """Texts with the first place that each stands in."""
    places: dict[str, str] = {}
    for place, text in found.items():
        places.setdefault(text, place)
    return [(place, text) for text, place in places.items()]


PYTHON = each_once(
    {f"{page} {number}": code for page in PAGES for number, code in enumerate(blocks(page, "python"), start=1)}
)
COMMANDS = each_once({page: "\n".join(commands(page)) for page in PAGES if commands(page)})


def test_the_readme_takes_five_minutes() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1000


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md"])
def test_links_to_files_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    files = [link for link in links if link and "://" not in link and not link.startswith("mailto:")]
    assert [link for link in files if not ((ROOT / document).parent / link).exists()] == []


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the folders that the examples name."""
    train = write_dataset(tmp_path / "photos" / "train")
    write_dataset(tmp_path / "photos" / "test")
    write_marked(tmp_path, 5)  # boxes.csv
    write_masked(tmp_path, 3)  # images and masks
    (tmp_path / "new").mkdir()
    for number, path in enumerate(sorted(train.rglob("*.png"))[::5]):
        cv2.imwrite(str(tmp_path / "new" / f"{number}.jpg"), cv2.imread(str(path)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_examples() -> None:
    assert PYTHON
    assert {line.split()[1] for _, lines in COMMANDS for line in lines.splitlines()} >= {"train", "evaluate", "predict"}


@pytest.mark.parametrize("code", [code for _, code in PYTHON], ids=[place for place, _ in PYTHON])
def test_python_blocks_run(code: str, photos: Path) -> None:
    # In a process of its own, as a reader would run it; a warning is an error there too.
    done = run_code(code)
    assert done.returncode == 0, done.stderr
    assert "cvbow.reporting()" in code or done.stderr == ""  # only who asks for it is told


@pytest.mark.parametrize("lines", [lines for _, lines in COMMANDS], ids=[page for page, _ in COMMANDS])
def test_commands_run_one_after_the_other(lines: str, photos: Path) -> None:
    # A page may say a line twice, to show it with what follows.
    for line in dict.fromkeys(line.partition(" #")[0].rstrip() for line in lines.splitlines()):
        # A search takes all the time that it is given.
        line = line.replace("--time 30m", "--time 2s")
        words = [name for word in shlex.split(line, comments=True)[1:] for name in sorted(glob.glob(word)) or [word]]
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, f"{line}\n{done.output}"
    written = re.findall(r"(?:-o|--output|--report) (\S+)", re.sub(r"#.*", "", lines))
    assert written
    assert all((photos / name).exists() for name in written)
