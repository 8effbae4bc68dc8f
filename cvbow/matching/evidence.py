"""How much matches say: at how many places they are, and whether these determine one model and no other.

R. Hartley and A. Zisserman, "Multiple View Geometry in Computer Vision", 2nd ed., sections 4.1.3 and 11.9: points on a
line determine no map of the plane, points of a plane no fundamental matrix.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.matching.maps import across, fit_homography, other_homography, spread
from cvbow.matching.models import MODELS, geometry_errors

#: Inliers must reach beyond a line, or another model miss them, by so many tolerances (root mean square).
_MARGIN = 5 / 3

Points = NDArray[np.float64]


def distinct_matches(a: Points, b: Points, radius: float, *, most: int | None = None) -> NDArray[np.intp]:
    """Return the rows (n,), ascending, of matches that are near no earlier one of them, neither in `a` nor in `b`.

    Several keypoints at one place, of other sizes or angles, are one piece of evidence, whatever they are matched with.
    Places (m, 2) within ``radius`` of each other are one; ``most`` stops at so many.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.matching.evidence import distinct_matches
    >>> a, b = np.array([[0.0, 0], [1, 0], [50, 0], [90, 0]]), np.array([[7.0, 7], [99, 9], [7, 8], [40, 0]])
    >>> distinct_matches(a, b, radius=3).tolist()
    [0, 3]
    """
    rows: list[int] = []
    left = np.arange(len(a))
    while len(left) and (most is None or len(rows) < most):
        first = left[0]
        rows.append(int(first))
        steps_a, steps_b = a[left] - a[first], b[left] - b[first]
        nearest = np.minimum(np.einsum("ij,ij->i", steps_a, steps_a), np.einsum("ij,ij->i", steps_b, steps_b))
        # Not even at a radius of 0 does a match come twice.
        left = left[nearest > max(radius**2, 1e-300)]
    return np.array(rows, np.intp)


def undetermined(model: str, a: Points, b: Points, tolerance: float) -> str | None:
    """Return why matches that agree with a model also agree with quite other ones, or None where they do not.

    It is for a person, as the end of a sentence. The inliers (m, 2) are in one unit; ``tolerance`` is the largest error
    of one, in that unit: how exactly the places are taken to be known.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.matching.evidence import undetermined
    >>> line = np.column_stack([np.arange(0.0, 100, 5), np.zeros(20)])
    >>> undetermined("affine", line, line, 3.0)
    'the matches that agree lie on a line, or nearly, but for one at most'
    """
    least = _MARGIN * tolerance
    # A match beside a line agrees with some map of the plane wherever it is: the farthest one is no evidence.
    farthest = np.abs(across(a)).argmax()
    rest = np.hypot(*(a - a[farthest]).T) > tolerance
    if rest.sum() <= MODELS[model]:
        # Whoever asks for no more matches than determine a model has none to spare.
        rest[:] = True
    few = spread(a[rest]) < least or spread(b[rest]) < least
    if few or (model == "homography" and other_homography(a[rest], b[rest]) < least):
        beside = "two" if model == "homography" else "one"
        return f"the matches that agree lie on a line, or nearly, but for {beside} at most"
    if model == "fundamental":
        plane = fit_homography(a, b)
        if plane is not None:
            errors = geometry_errors(plane, a, b, model="homography")
            if float(errors @ errors) <= len(a) * tolerance**2:
                return "a homography agrees with all matches that agree, and so do many fundamental matrices"
    return None
