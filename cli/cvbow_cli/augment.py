"""``cvbow augment``."""

from __future__ import annotations

import os
from typing import Any

import click

from cvbow.augmentation import ImageAugmenter, augment_images
from cvbow.images import list_images
from cvbow.presets import make_augmenter
from cvbow_cli._common import (
    echo_json,
    option_background,
    option_json,
    option_max_pixels,
    printable,
    skipped_as_json,
    tell_skipped,
    work_options,
)
from cvbow_cli._what import InputPath

__all__ = ["command"]

#: What is done where no transform is asked for.
USUAL = ("mirror", "rotate", "shift", "zoom")


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """One number, or several with commas between them; those without a point stay integers."""

    name = "number[,number]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the text."""
        if not isinstance(value, str):
            return value
        try:
            numbers = [int(part) if part.strip().lstrip("+-").isdigit() else float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a number, or numbers separated by commas", param, ctx)
        return numbers if len(numbers) > 1 else numbers[0]


@click.command(name="augment")
@click.argument("source", metavar="DIR", type=InputPath())
@click.option(
    "--output", "-o", required=True, metavar="OUT", type=click.Path(file_okay=False), help="Folder to write into."
)
@click.option("-n", "n", default=1, show_default=True, metavar="N", help="Number of variants of each image.")
@click.option("--rotation-range", type=float, metavar="DEGREES", help="Rotate by up to this angle in either direction.")
@click.option(
    "--width-shift-range", type=Numbers(), help="Horizontal shift: a share below 1, pixels from 1, or a list."
)
@click.option("--height-shift-range", type=Numbers(), help="Vertical shift, likewise.")
@click.option("--shear-range", type=float, metavar="DEGREES", help="Shear by up to this angle in either direction.")
@click.option("--zoom-range", type=Numbers(), help="Z for factors 1-Z to 1+Z, or two factors; above 1 shrinks.")
@click.option("--channel-shift-range", type=float, metavar="VALUE", help="Add up to this to all values, or subtract.")
@click.option("--brightness-range", type=Numbers(), help="Multiply the values by a factor between these two.")
@click.option("--horizontal-flip", is_flag=True, help="Mirror half of the variants, left to right.")
@click.option("--vertical-flip", is_flag=True, help="Mirror half of the variants, top to bottom.")
@click.option("--fill-mode", metavar="MODE", help="Border filling: nearest (default), constant, reflect or wrap.")
@click.option("--cval", type=float, metavar="VALUE", help="Value that --fill-mode constant fills with.")
@click.option("--seed", default=0, show_default=True, help="Seed of the random transforms.")
@click.option("--format", "image_format", default="png", show_default=True, help="png, jpg, bmp, tif or webp.")
@click.option("--strict", is_flag=True, help="Stop at an image that cannot be read, instead of skipping it.")
@option_max_pixels
@option_background
@work_options
@option_json
def command(
    source: str,
    output: str,
    n: int,
    seed: int,
    image_format: str,
    strict: bool,
    n_jobs: int,
    as_json: bool,
    **transforms: Any,
) -> None:
    """Write N randomly transformed variants of each image of DIR/<class>/<image> to OUT/<class>/.

    If DIR holds images and no class folders, the variants go to OUT itself.

    The options have the names and the meaning of Keras's ImageDataGenerator. Without any of them, images are mirrored,
    rotated by up to 5 degrees, shifted by up to a tenth of their sides and magnified by up to 1/0.7, and the area
    beyond the border is filled with a mirrored copy. A file is called NAME_INDEX_NUMBER: the image's name, its position
    in the list, and the number of the variant. OUT must be new or empty, and lie outside of DIR.

    \b
    Example:
      cvbow augment photos/ -o augmented/ -n 5
      cvbow augment photos/ -o augmented/ -n 5 --rotation-range 15
    """
    given = {name: value for name, value in transforms.items() if value not in (None, False)}
    augmenter = ImageAugmenter(**given) if given else make_augmenter(USUAL)
    augmenter.check_params()
    inside = os.path.realpath(output)
    if os.path.isdir(source) and os.path.commonpath([inside, os.path.realpath(source)]) == os.path.realpath(source):
        raise click.UsageError(f"OUT must lie outside of DIR, got {output} in {source}")
    images = list_images(source, flat=True)
    try:
        done = augment_images(
            images, output, augmenter, n=n, seed=seed, image_format=image_format, strict=strict, n_jobs=n_jobs
        )
    except KeyboardInterrupt:
        said = f"{output} has a part of the variants: remove it to begin again" if os.path.isdir(output) else ""
        raise KeyboardInterrupt(said) from None
    if as_json:
        echo_json(
            {
                "n_images": done.n_images,
                "n_written": done.n_written,
                "classes": done.counts,
                "skipped": skipped_as_json(done.skipped),
                "output": output,
                "seed": seed,
            }
        )
        return
    tell_skipped(done.skipped)
    click.echo(f"images      {done.n_images}, {len(done.skipped)} skipped")
    click.echo(f"written     {done.n_written}")
    click.echo(f"folder      {printable(output)}")
