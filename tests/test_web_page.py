"""The page that answers in the browser: the same as in Python, without a network, and plain about what is missing."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from headless_browser import Browser, has_browser
from node_modules import node_modules
from numpy.typing import NDArray
from PIL import Image
from served_folder import OFFLINE, answers, drop, served

from cvbow import ImageClassifier, make_model
from cvbow.export import Runtime, to_onnx, write_web_page

pytest.importorskip("onnx", reason="needs the extra: pip install 'cvbow[export]'")
pytestmark = pytest.mark.skipif(not has_browser(), reason="no Chromium to drive")

ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
CLASSES = ("checker", "horizontal", "vertical")


def texture(name: str, width: int, height: int, seed: int) -> NDArray[np.uint8]:
    """Coloured stripes or squares, RGB."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pattern = {"checker": (x // 6 + y // 6) % 2, "horizontal": y // 6 % 2, "vertical": x // 6 % 2}[name]
    color = rng.uniform(60, 130, 3)
    return np.clip(60 + pattern[..., None] * color + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime.of(node_modules("onnxruntime-web") / "onnxruntime-web")


@pytest.fixture(scope="module")
def model() -> ImageClassifier:
    images = [texture(name, 60, 50, seed) for seed in range(4) for name in CLASSES]
    settings = {"channels": ("local", "color"), "n_words": 16, "color__n_words": 8, "step": 6, "max_side": 64}
    return make_model("fast", settings={**settings, "color__max_side": 64}, n_jobs=1).fit(images, CLASSES * 4)


@pytest.fixture(scope="module")
def site(model: ImageClassifier, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_web_page(folder, model, to_onnx(model), title="Textures", runtime=runtime)
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with served(site) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One without a network, and with a camera that shows a test picture."""
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with Browser(width=390, arguments=[OFFLINE, *camera]) as browser:
        yield browser


def status(browser: Browser) -> str:
    return str(browser.run("return document.getElementById('status').textContent"))


def open_page(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.wait("return document.getElementById('status').textContent === 'Ready.'")


def wait_for_answers(browser: Browser, n: int) -> None:
    browser.wait("return document.querySelectorAll('.found .bars, .found .wrong').length === arguments[0]", n)


@pytest.mark.parametrize("headers", [{}, ISOLATED], ids=["one thread", "threads"])
def test_dropped_files_get_the_answers_of_python(
    model: ImageClassifier, site: Path, browser: Browser, headers: dict[str, str], tmp_path: Path
) -> None:
    small, large = texture("checker", 41, 57, 10), texture("vertical", 163, 121, 11)
    ramp = np.linspace(0, 255, 57 * 41).astype(np.uint8).reshape(57, 41, 1)
    files = {
        "small.png": png(small),
        "large.png": png(large),
        "gray.png": png(texture("horizontal", 50, 40, 12)[..., 0]),
        "transparent.png": png(np.concatenate([small, ramp], axis=2)),
        "one.png": png(np.full((1, 1, 3), 200, np.uint8)),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    wanted = model.predict_proba([tmp_path / name for name in files])
    browser.emulate("HardwareConcurrency", hardwareConcurrency=8)
    with served(site, headers) as address:
        open_page(browser, address)
        drop(browser, files)
        wait_for_answers(browser, len(files))
        found = answers(browser)
        assert list(found) == list(files)[::-1]
        for name, row in zip(files, wanted, strict=True):
            order = np.argsort(-row, kind="stable")
            assert [label for label, _ in found[name]] == [model.classes_[at] for at in order], name
            assert [share for _, share in found[name]] == pytest.approx(row[order], abs=0.0016), name
        assert browser.run("return document.getElementById('facts').textContent").endswith(
            "several threads." if headers else "one thread."
        )
        assert status(browser).startswith("one.png: ")
        (said,) = browser.run(
            "return [...document.querySelectorAll('.card')].filter((card) => card.textContent.includes('large.png'))"
            ".map((card) => card.querySelector('p:last-child').textContent)"
        )
        assert said.startswith("163 × 121, seen at 64 × 48 pixels, ")  # noqa: RUF001


@pytest.mark.parametrize("width", [1280, 390])
def test_the_list(browser: Browser, address: str, width: int) -> None:
    browser.resize(width)
    open_page(browser, address)
    drop(browser, {"a.png": png(texture("checker", 400, 90, 1)), "note<b>.txt": b"no image"})
    wait_for_answers(browser, 2)
    assert status(browser) == "note<b>.txt: no answer."
    assert list(answers(browser)) == ["note<b>.txt", "a.png"]
    assert answers(browser)["note<b>.txt"] == []
    assert browser.run("return document.documentElement.scrollWidth") <= width
    # Whoever sees nothing hears it.
    nameless = browser.run(
        "return [...document.querySelectorAll('button, input, [role=img], section, main > ol')]"
        ".filter((each) => !(each.ariaLabel || each.textContent.trim() || each.labels?.[0]?.textContent.trim()))"
        ".map((each) => each.outerHTML)"
    )
    assert nameless == []
    assert browser.run("return document.getElementById('status').role") == "status"
    # The heat lies over the picture, in its place and size, and as strong as is wished.
    boxes = browser.run(
        "return [...document.querySelectorAll('.shown canvas')].map((each) => each.getBoundingClientRect())"
        ".map((box) => [box.left, box.top, box.width, box.height])"
    )
    assert boxes[0] == pytest.approx(boxes[1], abs=0.51)
    browser.run("const heat = document.getElementById('heat'); heat.value = 25; heat.dispatchEvent(new Event('input'))")
    assert browser.run("return getComputedStyle(document.querySelector('.heat')).opacity") == "0.25"
    browser.click("#clear")
    assert answers(browser) == {}
    assert browser.run("return document.activeElement.id") == "files"


def test_the_camera(browser: Browser, address: str) -> None:
    time_told = "return document.querySelector('#live p:last-child')?.textContent"
    open_page(browser, address)
    browser.click("#camera")
    browser.wait("return document.querySelectorAll('#live .bars li').length === 3")
    assert status(browser).startswith("Camera: ")
    first = browser.run("return (window.first = document.querySelector('#live canvas')).width")
    browser.wait("return document.querySelector('#live canvas') !== window.first")
    assert first == 64
    browser.click("#pause")
    browser.run("window.last = document.querySelector('#live canvas')")
    paused = browser.run(time_told)
    drop(browser, {"a.png": png(texture("checker", 60, 60, 1))})
    browser.wait("return document.querySelectorAll('#results .bars').length === 1")
    assert browser.run(time_told) == paused
    assert browser.run("return document.getElementById('pause').textContent") == "Go on"
    browser.click("#camera")
    assert status(browser) == "The camera is off."
    assert browser.run("return document.getElementById('live').hidden")


def test_without_a_camera(browser: Browser, address: str) -> None:
    open_page(browser, address)
    browser.run("navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('none was found'))")
    browser.click("#camera")
    browser.wait("return document.getElementById('status').classList.contains('wrong')")
    assert status(browser) == "No camera: none was found."


def test_what_is_missing_is_said(browser: Browser, site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    shutil.copytree(site, folder)
    (script,) = folder.rglob("*.js")
    with served(folder) as address:

        def told(page: Path | str) -> str:
            browser.open(page)
            browser.wait("return document.getElementById('status').classList.contains('wrong')")
            return status(browser)

        assert "serve the folder" in told(folder / "index.html")
        script.rename(folder / "away.js")
        assert told(address).startswith(f"The runtime is missing: {script.relative_to(folder).as_posix()} cannot be")
        (folder / "away.js").rename(script)
        (folder / "model.onnx").write_bytes(b"no model")
        assert told(address).startswith("The model or the runtime cannot be used: ")
        (folder / "model.onnx").unlink()
        assert told(address) == "The model is missing: there is no model.onnx beside this page (404)."
        assert browser.run("return document.getElementById('files').disabled")


def test_a_model_of_one_size(browser: Browser, model: ImageClassifier, runtime: Runtime, tmp_path: Path) -> None:
    write_web_page(tmp_path, model, to_onnx(model, size=(40, 60), heat=False), title="Textures", runtime=runtime)
    image = texture("vertical", 120, 80, 3)
    wanted = model.predict_proba([cv2.resize(image, (60, 40), interpolation=cv2.INTER_AREA)])[0]
    with served(tmp_path) as address:
        open_page(browser, address)
        drop(browser, {"a.png": png(image)})
        wait_for_answers(browser, 1)
        found = dict(answers(browser)["a.png"])
        assert [found[name] for name in model.classes_] == pytest.approx(wanted, abs=0.01)
        assert browser.run("return document.getElementById('strength').hidden")
        assert browser.run("return document.querySelectorAll('canvas').length") == 1
