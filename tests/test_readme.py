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
    lines = [line.partition(" #")[0].rstrip() for block in blocks(page, "sh") for line in block.splitlines()]
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
LINES = each_once({f"{page} {number}": line for page in PAGES for number, line in enumerate(commands(page), start=1)})


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
    assert {line.split()[1] for _, line in LINES} >= {"train", "evaluate", "predict"}


@pytest.mark.parametrize("code", [code for _, code in PYTHON], ids=[place for place, _ in PYTHON])
def test_python_blocks_run(code: str, photos: Path) -> None:
    # In a process of its own, as a reader would run it; a warning is an error there too.
    done = run_code(code)
    assert done.returncode == 0, done.stderr
    assert "cvbow.reporting()" in code or done.stderr == ""  # only who asks for it is told


def test_commands_run_one_after_the_other(photos: Path) -> None:
    """Those of one page after those of another; one that several pages have runs where it stands first."""
    n_written = 0
    for place, line in LINES:
        outputs = [photos / name for name in re.findall(r"(?:-o|--output|--report) (\S+)", line)]
        for output in outputs:
            output.unlink(missing_ok=True)  # that of another page
        # A search takes all the time that it is given.
        words = shlex.split(line.replace("--time 30m", "--time 2s"))[1:]
        done = CliRunner().invoke(cli, [name for word in words for name in sorted(glob.glob(word)) or [word]])
        assert done.exit_code == 0, f"{place}: {line}\n{done.output}"
        assert all(output.exists() for output in outputs), f"{place}: {line}"
        n_written += len(outputs)
    assert n_written > 10
