"""The audit of a set of images: one pass over them, one cross-validation, and what both tell."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.audit._images import BETWEEN, LookedAt
from cvbow.audit._nearest import nearest, squared_distances
from cvbow.audit.appearance import Appearance
from cvbow.audit.classes import find_classes
from cvbow.audit.copies import find_same, groups_of
from cvbow.audit.findings import KINDS, Audit, Finding
from cvbow.audit.labels import doubts_of, find_labels
from cvbow.audit.pictures import find_pictures
from cvbow.audit.shortcuts import find_shortcuts, told_apart
from cvbow.audit.stamps import find_stamps
from cvbow.audit.strangers import class_distances, find_strangers
from cvbow.backends import ImageEncoder
from cvbow.backends.caching import CachedFunction
from cvbow.backends.fitting import LEARNING
from cvbow.backends.loading import load_source, try_image
from cvbow.classify import (
    ImageClassifier,
    LabelSets,
    ModelChooser,
    MultiLabelClassifier,
    cross_probabilities,
    make_classifier,
)
from cvbow.duplicates import find_copies
from cvbow.errors import ImageError, none_read
from cvbow.images import FileFacts, ImageList, read_image
from cvbow.parallel import default_jobs, run
from cvbow.presets import make_model
from cvbow.progress import detail, progress, stages

#: Nearest images that may show the same picture.
_NEAR = 10


def audit_images(
    images: ImageList,
    *,
    preset: str = "auto",
    cache: Any = None,
    n_jobs: int | None = None,
    keep_model: bool = False,
) -> Audit:
    """Look for what is wrong with a set of labelled images; nothing is changed.

    Each image is read, looked at, and described by the backend of a recipe, which learns from the images to train on. A
    cross-validation over all images, whatever their split, tells what an image seems to be by the others.

    Parameters
    ----------
    images : ImageList
        As ``list_images`` gives it, with all splits.
    preset : str, default "auto"
        A key of ``PRESETS``: the recipe of the vectors, and of the classifier that tells what an image seems to be.
    cache : str, path, joblib.Memory or None, default None
        Where to keep what was made of each image, for the next audit.
    n_jobs : int or None, default None
        Workers, by joblib's convention. Changes no result.
    keep_model : bool, default False
        Whether to learn a model without the images whose labels are in question, so that it can explain them.

    Returns
    -------
    Audit

    Raises
    ------
    ValueError
        If there are no images.
    CvbowError
        If none of them can be read.

    Notes
    -----
    Memory holds a vector of each image, 0.3 MB with "auto" on photographs, and beside these a few numbers for each.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from cvbow import audit_images, list_images
    >>> noise = np.random.default_rng(0).integers(0, 256, (12, 80, 80), np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number, pixels in enumerate(noise):
    ...         path = pathlib.Path(folder, "odd" if number % 2 else "even", f"{number}.png")
    ...         path.parent.mkdir(exist_ok=True)
    ...         Image.fromarray(noise[0] if number == 8 else pixels).save(path)
    ...     found = audit_images(list_images(folder))
    >>> [[pathlib.Path(path).name for path in finding.paths] for finding in found.of_kind("duplicate")]
    [['8.png', '0.png']]
    """
    # About as long as so many images take to be looked at.
    weights = {"recipe": 50, "words": min(len(images), 1000) + LEARNING, "images": len(images)}
    weights |= dict.fromkeys(("nearest", "copies", "classifier", "stamps"), 10 + len(images) // 10)
    started = time.perf_counter()
    if not len(images):
        raise ValueError("images must have at least one image, got none")
    with default_jobs(n_jobs), stages(weights) as begin:
        looked, skipped, backend, classifier = _look(images, preset, cache, begin)
        findings, neighbours, doubts = _findings(looked, backend, classifier, begin)
        findings += _twice_listed(images)
        findings += [Finding("unreadable", (error.path,), 1.0, None, "drop", _unreadable(error)) for error in skipped]
        doubted = {finding.paths[0] for finding in findings if finding.kind in ("label", "stranger")}
        model = _model(looked, backend, classifier, doubted) if keep_model else None
    findings.sort(key=lambda finding: (KINDS.index(finding.kind), -finding.score))
    seconds = time.perf_counter() - started
    return Audit(len(images), seconds, findings, images.counts, skipped, neighbours, model, doubts)


def _look(
    images: ImageList, preset: str, cache: Any, begin: Callable[[str], None]
) -> tuple[LookedAt, list[ImageError], ImageEncoder, Any]:
    """Read and describe each image once; return those that can be read, the others, and the parts of the recipe."""
    first = {os.fspath(path): row for row, path in reversed([*enumerate(images.paths)])}
    rows = sorted(first.values())
    paths = [os.fspath(images.paths[row]) for row in rows]
    taught = [path for path, row in zip(paths, rows, strict=True) if images.splits[row] in (None, "train")] or paths
    recipe = make_model(preset, n_jobs=None, memory=cache)
    backend, classifier = recipe.backend, recipe.classifier
    begin("recipe")
    if isinstance(backend, ModelChooser):
        chosen = backend.choose(paths)
        backend, classifier = chosen.backend, chosen.classifier
    classifier = make_classifier(classifier) if isinstance(classifier, str) else classifier
    begin("words")
    backend.fit(taught)
    begin("images")
    vectors = np.empty((len(paths), backend.vector_length), np.float32)
    kept: list[int] = []
    looks: list[Appearance] = []
    skipped: list[ImageError] = []
    for at, found in enumerate(run(_Look(backend, cache), paths, task="images", total=len(paths))):
        if isinstance(found, ImageError):
            skipped.append(found)
            continue
        vectors[len(kept)], look = found
        looks.append(look)
        kept.append(at)
    if not kept:
        raise none_read(skipped)
    labels = [images.labels[rows[at]] for at in kept]
    splits = [images.splits[rows[at]] for at in kept]
    looked = LookedAt([paths[at] for at in kept], labels, splits, looks, vectors[: len(kept)])
    return looked, skipped, backend, classifier


class _Look:
    """What a worker does with one image; picklable."""

    def __init__(self, backend: ImageEncoder, cache: Any) -> None:
        self.backend = backend
        self.compute = _looked_at if cache is None else CachedFunction(cache, _looked_at, backend.fingerprint())

    def __call__(self, path: str) -> Any:
        return try_image(path, lambda: self.compute(self.backend, *load_source(path)))


def _looked_at(backend: ImageEncoder, source: Any, name: str | None) -> tuple[NDArray[np.float32], Appearance]:
    image = read_image(source, shrunk_to=backend.shrinks_to, name=name)
    return backend.encode_image(image), Appearance.of(image, FileFacts.of(source))


def _findings(
    images: LookedAt, backend: ImageEncoder, classifier: Any, begin: Callable[[str], None]
) -> tuple[list[Finding], dict[str, tuple[str, str]], dict[str, float]]:
    """Return the findings, the neighbours of those about labels, and how doubtful the label of each image is."""
    begin("nearest")
    near, distances = _neighbourhood(images)
    begin("copies")
    same = find_copies(images.paths, near)
    groups = groups_of(images.paths, same)
    findings = find_same(images, same)
    begin("classifier")
    probabilities = _probabilities(images, backend, classifier, groups)
    neighbours: dict[str, tuple[str, str]] = {}
    doubts: dict[str, float] = {}
    told = None
    if probabilities is not None:
        about_labels, neighbours = find_labels(images, probabilities, groups)
        findings += about_labels
        doubts = dict(zip(images.paths, doubts_of(images, probabilities).tolist(), strict=True))
        told = _told(images, probabilities)
    findings += find_strangers(images, near, distances, probabilities)
    begin("stamps")
    findings += [*find_shortcuts(images, told), *find_stamps(images)]
    findings += [*find_pictures(images), *find_classes(images, probabilities)]
    return findings, neighbours, doubts


def _neighbourhood(images: LookedAt) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the nearest of each image, (n, k), and how far it is from each class, (n, n_classes)."""
    n = len(images)
    near = np.empty((n, min(_NEAR, n - 1)), np.intp)
    distances = np.empty((n, images.n_classes), np.float32)
    with progress("nearest", n) as tell:
        for rows, squared in squared_distances(images.vectors, np.arange(n)):
            near[rows] = nearest(squared, rows, near.shape[1])
            distances[rows] = class_distances(squared, rows, images.has)
            tell(int(rows[-1]) + 1)
    return near, distances


def _probabilities(
    images: LookedAt, backend: ImageEncoder, classifier: Any, groups: NDArray[np.intp]
) -> NDArray[np.float64] | None:
    """Return what each image seems to be by the others, (n, n_classes); None where there is nothing to learn from."""
    if images.n_classes < 2 or len(np.unique(groups)) < 2:
        return None
    sets = LabelSets.of([list(names) for names in images.sets])
    if sets.trouble() is not None:
        return None
    detail(f"cross-validation: {len(images)} vectors of {images.vectors.shape[1]} values, {images.n_classes} classes")
    views = backend.n_views
    found: NDArray[np.float64] = cross_probabilities(
        classifier,
        images.vectors.reshape(len(images) * views, -1),
        sets.repeat(views) if images.multilabel else np.repeat(_one_each(sets), views),
        channels=backend.channel_slices,
        groups=groups.repeat(views),
        views=views,
    )
    return found


def _told(images: LookedAt, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how well each class is told from the others by what images show, 0 to 1."""
    answers = probabilities > 0.5
    if not images.multilabel:
        answers = np.eye(images.n_classes, dtype=bool)[probabilities.argmax(axis=1)]
    scores = []
    for said, inside in zip(answers.T, images.has.T, strict=True):
        n_in, n_out = int(inside.sum()), int((~inside).sum())
        right, wrong = int((said & inside).sum()), int((said & ~inside).sum())
        scores.append(told_apart(right, n_in, wrong, n_out) if n_in and n_out else 0.0)
    return np.array(scores)


def _model(images: LookedAt, backend: ImageEncoder, classifier: Any, doubted: set[str]) -> ImageClassifier | None:
    """Return a model of the images that are not in question; this takes the vectors, which are not wanted any more."""
    rows = [row for row, path in enumerate(images.paths) if path not in doubted]
    for at, row in enumerate(rows):  # in place: a second copy would take as much memory again
        images.vectors[at] = images.vectors[row]
    sets = LabelSets.of([list(images.sets[row]) for row in rows])
    if sets.trouble() is not None:
        return None
    learner: Any = MultiLabelClassifier(classifier) if images.multilabel else classifier
    told = {"channels": backend.channel_slices, "views": None if backend.n_views == 1 else backend.n_views}
    taken = inspect.signature(learner.fit).parameters
    learner.fit(
        images.vectors[: len(rows)].reshape(len(rows) * backend.n_views, -1),
        sets.repeat(backend.n_views) if images.multilabel else np.repeat(_one_each(sets), backend.n_views),
        **{name: value for name, value in told.items() if value is not None and name in taken},
    )
    return ImageClassifier.of_parts(backend, learner)


def _one_each(sets: LabelSets) -> NDArray[Any]:
    """Return the one label that each image has, (n,)."""
    return np.asarray(sets.classes[sets.has.argmax(axis=1)])


def _twice_listed(images: ImageList) -> list[Finding]:
    """Return a finding for each file that is listed in several splits."""
    splits: dict[str, dict[str | None, int]] = {}
    for row, (path, split) in enumerate(zip(images.paths, images.splits, strict=True)):
        splits.setdefault(os.fspath(path), {}).setdefault(split, row)
    found = []
    for name, rows in splits.items():
        if len(rows) > 1:
            names = " and ".join(str(split) for split in rows)
            label = images.labels[min(rows.values())]
            label = label if isinstance(label, str) else BETWEEN.join(label)
            why = f"The file is listed for {names}. Leave it out of one of them."
            found.append(Finding("leak", (name, name), 1.0, label, "drop", why))
    return found


def _unreadable(error: ImageError) -> str:
    return f"It cannot be read: {error.reason}. Mend it, or leave it out."
