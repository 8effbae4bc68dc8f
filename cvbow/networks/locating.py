"""Finding a network again: the file that a model was trained with, and no other."""

from __future__ import annotations

__all__ = ["NETWORKS"]

#: The environment variable that names a folder, in which networks are looked for that are no longer where they were.
NETWORKS = "CVBOW_NETWORKS"
