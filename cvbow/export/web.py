"""A web page that answers for images in the browser: static files, a model, and ONNX Runtime Web, but no server code.

The page is one file, ``index.html``, with its style and its script inside, so that it can say what is missing wherever
it is opened; a policy in it allows its own script, and files from where it lies, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from cvbow.classify import ImageClassifier
from cvbow.errors import CvbowError
from cvbow.files import read_file, read_text
from cvbow.storage import GENERATOR, replacing
from cvbow.tables import printable

#: What the page and its model are called in their folder.
PAGE, MODEL = "index.html", "model.onnx"
_PARTS = Path(__file__).resolve().parent / "page"
#: The script and the program of the runtime, in its npm package's folder ``dist``; the script loads the program.
_SCRIPT, _PROGRAM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
_VERSION = re.compile(rb"ONNX Runtime Web v(\d+\.\d+\.\d+)")
#: The release that a page without a copy of its own loads, and from where.
_PINNED, _CDN = "1.30.0", "https://cdn.jsdelivr.net/npm/onnxruntime-web@{version}/dist/"
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'sha256-{script}'{origin}; style-src 'sha256-{style}'; "
    "connect-src 'self'{origin}; worker-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
)


class Runtime(NamedTuple):
    """ONNX Runtime Web, as a page finds it.

    Attributes
    ----------
    script, wasm : str
        Where the page loads its two files from: addresses, or paths beside the page.
    files : dict of str to bytes
        What is to lie beside the page for that, by path.
    origin : str
        What the page may load beside its own files; empty for a page that has all it needs.
    version : str

    Examples
    --------
    >>> from cvbow.export import Runtime
    >>> Runtime.of(None).origin.rpartition("@")[0]
    'https://cdn.jsdelivr.net/npm/onnxruntime-web'
    """

    script: str
    wasm: str
    files: dict[str, bytes]
    origin: str
    version: str

    @classmethod
    def of(cls, folder: str | os.PathLike[str] | None) -> Runtime:
        """Read the runtime from the npm package ``onnxruntime-web``, unpacked, or from its folder ``dist``.

        Without a folder it is a release at the CDN jsDelivr.

        Raises
        ------
        CvbowError
            If the folder is none of the package, or of one that is too old.
        """
        if folder is None:
            base = _CDN.format(version=_PINNED)
            return cls(base + _SCRIPT, base + _PROGRAM, {}, base, _PINNED)
        places = [place for place in (Path(folder), Path(folder, "dist")) if (place / _SCRIPT).is_file()]
        if not places or not (places[0] / _PROGRAM).is_file():
            raise CvbowError(
                f"{printable(os.fspath(folder))} has no {_SCRIPT} and {_PROGRAM}: give the folder dist of the npm "
                "package onnxruntime-web, 1.20 or newer"
            )
        script, program = read_file(places[0] / _SCRIPT), read_file(places[0] / _PROGRAM)
        version = _VERSION.search(script[:1000])
        if version is None:
            raise CvbowError(f"{printable(os.fspath(places[0] / _SCRIPT))} is not of ONNX Runtime Web")
        number = version[1].decode()
        # A folder for each release, which nothing replaces; and .js, for not every server knows what .mjs is.
        names = [f"onnxruntime-web-{number}/{name}" for name in (_SCRIPT.replace(".mjs", ".js"), _PROGRAM)]
        return cls(names[0], names[1], dict(zip(names, (script, program), strict=True)), "", number)


def write_web_page(
    folder: str | os.PathLike[str], model: ImageClassifier, exported: Any, *, title: str, runtime: Runtime
) -> list[str]:
    """Write a page that answers for images, of files or of the camera, in the browser.

    Parameters
    ----------
    folder : path
        Made, where it is not there.
    model : ImageClassifier
    exported : onnx.ModelProto
        The model, as `to_onnx` gives it.
    title : str
    runtime : Runtime

    Returns
    -------
    list of str
        The paths of the files, the page first.

    Raises
    ------
    OSError
        Where nothing can be written.
    CvbowError
        Where another file is in the place of one of the runtime's.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from cvbow import BagEncoder, BagOfWords, DenseSIFT, ImageClassifier, KMeansDictionary
    >>> from cvbow.export import Runtime, to_onnx, write_web_page
    >>> images = list(np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8))
    >>> backend = BagEncoder(DenseSIFT(step=8, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=4)))
    >>> model = ImageClassifier(backend).fit(images, ["a", "b"] * 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = write_web_page(folder, model, to_onnx(model), title="A or b?", runtime=Runtime.of(None))
    >>> [path.rpartition("/")[2] for path in files]
    ['index.html', 'model.onnx']
    """
    os.makedirs(folder, exist_ok=True)
    settings = {
        "model": MODEL,
        "runtime": {"script": runtime.script, "wasm": runtime.wasm},
        "largest_side": largest_side(model),
        # A colour of cvbow's is one of CSS.
        "background": model.background,
    }
    contents = {
        **runtime.files,
        MODEL: exported.SerializeToString(),
        # What shows the rest is there once the rest is.
        PAGE: _page(title, settings, runtime).encode("utf-8", "backslashreplace"),
    }
    for name, content in contents.items():
        path = Path(folder, name)
        if name in runtime.files:
            path.parent.mkdir(exist_ok=True)
            if os.path.lexists(path):
                if read_file(path) != content:
                    raise CvbowError(f"{printable(os.fspath(path))} is there, and is another file than the runtime's")
                continue
        with replacing(path) as file:
            file.write(content)
    return [os.fspath(Path(folder, name)) for name in reversed(contents)]


def largest_side(model: ImageClassifier) -> int | None:
    """Return the longer side, in pixels, to which a model shrinks larger images before it looks at them.

    An image that was shrunk to it by area before is to the model what the larger one is. None where some part of it
    looks at images of any size.
    """
    sides = [
        value for name, value in model.backend_.get_params(deep=True).items() if name.split("__")[-1] == "max_side"
    ]
    return None if not sides or None in sides else int(max(sides))


def _page(title: str, settings: object, runtime: Runtime) -> str:
    text, style, script = (read_text(_PARTS / name) for name in ("page.html", "page.css", "page.js"))
    origin = said = ""
    if runtime.origin:
        origin = f" {runtime.origin}"
        said = f" The runtime alone, ONNX Runtime {runtime.version}, is loaded from {runtime.origin}."
    values = {
        "policy": _POLICY.format(script=_digest(script), style=_digest(style), origin=origin),
        "generator": GENERATOR,
        "title": html.escape(printable(title)),
        "said": html.escape(said),
        "style": style,
        "script": script,
        # In a script's text, only this could end it.
        "settings": json.dumps(settings).replace("<", "\\u003c"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], text)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
