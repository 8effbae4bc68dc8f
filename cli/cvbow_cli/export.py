"""``cvbow export``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from cvbow import storage
from cvbow.classify import ImageClassifier
from cvbow.export import Runtime, to_onnx, write_web_page
from cvbow.export.web import MODEL, PAGE
from cvbow_cli._common import document_table, echo_json, echo_tables, option_json, printable
from cvbow_cli._output import check_output, check_output_folder, output_option
from cvbow_cli._what import InputPath, argument_model

__all__ = ["command"]


class _Size(click.ParamType):  # type: ignore[type-arg]
    """A width and a height, as in 320x240; a command is told the height and the width, as arrays have them."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", value)
        if found is None:
            self.fail(f"must be a width and a height in pixels, such as 320x240, got {printable(value)}", param, ctx)
        return int(found[2]), int(found[1])


@click.command(name="export")
@argument_model
@output_option("--output", "-o", suffixes=(".onnx",), metavar="FILE.onnx", help="Model to write.")
@click.option(
    "--size", type=_Size(), metavar="WIDTHxHEIGHT", help="Take images of this size alone.  [default: of any size]"
)
@click.option("--no-heat", is_flag=True, help="Leave out the map of what each pixel gives to the best class.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="Of the classifier's weights: fewer bits make a smaller file, whose scores differ a little.",
)
@click.option(
    "--web",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Write a page there that answers in the browser, with the model; any static server will do.",
)
@click.option(
    "--runtime",
    type=InputPath(file_okay=False),
    metavar="DIR",
    help="With --web: copy ONNX Runtime Web from this folder, dist of the npm package onnxruntime-web, "
    "instead of loading it from a CDN.",
)
@option_json
def command(
    model: str,
    output: str | None,
    size: tuple[int, int] | None,
    no_heat: bool,
    precision: str,
    web: str | None,
    runtime: str | None,
    as_json: bool,
) -> None:
    """Write a model as one ONNX file: from pixels to probabilities, for any language and any device.

    Its input, image, is uint8 RGB, (n, height, width, 3), of any size unless --size is given; it shrinks large images
    itself. Outputs are probabilities and decisions, (n, classes), and heat, (n, height, width) at the size at which the
    model sees images: what each pixel gave to the decision for the most probable class. The names of the classes are in
    the file, as JSON in the metadata under "classes". What a model has that cannot be exported is said. Needs pip
    install 'cvbow[export]'.

    A page (--web) is index.html and model.onnx: it takes images that are dropped on it, files, or the camera, and shows
    probabilities and heat. No image leaves the browser. With --runtime it loads nothing from anywhere else, and works
    without a network.

    --json gives classes, inputs and outputs (name, type, shape), n_nodes, opset, bytes, files, and for a page runtime
    (its version, and the origin that it is loaded from, null for a copy).

    \b
    Example:
      cvbow export photos.cvbow -o photos.onnx
      cvbow export photos.cvbow --web site && python3 -m http.server -d site
    """
    if output is None and web is None:
        raise click.UsageError("nothing is to be written: give -o FILE.onnx, or --web FOLDER, or both")
    if runtime is not None and web is None:
        raise click.UsageError("--runtime is for a page: give --web FOLDER")
    check_output(output, [model])
    check_output_folder(web, (PAGE, MODEL), [model])
    engine = Runtime.of(runtime) if web is not None else None
    classifier = ImageClassifier.load(model, n_jobs=1)
    try:
        exported = to_onnx(classifier, size=size, heat=not no_heat, precision=precision)
    except ImportError as error:
        raise ImportError("an export needs the extra: pip install 'cvbow[export]'") from error
    content = exported.SerializeToString()
    files = []
    if output is not None:
        with storage.replacing(output) as file:
            file.write(content)
        files.append(output)
    document: dict[str, Any] = {
        "classes": [str(name) for name in classifier.classes_],
        "inputs": [_value(value) for value in exported.graph.input],
        "outputs": [_value(value) for value in exported.graph.output],
        "n_nodes": len(exported.graph.node),
        "opset": exported.opset_import[0].version,
        "bytes": len(content),
        "files": files,
    }
    if web is not None and engine is not None:
        files += write_web_page(web, classifier, exported, title=Path(model).stem, runtime=engine)
        document["runtime"] = {"version": engine.version, "origin": engine.origin or None}
    if as_json:
        echo_json(document)
        return
    told = {**document, "bytes": f"{len(content):,}"}
    for name in ("inputs", "outputs"):
        told[name] = [
            f"{each['name']} {each['type']} ({' x '.join(map(str, each['shape']))})" for each in document[name]
        ]
    if engine is not None:
        where = f"the browser loads it from {engine.origin}" if engine.origin else "a copy beside the page"
        told["runtime"] = f"ONNX Runtime Web {engine.version}, {where}"
    echo_tables([document_table(told)])


def _value(value: Any) -> dict[str, Any]:
    """Return what an input or an output of an ONNX model is; a length that is not fixed has a name."""
    from onnx import helper

    tensor = value.type.tensor_type
    lengths = [each.dim_value or each.dim_param for each in tensor.shape.dim]
    return {"name": value.name, "type": str(helper.tensor_dtype_to_np_dtype(tensor.elem_type)), "shape": lengths}
