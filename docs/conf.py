"""How Sphinx builds the pages: `just docs`. What is made on the way lies in folders that git ignores."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS))

import _commands
import _gallery
import _links
import _rooms
import cvbow

project = "cvbow"
author = "The cvbow developers"
copyright = "the cvbow developers, BSD-3-Clause"
version = release = cvbow.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "_made"]
root_doc = "index"
smartquotes = False  # two hyphens are an option, not a dash

toc_object_entries_show_parents = "hide"  # beside a class's page, its methods without its name fit
autodoc_typehints = "none"  # the docstrings have them, with shapes and ranges
autosummary_ignore_module_all = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "_gallery.Order",
    "backreferences_dir": "_made/backreferences",
    "doc_module": ("cvbow",),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 3600,  # how long a script took says more of the machine that made the pages
    "write_computation_times": False,
    "remove_config_comments": True,
    "image_scrapers": ("matplotlib",),
    "reset_modules": ("matplotlib", "_gallery.no_warnings"),
    "parallel": 2,
}

html_theme = "pydata_sphinx_theme"
html_title = "cvbow"
html_static_path = ["_static"]
html_css_files = ["cvbow.css"]
html_extra_path = ["_made/extra"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_end": ["theme-switcher"],
}
_ALONE = ("index", "start", "concepts", "benchmarks", "certain", "coming_from", "contributing", "changelog")
html_sidebars = {name: [] for name in _ALONE}

matplotlib.use("Agg")
_rooms.write_rooms(DOCS / "api")
if not _commands.up_to_date(DOCS / "commands" / "index.md", [ROOT / "cvbow", ROOT / "cli", DOCS]):
    _commands.write_commands(DOCS / "commands", DOCS / "_made" / "extra")


def skip_what_others_wrote(app: Any, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Of a class's methods, leave out those that scikit-learn and Python give it."""
    function = getattr(value, "fget", None) or getattr(value, "func", value)
    home = getattr(function, "__module__", None) or "cvbow"
    return None if home.startswith("cvbow") else True


def as_built(app: Any, name: str, source: list[str]) -> None:
    """Turn the links of a page, which lead to files of the source, to the pages that are made of these."""
    source[0] = _links.as_built(source[0])
    if name.startswith("gallery/"):
        source[0] = _gallery.picture_first(source[0])


def setup(app: Any) -> None:
    """Connect what is the project's own."""
    app.connect("source-read", as_built)
    app.connect("autodoc-skip-member", skip_what_others_wrote)
