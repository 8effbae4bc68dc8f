"""The README's examples: every Python block runs as it stands, and so does every command."""

from __future__ import annotations

import glob
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner
from marked_images import write_marked
from masked_images import write_masked
from tiny_images import write_dataset

from cvbow_cli.main import cli

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


def commands() -> list[str]:
    """Lines of shell blocks that call cvbow, without their comments."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("cvbow ")]


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
    assert blocks("python")
    assert {line.split()[1] for line in commands()} >= {"train", "evaluate", "predict", "info"}


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_blocks_run(number: int, photos: Path) -> None:
    code = blocks("python")[number]
    # In an interpreter of its own, as a reader would run it; a warning is an error there too.
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_commands_run_one_after_the_other(photos: Path) -> None:
    for line in commands():
        # A search takes all the time that it is given.
        line = line.replace("--time 30m", "--time 2s")
        words = [name for word in shlex.split(line, comments=True)[1:] for name in sorted(glob.glob(word)) or [word]]
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, f"{line}\n{done.output}"
    assert (photos / "photos.cvbow").is_file()
    assert (photos / "photos.html").is_file()
