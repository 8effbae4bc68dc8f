"""``cvbow info``."""

from __future__ import annotations

import click

from cvbow import ImageClassifier, storage
from cvbow.errors import ModelFileError
from cvbow.tables import shares, views_used
from cvbow_cli._common import document_table, echo_json, echo_tables, option_json, printable
from cvbow_cli._what import ModelPath

__all__ = ["command"]


@click.command(name="info")
@click.argument("model", metavar="MODEL", type=ModelPath(None))
@option_json
def command(model: str, as_json: bool) -> None:
    """Show what is in a model file: parameters, classes, versions, hash. The whole file is verified.

    \b
    Example:
      cvbow info photos.cvbow
    """
    stored = storage.inspect(model)
    recipe = stored.metadata.get("recipe") or {}
    if not isinstance(recipe, dict):
        raise ModelFileError(model, f"its recipe must be a table, and is {printable(ascii(recipe)[:80])}")
    recipe = dict(recipe)
    document = {
        "kind": stored.kind,
        "format_version": stored.format_version,
        "content_hash": stored.content_hash,
        "preset": recipe.pop("preset", None),
        # Only what goes by the images has these.
        **{key: recipe.pop(key) for key in ("chosen", "because") if key in recipe},
        "parameters": recipe,
        "classes": stored.metadata.get("classes"),
        "versions": stored.versions,
        "n_words": stored.metadata.get("n_words"),
        "vector_length": stored.metadata.get("vector_length"),
    }
    # Few models have these.
    of_detectors = ("n_images", "n_objects", "windows", "max_side")
    some = ("multilabel", "background", "channels", "views", "knows", "network_hashes", *of_detectors)
    document |= {key: stored.metadata[key] for key in some if key in stored.metadata}
    if stored.kind == "classifier" and not stored.metadata.get("recipe"):
        parts = ImageClassifier.load(model)
        document["parts"] = {
            "backend": " ".join(repr(parts.backend_).split()),
            "classifier": " ".join(repr(parts.classifier_).split()),
        }
    if as_json:
        echo_json(document)
        return
    for line in stored.warnings:
        click.echo(f"cvbow: warning: {printable(line)}", err=True)
    if "channels" in document:
        document["channels"] = shares(document["channels"])
    if "views" in document:
        document["views"] = views_used(document["views"])
    echo_tables([document_table({key: value for key, value in document.items() if value not in (None, {})})])
