"""One image of many that cannot be worked on: told apart from a fault of the work, so that it stops nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from cvbow.errors import ImageError

__all__ = ["try_path"]


def try_path(path: str | os.PathLike[str], function: Callable[[], Any]) -> Any:
    """Return the function's result, or an ImageError that says why it has none.

    Parameters
    ----------
    path : path
        Of the image, or what to call it.
    function : callable
        Without parameters. An ImageError that it raises, a missing file, a lack of memory and a failure of OpenCV are
        those of the image; others are raised.
    """
    import cv2

    try:
        return function()
    except ImageError as error:
        # Made anew: the error's traceback and cause hold the file's bytes, and those of every bad file would add up.
        return ImageError(error.path, error.reason)
    except FileNotFoundError:
        windows = os.sep == "/" and "\\" in os.fspath(path)
        hint = "; here folders are separated by /, not by a backslash" if windows else ""
        return ImageError(path, f"there is no such file{hint}")
    except MemoryError:
        return ImageError(path, "not enough memory for this image")
    except cv2.error as error:
        return ImageError(path, f"OpenCV failed: {' '.join(str(error).split())[:200]}")
