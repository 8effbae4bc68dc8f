"""Commands as nobody writes them: any of cvbow's, over a hostile tree, with outputs where something is already."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _hostile_trees import CLASSES, hostile_name

__all__ = ["SMALL", "Case", "Maker"]

#: Settings of a model that is trained at once.
SMALL = ("--preset", "fast", "--set", "n_words=8", "--set", "reduce=none", "--set", "step=10")
#: Of the stock, by the suffix of an output: what cvbow may replace.
_OWN = {
    ".cvbow": "m.cvbow",
    ".html": "page.html",
    ".png": "picture.png",
    ".json": "result.json",
    ".onnx": "m.onnx",
    ".toml": "recipes.toml",
}
_LOCALES: tuple[dict[str, str], ...] = (
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "C.UTF-8"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
)


@dataclass
class Case:
    """A command, and what it may do.

    Attributes
    ----------
    name : str
        Of the command.
    arguments : list of str
        All that follows ``cvbow``.
    outputs : dict of str to bool
        Paths that the command is told to write, relative to the tree, and whether what is there may be replaced. The
        first is there when it is done.
    index : str or None
        An index that the command may change.
    fresh : bool
        Whether a new interpreter runs it.
    environment : dict
        What it finds there beside what every command finds.
    signal : tuple of (int, float, bool) or None
        Its number, after how many seconds, and whether to the whole group.
    stdin, stdout : str
        What the streams are opened on; stdout may be closed.
    """

    name: str
    arguments: list[str] = field(default_factory=list)
    outputs: dict[str, bool] = field(default_factory=dict)
    index: str | None = None
    fresh: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    signal: tuple[int, float, bool] | None = None
    stdin: str = os.devnull
    stdout: str = ""


class Maker:
    """Makes a case in a tree that has the stock.

    Parameters
    ----------
    root : Path
        The tree.
    rng : numpy.random.Generator
    put : list of str
        Hostile paths in it.
    """

    def __init__(self, root: Path, rng: np.random.Generator, put: list[str]) -> None:
        self.root, self.rng, self.put = root, rng, put
        self.made: Case

    def case(self) -> Case:
        """Choose a command and all about it."""
        names = list(_COMMANDS)
        weights = np.array([_COMMANDS[name][0] for name in names], dtype=float)
        name = names[self.rng.choice(len(names), p=weights / weights.sum())]
        made = self.made = Case(name)
        made.arguments = [*name.split(), *_COMMANDS[name][1](self)]
        made.fresh = self.chance(0.15)
        if made.fresh and self.chance(0.5):
            made.environment = _LOCALES[self.rng.integers(len(_LOCALES))]
        if self.chance(0.3):
            number = self.of(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            # After the first line of the command has run: before it, there is only Python.
            made.signal = (
                int(number),
                0.02 + float(self.rng.random()) ** 2 * (3 if made.fresh else 1.5),
                self.chance(0.5),
            )
        if self.chance(0.04):
            made.stdout = self.of("/dev/full", "closed") if made.fresh else "/dev/full"
        return made

    def chance(self, share: float) -> bool:
        """Return True in a share of all cases."""
        return bool(self.rng.random() < share)

    def of(self, *values: Any) -> Any:
        """Return one of the values."""
        return values[self.rng.integers(len(values))]

    def options(self, *choices: tuple[str, ...], share: float = 0.15) -> list[str]:
        """Return some of the options."""
        return [word for choice in choices if self.chance(share) for word in choice]

    def common(self, *, work: bool = True, reads: bool = True) -> list[str]:
        """Return some of the options that most commands have."""
        found = self.options(("--json",), share=0.5)
        if work:
            found += self.options(("--n-jobs", "2"), ("-q",), share=0.3)
            found += self.options(("--executor", "processes"), share=0.02)
            found += self.options(("--n-jobs", self.of("0", "-3", "x", "999999999999")), share=0.02)
        if reads:
            found += self.options(("--max-pixels", self.word(*["1000000"] * 8, "1", "0")), share=0.6)
        return found

    def word(self, *values: str) -> str:
        """Return one of the values, or now and then one that nobody expects."""
        return hostile_name(self.rng, "") if self.chance(0.1) else str(self.of(*values))

    def image(self) -> str:
        """Return the path of an image, or of what is none."""
        if self.put and self.chance(0.5):
            path = self.put[self.rng.integers(len(self.put))]
            # A name that begins with a dash is an option to any program, unless something stands before it.
            return f"./{path}" if path.startswith("-") and self.chance(0.7) else path
        if self.chance(0.1):
            return self.word("nowhere.png", "", "photos", "m.cvbow", "x.index", "/dev/null", "photos/dots/0.png/")
        return f"photos/{self.of(*CLASSES)}/{self.rng.integers(4)}.png"

    def source(self) -> str:
        """Return a folder or a CSV of labelled images, or what is neither."""
        lists = [path for path in self.put if path.endswith(".csv")]
        if lists and self.chance(0.4):
            return str(self.of(*lists))
        return "photos" if self.chance(0.75) else str(self.of(self.image(), ".", "photos/dots", "./photos/", "x.index"))

    def model(self) -> str:
        """Return a model, mostly a whole one."""
        return self._stored("m.cvbow", "m.cvbow")

    def index(self, *, change: bool = False) -> str:
        """Return an index, mostly a whole one."""
        parts = sorted(
            os.path.relpath(path, self.root) for path in (self.root / "x.index").rglob("*") if path.is_file()
        )
        path = self._stored("x.index", str(self.of(*parts)))
        if change:
            self.made.index = "x.index"
        return path

    def _stored(self, path: str, file: str) -> str:
        if self.chance(0.15):
            content = bytearray((self.root / file).read_bytes())
            if self.chance(0.5):
                del content[int(self.rng.integers(len(content) + 1)) :]
            elif content:
                content[int(self.rng.integers(len(content)))] ^= 1 << int(self.rng.integers(8))
            (self.root / file).write_bytes(content)
        return path if self.chance(0.9) else self.image()

    def output(self, suffix: str, reads: Sequence[str] = ()) -> list[str]:
        """Return the words for a file to write; with something in its place already, in half of the cases."""
        name = self.of("out", "out", hostile_name(self.rng, "")) + (suffix if self.chance(0.95) else ".txt")
        path, force = self.root / name, self.chance(0.3)
        may = True
        pictures = [read for read in reads if self._is_picture(read)]
        with contextlib.suppress(OSError):
            match self.of(
                *["nothing"] * 6, *["own"] * 2, "foreign", "link", "link", "hard link", "folder", "pipe", "gone"
            ):
                case "own" if suffix in name and suffix in _OWN:
                    shutil.copy(self.root / _OWN[suffix], path)
                case "foreign":
                    path.write_text("somebody's own\n")
                    may = force
                case "link" if pictures:
                    path.symlink_to(self.root / pictures[0])
                    name, may = pictures[0], False
                case "hard link" if pictures:
                    path.hardlink_to(self.root / pictures[0])
                    may = False
                case "folder":
                    path.mkdir()
                    may = False
                case "pipe":
                    os.mkfifo(path)
                    may = False
                case "gone":
                    path = self.root / "nowhere" / name
                    name = f"nowhere/{name}"
        self.made.outputs[os.path.normpath(name)] = may
        return ["-o", os.path.relpath(path, self.root), *(["--force"] if force else [])]

    def folder(self, *, own: str | None = None) -> list[str]:
        """Return the words for a folder to write into; what is in `own`, of the stock, may be replaced there."""
        name = self.of("out", "out", hostile_name(self.rng, ""), "out/deeper")
        path = self.root / name
        force = own == "summary" and self.chance(0.3)
        inside = {f"{name}/{file}": True for file in sorted(os.listdir(self.root / own))} if own is not None else {}
        with contextlib.suppress(OSError):
            match self.of(*["nothing"] * 4, "empty", "own", "foreign", "foreign", "file", "photos", "closed"):
                case "empty":
                    path.mkdir()
                case "own" if own is not None:
                    shutil.copytree(self.root / own, path)
                case "foreign":
                    path.mkdir()
                    (path / "notes.txt").write_text("somebody's own\n")
                    for file in list(inside)[:2]:
                        (self.root / file).write_text("somebody's own\n")
                        inside[file] = force
                case "file":
                    path.write_text("somebody's own\n")
                case "photos":
                    name = "photos"
                case "closed":
                    path.mkdir()
                    path.chmod(0o555)
        self.made.outputs |= {os.path.normpath(name): False} | inside
        return ["-o", name, *(["--force"] if force else [])]

    def _page(self, name: str) -> list[str]:
        """Return the words for a page beside another output, now and then."""
        words = self.options(("--report", name))
        if words:
            self.made.outputs[name] = True
        return words

    def _is_picture(self, path: str) -> bool:
        return path.startswith("photos/") and path.endswith(".png") and path not in self.put

    # Each of these returns what follows the command's name.

    def train(self) -> list[str]:
        source = self.source()
        reads = ["photos/dots/0.png"] if source == "photos" else []
        words = [source, *self.output(".cvbow", reads), *(SMALL if self.chance(0.9) else ())]
        words += self.options(
            ("--strict",), ("--augment", "1"), ("--background", self.word("gray")), ("--cache", "cache")
        )
        words += self.options(("--classifier", self.word("nearest-neighbors", "naive-bayes", "mlp", "chi2-svm")))
        words += self.options(
            ("--set", f"{self.word('C', 'step')}={self.word('nan', '-1')}"), ("--preset", self.word("vlad")), share=0.05
        )
        if "cache" in words:
            self.made.outputs["cache"] = False
        return words + self.common()

    def predict(self) -> list[str]:
        words = [self.model(), *(self.image() for _ in range(self.rng.integers(5)))]
        if self.chance(0.2):
            words.append("-")
            self.made.stdin = "lines.txt"
            lines = [os.fsencode(self.image()) for _ in range(self.rng.integers(5))]
            (self.root / "lines.txt").write_bytes(b"\n".join(lines))
        words += self.options(("--coverage", self.word("0.9", "nan", "1")))
        return words + self.options(("--top", "2")) + self.common()

    def evaluate(self) -> list[str]:
        words = [self.model(), self.source()]
        if self.chance(0.5):
            words += ["--report", *self.output(".html")[1:]]
        return words + self.options(("--strict",)) + self.common()

    def explain(self) -> list[str]:
        words = [self.model(), *(self.image() for _ in range(self.rng.integers(1, 4)))]
        if self.chance(0.5):
            words += self.output(".html" if self.chance(0.5) else ".png")
        return words + self.options(("--class", "checker"), ("--against", "no")) + self.common()

    def next(self) -> list[str]:
        words = [self.model(), *(self.image() for _ in range(self.rng.integers(1, 4)))]
        if self.chance(0.5):
            words += ["--csv", *self.output(".csv")[1:]]
        return words + self._page("next.html") + self.options(("-n", self.word("2", "0"))) + self.common()

    def locate(self) -> list[str]:
        words = [self.model(), *(self.image() for _ in range(self.rng.integers(1, 4)))]
        if self.chance(0.5):
            words += self.output(".png")
        return (
            words + self.options(("--class", self.word("checker", "no")), ("-n", self.word("2", "0"))) + self.common()
        )

    def detect_train(self) -> list[str]:
        return [self.source(), *self.output(".cvbow"), *self.options(("--max-side", "10"), ("--strict",))]

    def detect_run(self) -> list[str]:
        words = [self.model(), *(self.image() for _ in range(self.rng.integers(1, 4)))]
        if self.chance(0.5):
            words += self.output(".png" if self.chance(0.5) else ".csv")
        return words + self.options(("--pictures", *self.folder()[1:])) + self.common()

    def detect_evaluate(self) -> list[str]:
        words = [self.model(), self.source()]
        if self.chance(0.5):
            words += ["--report", *self.output(".html")[1:]]
        return words + self.options(("--strict",)) + self.common()

    def segment_train(self) -> list[str]:
        words = [self.source(), self.source(), *self.output(".cvbow"), "--classifier", "decision-tree"]
        return words + self.options(("--classes", "a,b"), ("--unknown", self.word("none", "256")), ("--strict",))

    def segment_apply(self) -> list[str]:
        words = [self.model(), *(self.image() for _ in range(self.rng.integers(1, 4))), *self.folder()]
        return words + self.options(("--overlay",), ("--probabilities",), ("--uncertainty",)) + self.common()

    def segment_evaluate(self) -> list[str]:
        return [self.model(), self.source(), self.source(), *self.options(("--strict",)), *self.common()]

    def words(self) -> list[str]:
        words = [self.model(), self.source()]
        if self.chance(0.5):
            words += self.output(".html")
        return words + self.options(("--patches", "3"), ("--per-class", "0"), ("--strict",)) + self.common()

    def stats(self) -> list[str]:
        words = [self.source(), *self.folder(own="summary")]
        words += self.options(("--size", "20", "30"), ("--split", self.word("train", "no")), ("--strict",))
        return words + self.common()

    def audit(self) -> list[str]:
        words = [self.source(), "--preset", "fast"]
        if self.chance(0.5):
            words += ["--csv", *self.output(".csv")[1:]]
        words += self._page("audit.html")
        return words + self.options(("--background", self.word("gray"))) + self.common()

    def augment(self) -> list[str]:
        words = [self.source(), *self.folder()]
        words += self.options(
            ("-n", "2"), ("--format", self.word("jpg", "webp", "no")), ("--zoom-range", "nan"), ("--strict",)
        )
        return words + self.common()

    def compare(self) -> list[str]:
        words = [
            self.source(),
            "-w",
            "pixels",
            "--classifier",
            self.of("linear-svm", "nearest-neighbors", "naive-bayes"),
        ]
        words += self.output(".json") if self.chance(0.5) else []
        return words + self.options(("-w", "colors"), ("-w", self.word("nothing"))) + self.common()

    def tune(self) -> list[str]:
        words = [self.source(), *self.output(".toml"), "--evaluations", "1"]
        words += self.options(("--time", self.word("5s", "0", "soon")), ("--sampler", self.word("random", "tpe")))
        words += self.options(("--storage", self.of("photos/dots/0.png", "photos", "nowhere/search.log")))
        return words + self.options(("--max-images", self.word("9", "0")), ("--memory", "0")) + self.common()

    def features(self) -> list[str]:
        image = self.image()
        words = [image, *(self.output(".png", [image]) if self.chance(0.7) else [])]
        words += self.options(("--stage", self.word("sift", "orb", "mser", "no")), ("--max-side", "16"))
        return words + self.common(work=False)

    def match(self) -> list[str]:
        images = [self.image(), self.image()]
        words = [*images, *(self.output(".png", images) if self.chance(0.7) else [])]
        words += self.options(
            ("--model", self.word("affine", "fundamental", "none")), ("--ratio", "1"), ("--threshold", "nan")
        )
        return words + self.common(work=False)

    def info(self) -> list[str]:
        return [self.model(), *self.common(work=False, reads=False)]

    def export(self) -> list[str]:
        words = [self.model(), *(self.output(".onnx") if self.chance(0.7) else [])]
        words += self.options(
            ("--web", *self.folder()[1:]), ("--size", self.word("20x30", "0x1", "nan")), ("--no-heat",)
        )
        words += self.options(("--runtime", self.of("photos", "nowhere")), ("--precision", self.word("int8", "fp16")))
        return words + self.options(("--json",), share=0.5)

    def index_build(self) -> list[str]:
        words = [*(self.source() for _ in range(1 + self.rng.integers(2))), "--words", "8"]
        if self.chance(0.3):
            words += ["-o", "x.index", *self.options(("--overwrite",), share=0.6)]
            self.made.outputs["x.index"] = False
            if "--overwrite" in words:
                self.made.index = "x.index"
        else:
            words += self.folder()
        return (
            words
            + self.options(("--local",), ("--with", self.word("vlad")), ("--strict",), ("--root", "photos"))
            + self.common()
        )

    def index_add(self) -> list[str]:
        words = [self.index(change=True), *(self.of(self.image, self.source)() for _ in range(self.rng.integers(4)))]
        return words + self.options(("--strict",)) + self.common()

    def index_update(self) -> list[str]:
        victim = self.root / "photos" / CLASSES[0] / "3.png"
        if self.chance(0.3):
            victim.unlink(missing_ok=True)
        elif self.chance(0.3):
            victim.write_bytes((self.root / "photos" / CLASSES[1] / "0.png").read_bytes())
        return self.index_add() + self.options(("--remove-vanished",), share=0.5)

    def index_remove(self) -> list[str]:
        words = [self.index(change=True), *(self.image() for _ in range(self.rng.integers(4)))]
        return words + self.common(work=False, reads=False)

    def index_compact(self) -> list[str]:
        return [self.index(change=True), *self.common(work=False, reads=False)]

    def index_search(self) -> list[str]:
        images = [self.image() for _ in range(1 + self.rng.integers(3))]
        words = [self.index(), *images]
        words += self.output(self.of(".png", ".html"), images) if self.chance(0.5) else []
        words += self.options(
            ("--expand", "2"), ("--verify", "0"), ("--box", self.word("1,1,30,30", "nan,0,1,1", "1e9,0,1,1"))
        )
        return words + self.common()

    def index_evaluate(self) -> list[str]:
        return [self.index(), self.source(), *self.options(("--images", "photos"), ("--at", "0,x")), *self.common()]

    def index_duplicates(self) -> list[str]:
        words = [self.index(), *(self.output(".html") if self.chance(0.5) else [])]
        words += self.options(("--turned",), ("--colors", self.of("strict", "any", "red")), share=0.3)
        return words + self.common()

    def index_check(self) -> list[str]:
        return [self.index(), *self.common(work=False, reads=False)]

    def index_info(self) -> list[str]:
        return [*self.index_check(), *self.options(("--paths",), share=0.5)]

    def bench_run(self) -> list[str]:
        words = [self.of("digits-bow", "digits-fast", "nothing", self.image(), hostile_name(self.rng, "")), "--quick"]
        return words + (self.output(".json") if self.chance(0.6) else []) + self.common()

    def bench_table(self) -> list[str]:
        words = [
            self.of("result.json", "result.json", self.image(), "summary/stats.json", ".")
            for _ in range(self.rng.integers(3))
        ]
        return [*words, *self.of([], ["--json"], ["--markdown"])]

    def data_verify(self) -> list[str]:
        return [*self.of([], ["digits"], ["scene15", "--data", self.source()], ["nothing"]), *self.of([], ["--json"])]

    def only_json(self) -> list[str]:
        return list(self.of([], ["--json"]))

    def demo(self) -> list[str]:
        return self.common(reads=False)

    def data_fetch(self) -> list[str]:
        return [self.image()]

    def anything(self) -> list[str]:
        words = ("--help", "--version", "--debug", "trian", "index", "bench", self.image(), "--import", "x", "-h", "")
        return [str(self.of(*words)) for _ in range(self.rng.integers(3))]


_COMMANDS: dict[str, tuple[float, Callable[[Maker], list[str]]]] = {
    "train": (10, Maker.train),
    "predict": (10, Maker.predict),
    "evaluate": (7, Maker.evaluate),
    "explain": (7, Maker.explain),
    "next": (5, Maker.next),
    "locate": (5, Maker.locate),
    "detect train": (3, Maker.detect_train),
    "detect run": (4, Maker.detect_run),
    "detect evaluate": (3, Maker.detect_evaluate),
    "segment train": (3, Maker.segment_train),
    "segment apply": (4, Maker.segment_apply),
    "segment evaluate": (3, Maker.segment_evaluate),
    "words": (7, Maker.words),
    "stats": (8, Maker.stats),
    "audit": (3, Maker.audit),
    "augment": (8, Maker.augment),
    "compare": (2, Maker.compare),
    "tune": (1, Maker.tune),
    "features": (8, Maker.features),
    "match": (7, Maker.match),
    "export": (4, Maker.export),
    "info": (4, Maker.info),
    "index build": (7, Maker.index_build),
    "index add": (6, Maker.index_add),
    "index update": (5, Maker.index_update),
    "index remove": (4, Maker.index_remove),
    "index compact": (3, Maker.index_compact),
    "index search": (8, Maker.index_search),
    "index evaluate": (4, Maker.index_evaluate),
    "index duplicates": (4, Maker.index_duplicates),
    "index check": (3, Maker.index_check),
    "index info": (3, Maker.index_info),
    "bench run": (2, Maker.bench_run),
    "bench table": (4, Maker.bench_table),
    "bench list": (1, Maker.only_json),
    "data list": (1, Maker.only_json),
    "data verify": (2, Maker.data_verify),
    "data fetch": (1, Maker.data_fetch),
    "demo": (1, Maker.demo),
    "": (2, Maker.anything),
}
