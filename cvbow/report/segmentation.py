"""Pictures and the page of segmentation: classes over the image in their colours, with a legend."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.errors import ImageError
from cvbow.images import read_image
from cvbow.images.palette import SOFT
from cvbow.report._canvas import Picture, blank, display, fit_text, put_text, text_height, text_width, write_picture
from cvbow.report._html import count, data, figure, isolate, page, percent, scroll_box, section, table, write_page
from cvbow.report._judged import GONE, below, common_folder, figures, skipped_files
from cvbow.segmentation import SegmentationReport, Segmenter, mask_color, read_mask
from cvbow.tables import counted

#: Box that an image is fitted into, in pixels, and how many times it is enlarged at most.
BOX, ENLARGED = (960, 720), 4.0
#: Of a page: the side of an image, and images at most.
_SIDE, _MOST = 320, 60
#: How much of a class's colour is laid over the image.
_STRENGTH = 0.45
_TRUE = (255, 255, 255)
_MARGIN, _GAP = 16, 12
_TITLE, _TEXT, _SWATCH = 20, 15, 18
_LEAST_WIDTH = 320


def overlay_mask(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    *,
    truth: NDArray[np.uint8] | None = None,
    box: tuple[int, int] = BOX,
) -> NDArray[np.uint8]:
    """Return an image with its classes laid over it, fitted into a width and height.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8
    mask : ndarray of shape (H, W), uint8
        Values of classes: 0 shows the image as it is, and any other the image in ``mask_color`` with an outline.
    truth : ndarray of shape (H, W), uint8, optional
        The true values, whose borders are drawn in white.
    box : (width, height), default (960, 720)

    Returns
    -------
    ndarray of shape (H', W', 3), uint8

    Raises
    ------
    ValueError
        If a mask is not as large as the image.
    """
    for name, values in (("mask", mask), ("truth", truth)):
        if values is not None and values.shape != image.shape[:2]:
            raise ValueError(
                f"{name} must have the height and width of the image, {image.shape[:2]}, got {values.shape}"
            )
    pixels, _ = display(image, *box, enlarge=ENLARGED)
    shown = _fitted(mask, pixels)
    for value in np.unique(shown[shown > 0]):
        where = shown == value
        tint = np.float32(_STRENGTH) * np.array(mask_color(int(value)), np.float32)
        pixels[where] = np.rint((1 - np.float32(_STRENGTH)) * pixels[where] + tint).astype(np.uint8)
        _outline(pixels, where, mask_color(int(value)), 2)
    if truth is not None:
        true = _fitted(truth, pixels)
        for value in np.unique(true[true > 0]):
            _outline(pixels, true == value, _TRUE, 1)
    return pixels


def draw_segmentation(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], names: Mapping[int, str], *, name: str = ""
) -> NDArray[np.uint8]:
    """Draw an image with its classes, and what their colours mean.

    Parameters
    ----------
    image, mask
        As for ``overlay_mask``.
    names : mapping of int to str
        What values of the mask are called.
    name : str, default ""
        What to call the image.

    Returns
    -------
    ndarray of shape (H', W', 3), uint8
        RGB: the image, and above it a legend with each class's share of the image.
    """
    shown = overlay_mask(image, mask)
    height, width = shown.shape[:2]
    whole = max(width, _LEAST_WIDTH)
    counts = np.bincount(mask.ravel(), minlength=256)
    entries = [
        (value, fit_text(f"{names.get(value, value)} {100 * counts[value] / mask.size:.1f} %", whole - 30, _TEXT))
        for value in np.flatnonzero(counts).tolist()
    ]
    line = text_height(_TEXT) + 6
    places, x, row = [], 0, 0
    for _, text in entries:
        wide = _SWATCH + 8 + text_width(text, _TEXT)
        if x and x + wide > whole:
            x, row = 0, row + 1
        places.append((x, row))
        x += wide + _GAP
    start = _MARGIN + (text_height(_TITLE) + 4 if name else 0)
    top = start + line * (row + 1) + 6
    canvas = blank(2 * _MARGIN + whole, top + height + _MARGIN)
    if name:
        put_text(canvas, [(_MARGIN, _MARGIN - 4, fit_text(name, whole, _TITLE))], _TITLE)
    for (value, text), (x, row) in zip(entries, places, strict=True):
        left, y = _MARGIN + x, start + row * line
        _swatch(canvas, left, y, value)
        put_text(canvas, [(left + _SWATCH + 8, y, text)], _TEXT, SOFT)
    canvas[top : top + height, _MARGIN : _MARGIN + width] = shown
    return canvas


def write_segmentation_picture(
    path: str | os.PathLike[str],
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    names: Mapping[int, str],
    *,
    name: str = "",
) -> None:
    """Write what ``draw_segmentation`` draws as a PNG file, whole or not at all."""
    write_picture(path, draw_segmentation(image, mask, names, name=name))


def write_segmentation_report(
    path: str | os.PathLike[str],
    *,
    model: Segmenter,
    report: SegmentationReport,
    masks: Mapping[str, str | os.PathLike[str]],
    title: str,
) -> None:
    """Write an evaluation as one HTML page that needs no other file and no network.

    It holds the figures, a table of the classes from the worst to the best, what was taken for what, and images with
    what was found and the borders of the true masks, the worst first; of more than sixty the sixty worst.

    Parameters
    ----------
    path : path
        The page, written whole or not at all.
    model : Segmenter
        Segments the images that are shown once more.
    report : SegmentationReport
        As the model's ``evaluate`` gave it, of paths.
    masks : mapping of str to path
        The mask of each image's path.
    title : str
        Heading of the page.
    """
    base = common_folder([Path(one["path"]) for one in report.images])
    worst = sorted(report.images, key=lambda one: (one["mean_iou"], one["path"]))[:_MOST]
    sections = [
        section("classes", "Classes, the worst first", _classes(report)),
        section("confusion", "What was taken for what", _confusion(report)),
        section("images", "Images, the worst first", _images(model, worst, masks, base, len(report.images))),
        section("skipped", "Skipped files", skipped_files(report.skipped, base)),
    ]
    unread = '<a href="#skipped">could not be used</a>' if report.skipped else "every image and mask could be used"
    introduction = figures(
        (
            ("Mean IoU", percent(report.mean_iou), "intersection over union, mean over the classes"),
            ("Pixel accuracy", percent(report.pixel_accuracy), f"of {count(int(report.confusion.sum()))} known pixels"),
            ("Boundary F", percent(report.boundary_f), "borders within 0.75\u202f% of the image's diagonal"),
            ("Images", data(len(report.images), count(len(report.images))), f"{count(len(report.classes))} classes"),
            ("Skipped", data(len(report.skipped), count(len(report.skipped))), unread),
        )
    )
    write_page(path, page(title, introduction, sections))


def _classes(report: SegmentationReport) -> str:
    total = max(int(report.confusion.sum()), 1)
    true, found = report.confusion.sum(axis=1), report.confusion.sum(axis=0)
    order = sorted(enumerate(report.iou.items()), key=lambda each: (each[1][1] is None, each[1][1] or 0.0))
    rows = [
        (
            isolate(name),
            "does not occur" if iou is None else percent(iou),
            percent(true[place] / total),
            percent(found[place] / total),
        )
        for place, (name, iou) in order
    ]
    return scroll_box(table(("Class", "IoU", "True share", "Found share"), rows, numbers=(1, 2, 3)), "Classes")


def _confusion(report: SegmentationReport) -> str:
    """Return the pairs of a class and another that it was taken for, with most pixels first."""
    pairs = [
        (int(report.confusion[row, column]), row, column)
        for row in range(len(report.classes))
        for column in range(len(report.classes))
        if row != column and report.confusion[row, column]
    ]
    if not pairs:
        return "<p>Every known pixel is right.</p>"
    rows = [
        (
            f"{isolate(report.classes[row])} taken for {isolate(report.classes[column])}",
            data(pixels, count(pixels)),
            percent(pixels / report.confusion[row].sum()),
        )
        for pixels, row, column in sorted(pairs, reverse=True)[:40]
    ]
    return scroll_box(table(("Mistake", "Pixels", "Of the class"), rows, numbers=(1, 2)), "Mistakes")


def _images(
    model: Segmenter,
    worst: Sequence[Mapping[str, Any]],
    masks: Mapping[str, str | os.PathLike[str]],
    base: str,
    n_images: int,
) -> str:
    from PIL import Image

    parts = []
    for one in worst:
        try:
            image = read_image(one["path"])
            truth = read_mask(masks[one["path"]])
            shown = overlay_mask(image, model.predict(image), truth=truth, box=(_SIDE, _SIDE))
        except (ImageError, FileNotFoundError):
            continue
        each = ", ".join(f"{isolate(name)} {percent(iou)}" for name, iou in one["iou"].items() if iou is not None)
        caption = f"<b>{percent(one['mean_iou'])}</b> {each}"
        parts.append(
            figure(Image.fromarray(shown), f"what was found, {one['path']}", caption, below(one["path"], base))
        )
    if not parts:
        return GONE
    some = f"The worst {counted(len(worst), 'image')} of {count(n_images)}. " if len(worst) < n_images else ""
    said = (
        f"<p>{some}What was found is laid over the image in the colour of its class; white lines are the borders of "
        "the true masks. The figure is the mean intersection over union.</p>"
    )
    return f'{said}\n{_legend(model)}\n<div class="gallery found">\n{"".join(parts)}</div>'


def _legend(model: Segmenter) -> str:
    """Return what colours mean; the class of the value 0 has none."""
    entries = [
        f'<span class="key"><span style="background:rgb{mask_color(int(value))}"></span>{isolate(name)}</span>'
        for value, name in zip(model.classes_, model.class_names_, strict=True)
        if value
    ]
    return f'<p class="keys">{"".join(entries)}</p>'


def _fitted(values: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def _outline(pixels: NDArray[np.uint8], where: NDArray[np.bool_], color: tuple[int, int, int], width: int) -> None:
    contours, _ = cv2.findContours(where.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    picture = Picture(pixels)
    for contour in contours:
        if len(contour) > 2:
            picture.outline(contour[:, 0], color, width=width)


def _swatch(canvas: NDArray[np.uint8], left: int, top: int, value: int) -> None:
    """Draw what a class looks like: the colour of its outline; of the value 0, which has none, an empty frame."""
    box = canvas[top + 1 : top + 1 + _SWATCH, left : left + _SWATCH]
    box[:] = SOFT
    box[1:-1, 1:-1] = mask_color(value) if value else 255
