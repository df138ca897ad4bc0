"""How the documentation is built: `sphinx-build -W -b html docs docs/_build/html`."""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("THALWEG_CACHE_DIR", tempfile.mkdtemp(prefix="thalweg-docs-"))

import torch

import thalweg

torch.set_num_threads(1)

project = "thalweg"
author = "the thalweg developers"
version = release = thalweg.__version__
html_title = f"thalweg {release}"
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",
    "building",
]
exclude_patterns = ["_build", "_ext", "gallery", "examples/*.ipynb", "examples/searchindex*"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist", "attrs_inline", "attrs_block"]
myst_heading_anchors = 3
default_role = "py:obj"
nitpicky = False
suppress_warnings = ["ref.python"]  # a word in single backticks that is an attribute of several classes
add_module_names = False
python_use_unqualified_type_names = True

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_admonition_for_examples = False
napoleon_use_ivar = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("building.gallery.scraper",),
    "reset_modules": ("building.gallery.fresh",),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "notebook_extensions": set(),
    "write_computation_times": False,
    "show_memory": False,
    "min_reported_time": 10**6,
    "show_signature": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "copyfile_regex": r"",
    "capture_repr": ("__repr__",),
    "ignore_repr_types": r"matplotlib|plotly",
}

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["thalweg.css"]
html_js_files = ["figures.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it would fetch pages, which a browser refuses for files
html_context = {"default_mode": "auto"}
html_sidebars = {"index": [], "start": [], "comparison": []}
html_theme_options = {
    "logo": {"text": "thalweg", "image_light": "_static/mark.svg", "image_dark": "_static/mark.svg", "alt_text": ""},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_center": [],
    "footer_end": [],
    "show_prev_next": True,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copyright = "the thalweg developers. Apache 2.0"
