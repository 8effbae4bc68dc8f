"""The colours of pictures, as RGB.

They are those of M. Okabe and K. Ito, "Color Universal Design", 2008: people with any colour vision tell them apart.
"""

from __future__ import annotations

from cvbow.images.pixels import Color

ORANGE: Color = (230, 159, 0)
SKY: Color = (86, 180, 233)
YELLOW: Color = (240, 228, 66)
BLUE: Color = (0, 114, 178)
VERMILLION: Color = (213, 94, 0)
GREEN: Color = (0, 158, 115)
PINK: Color = (204, 121, 167)
DARK: Color = (20, 20, 20)
SOFT: Color = (90, 90, 90)
WHITE: Color = (255, 255, 255)
