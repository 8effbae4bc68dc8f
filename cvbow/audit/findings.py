"""What an audit found: a list of findings, each with its images, how sure it is, and what to do."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError

#: The kinds of findings: one picture in two splits, one picture twice in one, a wrong label, an image that is like no
#: other, something beside the images' content that tells the classes, a bad picture, classes that cannot be told apart
#: or are too small, files that cannot be read.
KINDS = ("leak", "duplicate", "label", "stranger", "shortcut", "picture", "class", "unreadable")
#: The columns of a list of suggestions, one of which ``Finding.as_csv`` returns.
COLUMNS = ("path", "label", "suggested", "kind", "score")
#: What a score means, for a person.
SCORES = "A score says how sure a finding is, from 0 to 1: the higher, the worse. Compare those of one kind alone."


@dataclass(frozen=True)
class Finding:
    """One thing that may be wrong with a set of images.

    Attributes
    ----------
    kind : str
        One of ``KINDS``.
    paths : tuple of str
        The image in question, the one to look at or to drop, comes first; of a leak, the one to test with and then the
        one to train on. Of a class or a shortcut, examples.
    score : float
        From 0 to 1, the surer the larger. Comparable within a kind.
    label : str or None
        The label as it was given, of several with ``" | "`` between them.
    suggested : str or None
        Another label, or a word for what to do where no label fits: ``"drop"``, ``"keep one"``; None without.
    why : str
        A sentence or two, with the figures, and with what to do.

    Examples
    --------
    >>> from cvbow.audit import Finding
    >>> Finding("label", ("cat/7.jpg",), 0.91, "cat", "dog", "Looks like dog (94 %).").suggested
    'dog'
    """

    kind: str
    paths: tuple[str, ...]
    score: float
    label: str | None
    suggested: str | None
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain values."""
        return {
            "kind": self.kind,
            "paths": list(self.paths),
            "score": round(self.score, 4),
            "label": self.label,
            "suggested": self.suggested,
            "why": self.why,
        }

    def as_csv(self) -> str:
        """Return the first image and what is suggested for it as a line of CSV, with ``COLUMNS`` and without an end.

        Examples
        --------
        >>> from cvbow.audit import Finding
        >>> print(Finding("leak", ("test/a, b.png", "train/c.png"), 1.0, "cat", "drop", "The same bytes.").as_csv())
        "test/a, b.png",cat,drop,leak,1.0
        """
        text = io.StringIO()
        row = (self.paths[0], self.label, self.suggested, self.kind, round(self.score, 4))
        csv.writer(text, lineterminator="").writerow(row)
        return text.getvalue()


@dataclass(frozen=True, eq=False)
class Audit:
    """What ``audit_images`` found.

    Attributes
    ----------
    n_images : int
        Images that were looked at, also those that cannot be read.
    seconds : float
    findings : list of Finding
        By kind, in the order of ``KINDS``; the surest of each kind first.
    counts : dict
        How many images each class has.
    skipped : list of ImageError
        Images that cannot be read.
    neighbours : mapping
        Of each image with a finding about its label, by its path: the nearest other image that has the label as given,
        and the nearest that has the suggested one.
    model : ImageClassifier or None
        Learned without the images whose labels are in question; None where it was not asked for.
    doubts : mapping
        How doubtful the label of each image is by the others, by its path, 0 to 1, whether or not there is a finding
        about it; empty where there is nothing to learn from.

    Examples
    --------
    >>> from cvbow.audit import Audit, Finding
    >>> found = Audit(2, 0.5, [Finding("picture", ("cat/7.jpg",), 0.9, "cat", None, "It is dark.")], {"cat": 2})
    >>> found.of_kind("picture")[0].paths, found.of_kind("leak")
    (('cat/7.jpg',), [])
    """

    n_images: int
    seconds: float
    findings: list[Finding]
    counts: Mapping[str, int]
    skipped: list[ImageError] = field(default_factory=list)
    neighbours: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    model: ImageClassifier | None = None
    doubts: Mapping[str, float] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[Finding]:
        """Return the findings of one kind, the surest first."""
        return [finding for finding in self.findings if finding.kind == kind]

    def as_dict(self) -> dict[str, Any]:
        """Return the document that ``cvbow audit --json`` prints."""
        return {
            "n_images": self.n_images,
            "seconds": round(self.seconds, 3),
            "findings": [finding.as_dict() for finding in self.findings],
        }
