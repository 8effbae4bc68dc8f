"""Bad pictures: dark, bright, blurred, flat, tiny, of an odd shape, moving, or lying on their side in other programs.

What is bad is so by itself, and beside the set: a picture of the night is not dark among others. By how much a number
lies outside of the set's is measured in deviations that outliers do not widen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cvbow.audit._images import LookedAt
from cvbow.audit._robust import outside
from cvbow.audit.appearance import Appearance
from cvbow.audit.findings import Finding

#: A number lies outside of a set's where it is so many robust standard deviations from their median.
_OUTSIDE = 3.0
_MOST = 0.5


@dataclass(frozen=True)
class _Fault:
    """What may be wrong with a picture, measured by a number of which more is worse."""

    measure: Callable[[Appearance], float]
    #: From here on it is bad by itself, and here as bad as can be.
    least: float
    worst: float
    #: The least deviation that the set's numbers are taken to have.
    floor: float
    why: Callable[[Appearance], str]


_FAULTS = (
    _Fault(
        lambda look: 255 - look.bright_end,
        255 - 80,
        255 - 10,
        15.0,
        lambda look: (
            f"It is dark: 95% of its pixels are {look.bright_end:.0f} of 255 or darker. Brighten it, or leave it out."
        ),
    ),
    _Fault(
        lambda look: look.dark_end,
        190,
        250,
        15.0,
        lambda look: (
            f"It is bright: 95% of its pixels are {look.dark_end:.0f} of 255 or brighter. "
            "Leave it out if it is overexposed."
        ),
    ),
    _Fault(
        lambda look: look.blur,
        0.5,
        0.9,
        0.03,
        lambda look: f"It is blurred: another blur takes {1 - look.blur:.0%} of its contrast. Take a sharper one.",
    ),
    _Fault(
        lambda look: -look.contrast,
        -12,
        0,
        3.0,
        lambda look: (
            f"There is little in it: its gray values deviate by {look.contrast:.1f} of 255. See if it is empty."
        ),
    ),
    _Fault(
        lambda look: -math.log2(min(look.width, look.height)),
        -6.0,
        -3.0,
        1 / 3,
        lambda look: f"It is tiny: {look.width} x {look.height} pixels. Look for a larger one.",
    ),
    _Fault(
        lambda look: abs(math.log2(look.width / look.height)),
        1.5,
        4.0,
        0.25,
        lambda look: f"Its shape is odd: {look.width} x {look.height} pixels. See whether it was cut badly.",
    ),
)
_TURNS = {3: "by 180 degrees", 6: "by 90 degrees", 8: "by 270 degrees"}


def find_pictures(images: LookedAt) -> list[Finding]:
    """Return a finding for each picture that is bad; of several faults, the worst one makes the score."""
    faults: dict[int, list[tuple[float, str]]] = {}
    for fault in _FAULTS:
        values = np.array([fault.measure(look) for look in images.looks])
        for row in np.flatnonzero((values >= fault.least) & (outside(values, floor=fault.floor) >= _OUTSIDE)).tolist():
            badness = min((values[row] - fault.least) / (fault.worst - fault.least), 1.0)
            faults.setdefault(row, []).append((0.5 + badness / 2, fault.why(images.looks[row])))
    # What most images are is how the set was made.
    moving, turned = (
        np.mean(which) < _MOST
        for which in (
            [look.file.several for look in images.looks],
            [look.file.orientation != 1 for look in images.looks],
        )
    )
    for row, look in enumerate(images.looks):
        if look.file.several and moving:
            why = "The file holds several pictures, of which the first one is read. Save the one that is meant."
            faults.setdefault(row, []).append((0.6, why))
        if look.file.orientation != 1 and turned:
            turn = _TURNS.get(look.file.orientation, "and mirrored")
            why = (
                f"The file asks to be turned {turn} (EXIF), which is done here and not by every program. "
                "Save it upright."
            )
            faults.setdefault(row, []).append((0.5, why))
    found = []
    for row, several in faults.items():
        several.sort(key=lambda fault: -fault[0])
        why = " ".join(text for _, text in several)
        found.append(Finding("picture", (images.paths[row],), several[0][0], images.label_text(row), None, why))
    return found
