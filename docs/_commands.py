"""The pages of the commands: help and options as click knows them, and examples with what they print, really run."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from click.testing import CliRunner

import _material
from cvbow_cli.main import COMMANDS, cli

#: What each page shows, run from top to bottom in one folder.
RUNS: dict[str, tuple[str, ...]] = {
    "demo": ("cvbow demo -o an-8.png",),
    "stats": ("cvbow stats photos -o photos-stats",),
    "augment": ("cvbow augment photos/train -o augmented -n 2 --rotation-range 20 --seed 1",),
    "train": (
        "cvbow train photos -o photos.cvbow",
        "cvbow train photos -o fast.cvbow --preset fast --set n_words=60",
    ),
    "predict": (
        "cvbow predict photos.cvbow new/*.png --top 2",
        "cvbow predict photos.cvbow new/0.png flower.jpg --coverage 0.95",
        "cvbow predict fast.cvbow new/0.png --json",
    ),
    "evaluate": ("cvbow evaluate photos.cvbow photos --report photos.html",),
    "next": ("cvbow next photos.cvbow new -n 3 --csv to-label.csv",),
    "explain": (
        "cvbow explain photos.cvbow new/0.png new/2.png -o why.png",
        "cvbow explain photos.cvbow photos/test/triangle -o why.html",
    ),
    "locate": ("cvbow locate photos.cvbow scenes/images/0[0-3].png --class circle -o where.png",),
    "words": ("cvbow words fast.cvbow photos -o words.html",),
    "detect": (
        "cvbow detect train scenes/boxes.csv -o shapes.cvbow",
        "cvbow detect run shapes.cvbow more/images/5[0-3].png -o found.png",
        "cvbow detect evaluate shapes.cvbow more/boxes.csv --report shapes.html",
    ),
    "segment": (
        "cvbow segment train more/images more/masks -o parts.cvbow --classifier linear-svm",
        "cvbow segment apply parts.cvbow scenes/images/00.png -o found --overlay",
        "cvbow segment evaluate parts.cvbow scenes/images scenes/masks",
    ),
    "audit": ("cvbow audit photos --report audit.html",),
    "tune": ("cvbow tune photos --evaluations 2 --max-images 30 -o best.toml",),
    "compare": ("cvbow compare photos -w pixels -w colors -w fast",),
    "features": (
        "cvbow features flower.jpg -o stages.png",
        "cvbow features flower.jpg --stage sift --stage orb --json",
    ),
    "match": ("cvbow match left.jpg right.jpg -o matches.png",),
    "index": (
        "cvbow index build pictures -o pictures.index",
        "cvbow index search pictures.index right.jpg --top 3 -o search.png",
        "cvbow index duplicates pictures.index",
        "cvbow index add pictures.index right.jpg",
        "cvbow index info pictures.index",
    ),
    "bench": ("cvbow bench run digits-fast --quick", "cvbow bench list"),
    "data": ("cvbow data list",),
    "export": ("cvbow export fast.cvbow -o fast.onnx --web site",),
    "info": ("cvbow info fast.cvbow",),
}

#: Pictures of folders that are worth seeing, besides those that a line names with -o.
_PICTURES = {
    "stats": ("photos-stats/montage.png", "photos-stats/mean.png"),
    "augment": ("augmented/triangle/00_40_0.png", "augmented/triangle/00_40_1.png"),
    "segment": ("found/overlay/00.png",),
}


def up_to_date(made: Path, sources: Sequence[Path]) -> bool:
    """Whether a file is there and newer than all code that it depends on: running the commands takes half a minute."""
    paths = [path for source in sources for path in source.rglob("*.py")]
    return made.exists() and made.stat().st_mtime > max(path.stat().st_mtime for path in paths)


def write_commands(folder: Path, extra: Path) -> None:
    """Write ``index.md`` and a page for each command into a folder; HTML pages that commands made go to another."""
    if set(RUNS) != set(COMMANDS):
        raise ValueError(f"docs/_commands.py and cvbow differ in {sorted(set(RUNS) ^ set(COMMANDS))}")
    pictures, pages = folder.absolute() / "files", extra.absolute() / "commands" / "files"
    shutil.rmtree(folder, ignore_errors=True)
    for place in (pictures, pages):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name, _inside(Path(name)):
        _material.write_all(Path())
        texts = {command: "\n".join(_page(command, pictures, pages)) + "\n" for command in RUNS}
    for command, text in texts.items():
        (folder / f"cvbow-{command}.md").write_text(text, encoding="utf-8")
    (folder / "index.md").write_text("\n".join(_index()) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder, where no setting of the machine says where data lies."""
    before, kept = Path.cwd(), dict(os.environ)
    for name in [name for name in os.environ if name.startswith("CVBOW_")]:
        del os.environ[name]
    os.environ["CVBOW_CACHE"] = "cache"
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(kept)


def run(line: str) -> str:
    """What a line prints, on both streams; RuntimeError if it fails."""
    words = [name for word in shlex.split(line)[1:] for name in sorted(glob.glob(word)) or [word]]
    done = CliRunner().invoke(cli, words, prog_name="cvbow")
    if done.exit_code:
        raise RuntimeError(f"{line}\n{done.output}")
    # Where the run took place is nobody's business, and another folder each time.
    return done.output.replace(f"{Path.cwd()}{os.sep}", "").replace(str(Path.cwd()), ".")


def _page(name: str, pictures: Path, pages: Path) -> Iterator[str]:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    yield f"# cvbow {name}\n\n{COMMANDS[name][1]}\n"
    for line in RUNS[name]:
        yield f"```console\n$ {line}\n{run(line).rstrip()}\n```\n"
        for made in re.findall(r"\S+\.(?:png|html)\b", line.partition(" -o ")[2] or line.partition("--report ")[2]):
            yield from _made(Path(made), pictures, pages)
    for made in _PICTURES.get(name, ()):
        yield from _made(Path(made), pictures, pages)
    yield from _reference(command, f"cvbow {name}")


def _made(path: Path, pictures: Path, pages: Path) -> Iterator[str]:
    name = "-".join(path.parts)
    if path.suffix == ".png":
        shutil.copyfile(path, pictures / name)
        yield f"![What the command has drawn: {name}](files/{name})\n"
    else:
        shutil.copyfile(path, pages / name)
        yield f'The page that it wrote: <a href="files/{name}">{name}</a>\n'


def _reference(command: click.Command, name: str, level: int = 2) -> Iterator[str]:
    """Usage, help and options; of a group, those of its commands."""
    context = click.Context(command, info_name=name, max_content_width=110)
    yield f"{'#' * level} {'Usage' if level == 2 else name}\n"
    yield f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
    for paragraph in re.split(r"\n\s*\n", (command.help or "").strip()):
        marked, _, text = paragraph.rpartition("\b")
        if marked or paragraph.startswith("\b"):
            lines = text.strip("\n").splitlines()
            yield "```sh\n" + "\n".join(line.strip() for line in lines if line.strip() != "Example:") + "\n```\n"
        else:
            yield prose(paragraph) + "\n"
    found = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    records = [record for record in found if record and record[1]]  # an argument has no text of its own
    if not isinstance(command, click.Group):
        yield f"{'#' * (level + 1)} Options\n" if level > 2 else "## Options\n"
        for term, text in records:
            yield f"`{term}`\n: {prose(text)}\n"
        return
    for part in command.list_commands(context):
        inner = command.get_command(context, part)
        assert inner is not None
        yield from _reference(inner, f"{name} {part}", 3)


def prose(text: str) -> str:
    """Plain text as Markdown: options and names of files become code, and nothing else has a meaning."""
    words = re.split(r"(\s+)", " ".join(text.split()))
    return "".join(_word(word) for word in words)


def _word(word: str) -> str:
    core = re.fullmatch(r"([(\[\"']*)(.*?)([)\]\"',.;:]*)", word)
    assert core is not None
    before, inner, after = core.groups()
    if re.match(r"--?[a-z]|\$[A-Z]", inner) or re.search(r"[/<>*_|=]|\.[a-z]+$", inner):
        return f"{_escaped(before)}`{inner}`{_escaped(after)}" if inner else _escaped(word)
    return _escaped(word)


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_<>\[\]|#$~])", r"\\\1", text)


def _index() -> Iterator[str]:
    yield "# Commands\n"
    yield "Each page begins with commands as they are typed, and what they print. They were run when these pages were"
    yield "made, on [a small set of drawn shapes](../start.md#the-pictures-of-these-pages) and two photographs.\n"
    yield "| command | what it does |\n| --- | --- |"
    for name, (_, summary) in COMMANDS.items():
        yield f"| [`cvbow {name}`](cvbow-{name}.md) | {prose(summary)} |"
    yield "\n```{toctree}\n:hidden:\n"
    yield from (f"cvbow {name} <cvbow-{name}>" for name in COMMANDS)
    yield "```"
