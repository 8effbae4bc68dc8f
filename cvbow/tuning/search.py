"""The search over recipes, by optuna: K. Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II",
IEEE Transactions on Evolutionary Computation 2002, with random search and a tree-structured Parzen estimator beside it.

The same images, seed and number of evaluations give the same front, also where the search was killed and resumed: what
the samplers are told is computed, not measured, and each recipe is drawn by a seed of its own, which follows from the
number of recipes before it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow import __version__
from cvbow._checks import check_choice, check_int, check_real
from cvbow.backends.loading import ImageLike, check_images, try_image
from cvbow.errors import CvbowError, ImageError
from cvbow.features import to_working_size
from cvbow.files import open_file, read_file
from cvbow.images import content_hash, has_color, read_image
from cvbow.parallel import run
from cvbow.presets import Preset, write_recipes
from cvbow.presets.auto import COLORED, TINY
from cvbow.progress import note, progress, stages
from cvbow.tables import Table, figure, percent
from cvbow.tuning.evaluation import Evaluator, Outcome, front_of, in_even_order
from cvbow.tuning.space import Gene, Value, genes, place_of, recipe_of

#: Of the search: names of optuna's samplers.
SAMPLERS = ("nsga2", "tpe", "random")
#: Recipes of a generation. Searches are of some hundred recipes, so that there are generations to learn from.
POPULATION = 20
#: Where all recipes that are drawn one after another were tried before, there are likely no others.
_REPEATS = 100
#: Largest side of images that a recipe may ask for.
_SIDE = 480
#: Name of the study, which the first line of a storage has; how that line begins; and bytes that it has at most.
_STUDY = "cvbow tune"
_FIRST = b'{"op_code":0,'
_LINE = 10_000


@dataclass(frozen=True, eq=False)
class Tuning:
    """What a search found.

    Attributes
    ----------
    front : list of Outcome
        The recipes of which none is better in all than another: the one of the least error first.
    outcomes : list of Outcome
        All that were tried, in order.
    n_images : int
        That they were tried on.
    skipped : list of ImageError
        Images that could not be read.
    seconds : float
        That it took, without what was done before it was resumed.
    seed : int
    sampler : str

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import PRESETS
    >>> from cvbow.tuning import Outcome, Tuning
    >>> nothing = np.zeros(0, bool)
    >>> tried = [Outcome(PRESETS["fast"], 0.1, 0.02, 8.0, 0.5, 9.0, nothing)]
    >>> print(Tuning(tried, tried, 30, [], 60.0, 0, "nsga2").table().text().splitlines()[0])
    The front: no recipe is better in all than one of these; 1 tried on 30 images, 0 of them stopped early
    """

    front: list[Outcome]
    outcomes: list[Outcome]
    n_images: int
    skipped: list[ImageError]
    seconds: float
    seed: int
    sampler: str

    @property
    def n_stopped(self) -> int:
        """How many recipes were stopped early."""
        return sum(bool(outcome.stopped) for outcome in self.outcomes)

    def recipes(self) -> list[Preset]:
        """Return the recipes of the front, with their figures in their summaries."""
        return [
            Preset("tuned", f"{one.recipe.summary}: {_figures(one)}", one.recipe.settings, {}, one.recipe.classifier)
            for one in self.front
        ]

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the front to a file of recipes, which may be named wherever a preset is; the first is the best.

        ``cvbow train photos/ --preset best.toml`` trains the first, and ``--preset best.toml#3`` the third.
        """
        name = os.path.basename(path)
        notes = (
            f"cvbow train DIR --preset {name} trains the first of these recipes, --preset {name}#2 the second.",
            f"Found by cvbow tune: {len(self.outcomes)} recipes tried on {self.n_images} images, "
            f"sampler {self.sampler}, seed {self.seed}.",
        )
        write_recipes(path, self.recipes(), notes=notes)

    def table(self) -> Table:
        """Return the front as a table."""
        heads = ("", "error %", "ms an image", "measured", "MB", "recipe")
        rows = [
            (
                str(number),
                percent(one.error, one.spread),
                figure(one.milliseconds),
                figure(one.measured),
                figure(one.megabytes),
                one.recipe.summary,
            )
            for number, one in enumerate(self.front, 1)
        ]
        what = (
            "The front: no recipe is better in all than one of these; "
            f"{len(self.outcomes)} tried on {self.n_images} images, {self.n_stopped} of them stopped early"
        )
        notes = (
            "Errors are by cross-validation, ± their standard errors: of many recipes, the best looks a little better "
            "than it is. Milliseconds are counted, for one thread; those measured are of this computer as it was."
        )
        return Table(heads, rows, what, notes)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "n_images": self.n_images,
            "n_evaluated": len(self.outcomes),
            "n_stopped": self.n_stopped,
            "seconds": round(self.seconds, 1),
            "sampler": self.sampler,
            "seed": self.seed,
            "front": [
                {
                    "number": number,
                    **one.as_dict(),
                    "summary": one.recipe.summary,
                    "settings": _plain(one.recipe.settings),
                    "classifier": _plain(one.recipe.classifier),
                }
                for number, one in enumerate(self.front, 1)
            ],
        }


def tune(
    images: Sequence[ImageLike],
    y: ArrayLike,
    *,
    seconds: float | None = None,
    evaluations: int | None = None,
    sampler: str = "nsga2",
    seed: int = 0,
    storage: str | os.PathLike[str] | None = None,
    max_images: int = 1500,
    gigabytes: float = 2.0,
    n_jobs: int | None = -1,
) -> Tuning:
    """Search for recipes that are more accurate, faster and smaller than the presets.

    The presets that fit the images are tried first, so the front is never worse than they are. Words are learned from
    all images, without their labels, and classifiers are judged on fifths of the images, from which they have not
    learned.

    Parameters
    ----------
    images : sequence of paths or arrays
        Such as can be read; there must be two at least of each of two classes or more.
    y : array of shape (n_images,)
        A label for each.
    seconds : float or None, default None
        No recipe is begun after so many.
    evaluations : int or None, default None
        Recipes to try, those of a search that is resumed included; with neither this nor `seconds`, 100.
    sampler : {"nsga2", "tpe", "random"}, default "nsga2"
    seed : int, default 0
    storage : path or None, default None
        A file that every recipe is noted in; where it is there, the search goes on from it. None: it cannot be resumed.
    max_images : int, default 1500
        Of more images, so many are drawn, evenly from the classes.
    gigabytes : float, default 2.0
        Of memory for features that recipes share.
    n_jobs : int or None, default -1
        Workers, by joblib's convention; the result does not depend on it.

    Returns
    -------
    Tuning

    Raises
    ------
    ValueError
        If a parameter breaks its rule, images have several labels, there are too few, or `storage` is of another
        search.
    CvbowError
        If too few images could be read.
    ImportError
        If optuna is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import make_model, tune
    >>> random = np.random.default_rng(0)
    >>> fine = [random.integers(0, 256, (32, 32), np.uint8) for _ in range(5)]
    >>> coarse = [image[:8, :8].repeat(4, 0).repeat(4, 1) for image in fine]
    >>> found = tune(fine + coarse, ["fine"] * 5 + ["coarse"] * 5, evaluations=2, n_jobs=1)
    >>> found.front[0].error, len(found.outcomes)
    (0.0, 2)
    >>> model = make_model(found.front[0].recipe).fit(fine + coarse, ["fine"] * 5 + ["coarse"] * 5)
    """
    started = time.monotonic()
    for name, value, least in (("evaluations", evaluations, 1), ("seed", seed, 0), ("max_images", max_images, 2)):
        check_int(name, value, minimum=least, none=name == "evaluations")
    check_real("seconds", seconds, minimum=0, none=True)
    check_real("gigabytes", gigabytes, minimum=0)
    check_choice("sampler", sampler, SAMPLERS)
    optuna = _optuna()
    images = check_images(images, minimum=1)
    labels = _labels(y, len(images))
    if seconds is None and evaluations is None:
        evaluations = 100
    # A recipe takes about as long as it takes to read the images ten times.
    with stages({"read": 1, "tune": 10 * (evaluations or 20)}) as begin:
        begin("read")
        read, skipped, colored = _read(images, n_jobs)
        order = np.flatnonzero([one is not None for one in read])
        order = order[in_even_order(labels[order], seed)][:max_images]
        _check_classes(labels[order])
        pixels = [read[place].pixels for place in order]
        sides = np.array([image.shape[:2] for image in pixels])
        of_kind = genes(
            colored=colored, tiny=float(np.median(sides.min(axis=1))) < TINY, side=float(np.median(sides.max(axis=1)))
        )
        digest = hashlib.sha256(
            "".join(f"{read[place].digest} {labels[place]}\n" for place in order).encode()
        ).hexdigest()
        facts = {"seed": seed, "sampler": sampler, "version": __version__, "space": _digest(of_kind), "images": digest}
        evaluator = Evaluator(
            pixels, labels[order], [images[int(place)] for place in order], n_jobs=n_jobs, room=round(1e9 * gigabytes)
        )
        starts = _starts(of_kind, colored)
        deadline = None if seconds is None else started + seconds
        begin("tune")
        with _quiet(optuna), _study(optuna, storage, facts) as study:
            search = _Search(optuna, study, of_kind, starts, evaluator, sampler, seed)
            search.go(evaluations, deadline)
        outcomes = list(search.known.values())
        front = front_of([one for one in outcomes if not one.stopped])
        return Tuning(front, outcomes, len(order), skipped, time.monotonic() - started, seed, sampler)


class _Search:
    """Asks optuna for recipes, tries them out, and tells it what they do."""

    def __init__(
        self,
        optuna: Any,
        study: Any,
        of_kind: Sequence[Gene],
        starts: Sequence[Mapping[str, Value]],
        evaluator: Evaluator,
        sampler: str,
        seed: int,
    ) -> None:
        self.optuna = optuna
        self.study = study
        self.of_kind = {gene.name: gene for gene in of_kind}
        self.starts = starts
        self.evaluator = evaluator
        self.sampler = sampler
        self.seed = seed
        #: What is known of recipes, by what they come to: different genes may be one recipe.
        self.known: dict[str, Outcome] = {}
        self.n_told = 0
        # What was under way when the search was killed is begun anew.
        state = optuna.trial.TrialState
        for trial in study.get_trials(deepcopy=False):
            if trial.state == state.COMPLETE:
                self._know(trial.params, trial.user_attrs["outcome"])
                self.n_told += 1
            elif trial.state == state.RUNNING:
                study.tell(trial.number, state=state.FAIL)

    def go(self, evaluations: int | None, deadline: float | None) -> None:
        """Try recipes out until so many are known, or the deadline has passed."""
        began = time.monotonic()
        total = evaluations if deadline is None else round(deadline - began)
        repeats = 0
        with progress("tune", max(total or 0, 1)) as update:
            while repeats < _REPEATS and (evaluations is None or len(self.known) < evaluations):
                if deadline is not None and time.monotonic() >= deadline and self.known:
                    return
                repeats = 0 if self._one() else repeats + 1
                update(len(self.known) if deadline is None else min(round(time.monotonic() - began), total or 0))

    def _one(self) -> bool:
        """Try one recipe out; False where it was known."""
        waiting = self.study.get_trials(deepcopy=False, states=(self.optuna.trial.TrialState.WAITING,))
        if self.n_told < len(self.starts) and not waiting:
            self.study.enqueue_trial(self._places(self.starts[self.n_told]))
        self.study.sampler = self._sampler()
        trial = self.study.ask({name: self._distribution(gene) for name, gene in self.of_kind.items()})
        recipe = recipe_of(self._genes(trial.params))
        key = _key(recipe)
        is_new = key not in self.known
        if is_new:
            outcome = self.known[key] = self.evaluator.try_out(recipe, list(self.known.values()))
            best = front_of([one for one in self.known.values() if not one.stopped])
            if outcome in best:
                note(f"{len(self.known)}: {_figures(outcome)}: {recipe.summary}")
        outcome = self.known[key]
        first = np.packbits(outcome.first).tobytes().hex()
        trial.set_user_attr("outcome", {**outcome.as_dict(), "first": [len(outcome.first), first]})
        self.study.tell(trial, list(outcome.values))
        self.n_told += 1
        return is_new

    def _know(self, places: Mapping[str, Any], noted: Mapping[str, Any]) -> None:
        """Take over what was noted of a recipe."""
        figures = dict(noted)
        n_first, bits = figures.pop("first")
        first = np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8))[:n_first].astype(bool)
        recipe = recipe_of(self._genes(places))
        self.known.setdefault(_key(recipe), Outcome(recipe, **figures, first=first))

    def _sampler(self) -> Any:
        """Return a sampler whose draws follow from the number of recipes before, as if it had made all of them."""
        samplers = self.optuna.samplers
        seed = int(np.random.SeedSequence((self.seed, self.n_told)).generate_state(1)[0])
        if self.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        if self.sampler == "tpe":
            return samplers.TPESampler(seed=seed)
        return samplers.NSGAIISampler(population_size=POPULATION, seed=seed)

    def _distribution(self, gene: Gene) -> Any:
        """Return what optuna draws: a choice, or of choices in order the place."""
        kinds = self.optuna.distributions
        if gene.ordered:
            return kinds.IntDistribution(0, len(gene.choices) - 1)
        return kinds.CategoricalDistribution(gene.choices)

    def _places(self, chosen: Mapping[str, Value]) -> dict[str, Value]:
        return {
            name: gene.choices.index(chosen[name]) if gene.ordered else chosen[name]
            for name, gene in self.of_kind.items()
        }

    def _genes(self, places: Mapping[str, Any]) -> dict[str, Value]:
        return {
            name: gene.choices[places[name]] if gene.ordered else places[name] for name, gene in self.of_kind.items()
        }


@dataclass(frozen=True, eq=False)
class _Picture:
    """An image in memory, no larger than recipes want it."""

    pixels: NDArray[np.uint8]
    digest: str


def _read(images: Sequence[ImageLike], n_jobs: int | None) -> tuple[list[Any], list[ImageError], bool]:
    """Return the images that can be read, None for others; what is wrong with these; and whether there is colour."""
    found: list[Any] = list(run(_read_one, images, n_jobs=n_jobs, task="read", total=len(images)))
    skipped = [one for one in found if isinstance(one, ImageError)]
    read = [None if isinstance(one, ImageError) else one for one in found]
    colors = [has_color(one.pixels) for one in read if one is not None]
    return read, skipped, bool(colors) and float(np.mean(colors)) >= COLORED


def _read_one(image: ImageLike) -> Any:
    return try_image(
        image,
        lambda: _Picture(to_working_size(read_image(image, shrunk_to=_SIDE), None, _SIDE), content_hash(image)),
    )


def _labels(y: ArrayLike, n_images: int) -> NDArray[np.str_]:
    found = [y] if isinstance(y, str) else list(np.asarray(y, dtype=object)) if not isinstance(y, list) else y
    if any(isinstance(label, list | tuple | set | np.ndarray) for label in found):
        raise ValueError("y must be one label for each image: recipes for several labels an image cannot be searched")
    if len(found) != n_images:
        raise ValueError(f"y must hold a label for each of {n_images} images, got {len(found)}")
    return np.array([str(label) for label in found])


def _check_classes(labels: NDArray[np.str_]) -> None:
    names, counts = np.unique(labels, return_counts=True)
    if len(names) < 2 or counts.min() < 2:
        least = f"{names[counts.argmin()]} has {counts.min()}" if len(names) else "there is none"
        raise CvbowError(f"there must be two classes or more, each with two images that can be read; {least}")


def _starts(of_kind: Sequence[Gene], colored: bool) -> list[dict[str, Value]]:
    """Return the genes of presets that fit: what ``auto`` chooses, then ``fast`` and ``bow``."""
    tiny = any(gene.name == "features" for gene in of_kind)
    names = ("patches", "fast", "bow") if tiny else ("fisher", "fast", "bow")
    return [place_of(name, colored=colored) for name in names]


def _key(recipe: Preset) -> str:
    """Return what is the same for recipes that make the same model."""
    return json.dumps([recipe.settings, recipe.classifier], sort_keys=True)


def _figures(outcome: Outcome) -> str:
    return (
        f"error {percent(outcome.error, outcome.spread)} %, {figure(outcome.milliseconds)} ms an image, "
        f"{figure(outcome.megabytes)} MB"
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def _digest(of_kind: Sequence[Gene]) -> str:
    return hashlib.sha256(repr(list(of_kind)).encode()).hexdigest()[:16]


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError("tune needs the extra: pip install 'cvbow[tune]'") from error
    return optuna


@contextlib.contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Keep optuna's own notes and warnings of experiments back."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


@contextlib.contextmanager
def _study(optuna: Any, storage: str | os.PathLike[str] | None, facts: Mapping[str, Any]) -> Iterator[Any]:
    """Open the study in a file, or one in memory; ValueError where the file is of another search."""
    kept = None
    if storage is not None:
        path = os.path.abspath(storage)
        if os.path.exists(path):
            if not is_storage(path):
                raise ValueError(f"storage must be a file of cvbow tune, or none yet, got {os.fspath(storage)!r}")
            _cut_unfinished_line(path)
        journal = optuna.storages.journal
        # A kill may leave the lock, which is held for milliseconds and then, after so many seconds, is nobody's.
        lock = journal.JournalFileSymlinkLock(path, grace_period=3)
        kept = optuna.storages.JournalStorage(journal.JournalFileBackend(path, lock_obj=lock))
    study = optuna.create_study(directions=["minimize"] * 3, storage=kept, study_name=_STUDY, load_if_exists=True)
    for key, value in facts.items():
        there = study.user_attrs.get(key)
        if there is None:
            study.set_user_attr(key, value)
        elif there != value:
            what = "" if key in ("images", "space") else f": {there}, not {value}"
            raise ValueError(f"storage must be of the same search; {os.fspath(storage or '')} has other {key}{what}")
    yield study


def is_storage(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is one that ``tune`` notes recipes in, be it that a kill left it empty or hardly begun."""
    try:
        with open_file(path) as file:
            line = file.readline(_LINE)
    except OSError:
        return False
    return _STUDY.encode() in line or (not line.endswith(b"\n") and _FIRST.startswith(line[: len(_FIRST)]))


def _cut_unfinished_line(path: str) -> None:
    """Cut off a last line that a kill left unfinished, behind which optuna could not write."""
    content = read_file(path)
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
