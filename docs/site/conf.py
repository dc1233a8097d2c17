"""Sphinx's settings for the site that `make docs` builds; `tests/site.py` lays out the sources."""

from pathlib import Path

project = "Ringline"
author = "the Ringline authors"
copyright = author  # noqa: A001  (Sphinx's own name)
extensions = ["myst_parser"]
root_doc = "index"
html_theme = "furo"
html_title = "Ringline"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
myst_heading_anchors = 4
html_search_scorer = str(Path(__file__).with_name("scorer.js"))
