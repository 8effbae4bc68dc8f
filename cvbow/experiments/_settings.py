"""A preset's settings in a definition."""

from __future__ import annotations

from typing import Any

from cvbow._toml import TomlTable
from cvbow.presets import parse_setting

__all__ = ["take_settings"]


def take_settings(table: TomlTable) -> dict[str, Any]:
    """Take values as ``--set`` does, which also knows ``"none"``, a word that TOML lacks."""
    if "random_state" in table.values:
        table.fail("random_state", "left to the key seeds")
    settings = {}
    for key, value in table.values.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        if isinstance(value, dict):
            table.fail(key, "a value")
        try:
            settings[key] = parse_setting(f"{key}={text}")[1]
        except ValueError as error:
            raise ValueError(f"{table.path}: {table.above.rstrip('.')}: {error}") from None
    return settings
