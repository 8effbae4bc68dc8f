"""``cvbow export``: what it writes and says, what it refuses, and a page that is whole."""

from __future__ import annotations

import base64
import builtins
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cvbow import ImageClassifier, make_model
from cvbow.backends import BagEncoder, ColorHistogram
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords
from cvbow.features import DenseSIFT
from cvbow.storage import kind_of
from cvbow_cli.main import cli

onnx = pytest.importorskip("onnx", reason="needs the extra: pip install 'cvbow[export]'")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["export", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that can be exported, and others that cannot."""
    folder = tmp_path_factory.mktemp("models")
    noise = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), np.uint8)
    images, labels = list(noise), ["a <b>", "é"] * 3
    backend = BagEncoder(DenseSIFT(step=8, bin_sizes=(4,), max_side=200), BagOfWords(KMeansDictionary(n_words=4)))
    ImageClassifier(backend, background="black").fit(images, labels).save(folder / "m.cvbow")
    ImageClassifier(ColorHistogram()).fit(images, labels).save(folder / "colors.cvbow")
    sparse = make_model("bow", settings={"features": "sift", "n_words": 4, "reduce": None}, n_jobs=1)
    sparse.fit(images, labels).save(folder / "sift.cvbow")
    return folder


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """What looks like the npm package onnxruntime-web."""
    folder = tmp_path / "onnxruntime-web" / "dist"
    folder.mkdir(parents=True)
    (folder / "ort.wasm.bundle.min.mjs").write_text("/*!\n * ONNX Runtime Web v1.2.3\n */\nexport {};\n")
    (folder / "ort-wasm-simd-threaded.wasm").write_bytes(b"\0asm")
    return folder


def test_a_model(models: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.onnx"
    result = run(models / "m.cvbow", "-o", target, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    written = onnx.load(str(target))
    assert document == {
        "classes": ["a <b>", "é"],
        "inputs": [{"name": "image", "type": "uint8", "shape": ["n", "height", "width", 3]}],
        "outputs": [
            {"name": "probabilities", "type": "float32", "shape": ["n", 2]},
            {"name": "decisions", "type": "float32", "shape": ["n", 2]},
            {"name": "heat", "type": "float32", "shape": ["n", "heat_height", "heat_width"]},
        ],
        "n_nodes": len(written.graph.node),
        "opset": written.opset_import[0].version,
        "bytes": target.stat().st_size,
        "files": [str(target)],
    }
    assert kind_of(target) == "onnx"
    # What cvbow has exported may be exported again.
    result = run(models / "m.cvbow", "-o", target, "--size", "50x30", "--no-heat", "--precision", "int8")
    assert result.exit_code == 0
    assert "image uint8 (n x 30 x 50 x 3)" in result.stdout
    assert "heat" not in result.stdout
    assert [value.name for value in onnx.load(str(target)).graph.output] == ["probabilities", "decisions"]


def test_what_is_replaced(models: Path, tmp_path: Path) -> None:
    novel = tmp_path / "novel.onnx"
    novel.write_text("the only copy")
    result = run(models / "m.cvbow", "-o", novel)
    assert (result.exit_code, novel.read_text()) == (2, "the only copy")
    assert "is not a model exported by cvbow: --force replaces it" in result.output
    assert run(models / "m.cvbow", "-o", novel, "--force").exit_code == 0
    assert kind_of(novel) == "onnx"
    page = tmp_path / "site" / "index.html"
    page.parent.mkdir()
    page.write_text("<!DOCTYPE html>somebody's")
    assert run(models / "m.cvbow", "--web", page.parent).exit_code == 2
    assert page.read_text() == "<!DOCTYPE html>somebody's"
    page.unlink()
    for _ in range(2):
        assert run(models / "m.cvbow", "--web", page.parent).exit_code == 0
    assert sorted(path.name for path in page.parent.iterdir()) == ["index.html", "model.onnx"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("colors.cvbow", "-o", "x.onnx"), 1, "ColorHistogram cannot be exported"),
        (("sift.cvbow", "-o", "x.onnx"), 1, "cannot be exported"),
        (("sift.cvbow", "--web", "x"), 1, "cannot be exported"),
        (("m.cvbow",), 2, "nothing is to be written"),
        (("m.cvbow", "-o", "x.pt"), 2, "must end in .onnx"),
        (("m.cvbow", "-o", "x.onnx", "--size", "0x5"), 2, "a width and a height in pixels"),
        (("m.cvbow", "-o", "x.onnx", "--runtime", "."), 2, "--runtime is for a page"),
        (("m.cvbow", "--web", "x", "--runtime", "."), 1, "the npm package onnxruntime-web"),
    ],
)
def test_what_is_refused_is_one_line(
    models: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(models)
    before = sorted(models.iterdir())
    result = run(*arguments)
    assert result.exit_code == code
    assert said in result.stderr.splitlines()[-1]
    assert sorted(models.iterdir()) == before


def test_the_missing_package_is_named(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "onnx":
            raise ImportError("No module named 'onnx'")
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    result = run(models / "m.cvbow", "-o", tmp_path / "x.onnx")
    assert result.exit_code == 1
    assert result.stderr == "cvbow: error: an export needs the extra: pip install 'cvbow[export]'\n"
    assert not list(tmp_path.iterdir())


class _Page(HTMLParser):
    """The texts of a page's scripts and styles, by type, and what its meta elements say."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.meta: dict[str, str] = {}
        self.addresses: list[str] = []
        self.inside = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.inside = named.get("type", tag) if tag in ("script", "style") else ""
        if tag == "meta":
            self.meta[named.get("http-equiv") or named.get("name", "")] = named.get("content", "")
        self.addresses += [named[name] for name in ("src", "href") if name in named]

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[self.inside] = self.texts.get(self.inside, "") + data


def digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def test_a_page_with_its_own_runtime_loads_nothing_from_elsewhere(models: Path, tmp_path: Path, runtime: Path) -> None:
    # The package is understood as well as its folder.
    result = run(models / "m.cvbow", "--web", tmp_path / "site", "--runtime", runtime.parent, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["runtime"] == {"version": "1.2.3", "origin": None}
    names = [Path(path).relative_to(tmp_path / "site").as_posix() for path in document["files"]]
    copies = ["onnxruntime-web-1.2.3/ort-wasm-simd-threaded.wasm", "onnxruntime-web-1.2.3/ort.wasm.bundle.min.js"]
    assert names == ["index.html", "model.onnx", *copies]
    assert (tmp_path / "site" / copies[0]).read_bytes() == b"\0asm"
    text = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert kind_of(tmp_path / "site" / "index.html") == "page"
    page = _Page(text)
    assert json.loads(page.texts["application/json"]) == {
        "model": "model.onnx",
        "runtime": {"script": copies[1], "wasm": copies[0]},
        "largest_side": 200,
        "background": "black",
    }
    policy = page.meta["Content-Security-Policy"]
    assert digest(page.texts["module"]) in policy
    assert digest(page.texts["style"]) in policy
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy
    assert page.addresses == ["data:,"]
    assert not re.search(r"\{\{\w+\}\}", text)
    # Once more: the copies are there, and the same. What is another file is not replaced.
    assert run(models / "m.cvbow", "--web", tmp_path / "site", "--runtime", runtime).exit_code == 0
    (tmp_path / "site" / copies[0]).write_bytes(b"other")
    result = run(models / "m.cvbow", "--web", tmp_path / "site", "--runtime", runtime)
    assert result.exit_code == 1
    assert "is another file than the runtime's" in result.stderr
    assert (tmp_path / "site" / copies[0]).read_bytes() == b"other"


def test_a_page_without_a_copy_says_where_its_runtime_is_from(models: Path, tmp_path: Path) -> None:
    result = run(models / "m.cvbow", "--web", tmp_path)
    assert result.exit_code == 0, result.output
    page = _Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    origin = json.loads(page.texts["application/json"])["runtime"]["script"].rpartition("/")[0] + "/"
    assert re.fullmatch(r"https://cdn\.jsdelivr\.net/npm/onnxruntime-web@\d+\.\d+\.\d+/dist/", origin)
    assert f"the browser loads it from {origin}" in result.stdout
    assert f"is loaded from {origin}." in (tmp_path / "index.html").read_text(encoding="utf-8")
    allowed = dict(rule.split(" ", 1) for rule in page.meta["Content-Security-Policy"].split("; "))
    assert {name for name, sources in allowed.items() if origin in sources} == {"script-src", "connect-src"}


def test_what_is_no_runtime(models: Path, tmp_path: Path, runtime: Path) -> None:
    (runtime / "ort.wasm.bundle.min.mjs").write_text("export {};\n")
    result = run(models / "m.cvbow", "--web", tmp_path / "site", "--runtime", runtime)
    assert result.exit_code == 1
    assert "is not of ONNX Runtime Web" in result.stderr
    assert not (tmp_path / "site").exists()
