"""Figures to files."""

import importlib.util
import re

import pytest

from thalweg import figures
from thalweg.figures import export


def test_html_is_complete_and_asks_the_network_for_nothing(plane, run_path, tmp_path):
    file = figures.save(figures.surface(plane, path=run_path, theme="dark"), tmp_path / "surface.html")
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)\s*=\s*[\"']?(https?:)?//", text)
    assert "MathJax.js" not in text.split("<script")[1][:2000]
    assert "ResNet-20 on CIFAR-10" in text
    assert "background:#0b1220" in text
    assert len(text) > 1e6  # plotly.js itself


def test_static_figures_save_by_suffix(line, tmp_path):
    figure = figures.profile(line, backend="matplotlib")
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    for suffix, start in starts.items():
        assert figures.save(figure, tmp_path / f"profile{suffix}").read_bytes().startswith(start)


def test_unknown_suffixes_name_the_known_ones(line, tmp_path):
    with pytest.raises(ValueError, match=r"'a.bmp': the suffix must be one of .html, .png, .svg, .pdf, .mp4, .gif"):
        figures.save(figures.profile(line), tmp_path / "a.bmp")
    with pytest.raises(ValueError, match="a matplotlib figure cannot become HTML"):
        figures.save(figures.profile(line, backend="matplotlib"), tmp_path / "a.html")
    with pytest.raises(ValueError, match="a figure of plotly or matplotlib is needed, not 'Sheets'"):
        figures.save(figures.profile(line, backend="none"), tmp_path / "a.html")


def test_a_missing_folder_is_named(line, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.* create it first"):
        figures.save(figures.profile(line), tmp_path / "nowhere" / "a.html")


def test_without_kaleido_the_extra_is_named(line, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "thalweg\[images\]"'):
        figures.save(figures.profile(line), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file_and_nothing_else(line, tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"old")
    with pytest.raises((AttributeError, TypeError)):
        figures.save(figures.profile(line, backend="matplotlib"), file, no_such_option=1)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("kaleido") is None, reason="needs kaleido")
def test_an_interactive_figure_becomes_an_image_without_its_controls(plane, tmp_path):
    figure = figures.contour(plane)
    assert figures.save(figure, tmp_path / "a.png", scale=1).read_bytes().startswith(b"\x89PNG")
    assert figure.layout.updatemenus  # the figure itself keeps them


def test_pages_offer_no_upload(tmp_path):
    import plotly.graph_objects as go

    page = figures.save(go.Figure(go.Scatter(y=[0, 1])), tmp_path / "page.html").read_text()
    assert '"showSendToCloud": false' in page
