"""``cvbow words``."""

from __future__ import annotations

from typing import Any

import click

from cvbow.classify import ImageClassifier
from cvbow.explanation import WordGallery, WordPatch, WordUse, word_gallery
from cvbow.tables import Table
from cvbow_cli._common import (
    echo_json,
    echo_tables,
    labelled_images,
    option_json,
    option_max_pixels,
    printable,
    skipped_as_json,
    tell_skipped,
    work_options,
)
from cvbow_cli._output import check_output, output_option
from cvbow_cli._what import InputPath, argument_model

__all__ = ["command"]

#: Words of a class that the table has.
_SHOWN = 5


@click.command(name="words")
@argument_model
@click.argument("source", metavar="DIR", type=InputPath())
@output_option("--output", "-o", suffixes=(".html", ".htm"), metavar="FILE.html", help="Page to write.")
@click.option("--per-class", default=12, show_default=True, type=click.IntRange(min=1), help="Words of each class.")
@click.option("--patches", default=8, show_default=True, type=click.IntRange(min=1), help="Patches of each word.")
@click.option("--strict", is_flag=True, help="Stop at an image that cannot be read, instead of skipping it.")
@option_max_pixels
@work_options
@option_json
def command(
    model: str,
    source: str,
    output: str | None,
    per_class: int,
    patches: int,
    strict: bool,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Show the visual words of a model: what they look like in DIR/<class>/<image>, and what they mean to each class.

    The page has, for each class, the words that matter most: the mean of their patches and the nearest ones, what they
    give to the class's score on average over its images and over those of the others, their weight, and in how many
    images of each class they are. Of a model whose scores are no sums over words, the words are those that are more
    frequent in a class than elsewhere. If DIR holds train/ and test/ folders, or is a CSV file with a split column, the
    test split is used.

    A word has the number by which cvbow explain calls it; a word and its mirror, where a model has them in pairs, count
    as one.

    --json gives all words with all classes, and where the nearest patches lie; words are the numbers of a pair.

    \b
    Example:
      cvbow words photos.cvbow held-out/ -o words.html
      cvbow words photos.cvbow held-out/ --json > words.json
    """
    classifier = ImageClassifier.load(model, n_jobs=n_jobs)
    images = labelled_images(source, "test")
    check_output(output, [model, source, *images.paths])
    gallery = word_gallery(classifier, images.paths, images.labels, n_patches=patches, strict=strict)
    if output is not None:
        from cvbow.report.words import write_words_page

        write_words_page(output, gallery, title=f"Words of {model} in {source}", per_class=per_class)
    if as_json:
        echo_json(_as_json(gallery))
        return
    tell_skipped(gallery.skipped)
    echo_tables([_table(gallery)])
    if output is not None:
        click.echo(f"\npage  {printable(output)}")


def _table(gallery: WordGallery) -> Table:
    rows = []
    for place, name in enumerate(gallery.classes):
        words = gallery.words_for(name, _SHOWN)
        said = ", ".join(f"{word.name} ({_figure(gallery, word, place)})" for word in words)
        rows.append((name, str(gallery.n_images[place]), said))
    what = "words that give most to the score" if gallery.is_linear else "words that are more frequent than elsewhere"
    return Table(("class", "images", what), rows)


def _figure(gallery: WordGallery, word: WordUse, place: int) -> str:
    return f"{word.share[place]:+.3g}" if gallery.is_linear else f"{100 * word.frequency[place]:.1f} %"


def _as_json(gallery: WordGallery) -> dict[str, Any]:
    classes = [
        {"class": name, "images": int(number)} for name, number in zip(gallery.classes, gallery.n_images, strict=True)
    ]
    return {
        "classes": classes,
        "weight_is": gallery.weight_is,
        "words": [_word(gallery, word) for word in gallery.words],
        "skipped": skipped_as_json(gallery.skipped),
    }


def _word(gallery: WordGallery, word: WordUse) -> dict[str, Any]:
    def by_class(values: Any) -> dict[str, Any]:
        numbers = [None if number != number else number for number in values.tolist()]
        return dict(zip(gallery.classes, numbers, strict=True))

    return {
        "channel": word.channel,
        "word": word.words[0],
        "words": list(word.words),
        "n_points": word.n_points,
        "n_images": by_class(word.n_images),
        "frequency": by_class(word.frequency),
        "weight": by_class(word.weight),
        "share": by_class(word.share),
        "share_elsewhere": by_class(word.share_elsewhere),
        "nearest": [[_patch(patch) for patch in patches] for patches in word.patches],
    }


def _patch(patch: WordPatch) -> dict[str, Any]:
    return {"path": patch.path, "box": list(patch.box), "distance": patch.distance}
