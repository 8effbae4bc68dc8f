"""Where the thing is that a model knows an image by: the box that its score comes from, from image labels alone."""

from __future__ import annotations

from cvbow.localization._locate import Location, locate, locations, share_cells
from cvbow.localization.search import BestBox, best_box

__all__ = ["BestBox", "Location", "best_box", "locate", "locations", "share_cells"]
