"""Films as files: decoded again, compared with what was drawn."""

import io
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.figures.stochastic import fit, risks, sgd, tangents
from thalweg import figures
from thalweg.figures import export

ffmpeg = pytest.importorskip("imageio_ffmpeg")
TANGENTS = tangents((0.5, -1.0, 0.25, 1.5), (0.4, 0.3, 0.1, -0.2))


def film(steps=(0, 1, 2, 3), **arguments):
    return figures.animate(figures.linear_approximation, TANGENTS, steps=steps, backend="matplotlib", **arguments)


def decoded(file):
    """All frames of a film as an array (frames, height, width, 3), and what the decoder says about it."""
    program = ffmpeg.get_ffmpeg_exe()
    with tempfile.TemporaryDirectory() as folder:
        every = ["-fps_mode", "passthrough", f"{folder}/%03d.png"]
        subprocess.run([program, "-loglevel", "error", "-i", str(file), *every], check=True)
        frames = [np.asarray(Image.open(f).convert("RGB")) for f in sorted(Path(folder).glob("*.png"))]
    about = subprocess.run([program, "-hide_banner", "-i", str(file)], capture_output=True, text=True, check=False)
    return np.array(frames), next(line for line in about.stderr.splitlines() if "Video:" in line)


def pixels(figure, shape):
    """A figure of the film as an image, by matplotlib's own writer."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=72)
    image = Image.open(buffer).convert("RGB")
    return np.asarray(image.resize((shape[1], shape[0])), dtype=float)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_film_has_a_frame_for_each_step_with_the_colours_that_were_drawn(tmp_path, suffix):
    made = film()
    frames, about = decoded(figures.save(made, tmp_path / f"film{suffix}", dpi=72))
    assert len(frames) == 4
    assert "10 fps" in about
    for k, frame in enumerate(frames):
        right, wrong = (np.abs(frame - pixels(made.frame(j), frame.shape)).mean() for j in (k, (k + 2) % 4))
        assert right < 4
        assert right < 0.8 * wrong


@pytest.mark.parametrize("color", ["#dd2c1e", "#1f78c8", "#8347e0", "#dc9a00", "#07b04f", "#808080"])
@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_flat_colours_come_back_as_they_were(tmp_path, color, suffix):
    def sheet(ds, *, step, backend):
        return Figure(figsize=(2, 1), facecolor=color if step else "#ffffff")

    made = figures.animate(sheet, TANGENTS, steps=[0, 1], backend="matplotlib")
    frames, _ = decoded(figures.save(made, tmp_path / f"film{suffix}"))
    expected = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    assert np.abs(frames[1].astype(int) - expected).max() <= 4
    assert frames[0].min() >= 253


def test_an_mp4_is_what_browsers_and_slides_play(tmp_path):
    file = figures.save(film(), tmp_path / "film.mp4", dpi=61)
    frames, about = decoded(file)
    assert "Video: h264" in about
    assert "yuv420p(tv, bt709" in about
    assert frames.shape[1] % 2 == frames.shape[2] % 2 == 0
    head = file.read_bytes()
    assert head.index(b"moov") < head.index(b"mdat")  # it starts before it is there whole


@pytest.mark.parametrize("fps", [2.5, 10, 25])
def test_a_film_lasts_as_many_seconds_as_it_has_frames_by_their_rate(tmp_path, fps):
    frames, seconds = ffmpeg.count_frames_and_secs(str(figures.save(film(fps=fps), tmp_path / "film.mp4", dpi=40)))
    assert frames == 4
    assert seconds == pytest.approx(4 / fps, abs=0.02)


@pytest.mark.parametrize("loop", [True, False])
def test_a_gif_begins_again_if_it_is_asked_to(tmp_path, loop):
    file = figures.save(film(loop=loop), tmp_path / "film.gif", dpi=40)
    assert (b"NETSCAPE2.0" in file.read_bytes()) == loop


def growing(ds, *, step, backend):
    """Figures that differ in size, in the number of their panels, and in the width of their tick labels."""
    figure = Figure(figsize=(3 + 0.3 * step, 2), layout="constrained")
    axes = figure.subplots(1, 2 if step == 1 else 1, squeeze=False)
    axes[0, 0].set_ylim(0, 10.0 ** (4 * step))
    return figure


def test_all_frames_are_of_one_size_whatever_is_drawn(tmp_path):
    made = figures.animate(growing, TANGENTS, backend="matplotlib")
    frames, _ = decoded(figures.save(made, tmp_path / "film.mp4", dpi=50))
    assert frames.shape == (4, 100, 196, 3)  # 3.9 inches, the widest, to an even number


def test_panels_stay_where_they_are(tmp_path):
    from thalweg.figures.matplotlib.film import _Frames

    def widening(ds, *, step, backend):
        figure = Figure(figsize=(3, 2), layout="constrained")
        figure.subplots().set_ylim(0, 10.0 ** (2 * step))
        return figure

    def left_edges(frames):
        dark = np.array([np.frombuffer(f, np.uint8).reshape(frames.size[1], frames.size[0], 4) for f in frames])
        return [int(np.argmax((d[..., 0] < 60).sum(axis=0))) for d in dark]  # the column of the left axis

    shown = left_edges(_Frames(figures.animate(widening, TANGENTS, backend="matplotlib"), 72, lambda done, total: None))
    assert len(set(shown)) == 1


def test_progress_is_told_after_every_frame(tmp_path):
    told = []
    figures.save(film(), tmp_path / "film.mp4", dpi=40, progress=lambda *done: told.append(done))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_nothing_is_printed_where_nobody_watches_a_terminal(tmp_path, capfd):
    figures.save(film(steps=[0, 1]), tmp_path / "film.mp4", dpi=40)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_a_film_that_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path, suffix, error):
    file = tmp_path / f"film{suffix}"
    file.write_bytes(b"old")

    def breaks(ds, *, step, backend):
        if step == 2:
            raise error
        return Figure(figsize=(2, 1))

    made = figures.animate(breaks, TANGENTS, steps=[0, 1, 3, 2, 3], backend="matplotlib")
    with pytest.raises(type(error)):
        figures.save(made, file)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_an_encoder_that_fails_is_quoted(tmp_path, monkeypatch):
    program = tmp_path / "encoder"
    program.write_text("#!/bin/sh\necho the disk is full >&2\nexit 3\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(ffmpeg, "get_ffmpeg_exe", lambda: str(program))
    with pytest.raises(RuntimeError, match=r"could not write the film \(ffmpeg, exit 3\): the disk is full"):
        figures.save(film(), tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == [program]


def test_without_the_encoder_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'films need imageio-ffmpeg. .*pip install "thalweg\[films\]"'):
        figures.save(film(), tmp_path / "film.mp4")


def test_a_film_goes_into_the_formats_of_its_backend(tmp_path):
    interactive = figures.animate(figures.linear_approximation, TANGENTS)
    data = figures.animate(figures.linear_approximation, TANGENTS, backend="none")
    still = figures.linear_approximation(TANGENTS, backend="matplotlib")
    cases = [
        (interactive, "a.mp4", r"an interactive film becomes .html; for .mp4 and .gif .* backend='matplotlib'"),
        (interactive, "a.gif", "an interactive film becomes .html"),
        (film(), "a.html", r"drawn with matplotlib becomes .mp4 or .gif; for .html .* backend='plotly'"),
        (film(), "a.png", r"a film becomes .mp4 or .gif; one frame of it is film.frame\(0\)"),
        (data, "a.mp4", "the frames of this film are data and not figures"),
        (still, "a.gif", r"a single picture; figures.animate\(..., backend='matplotlib'\) makes a film"),
    ]
    for figure, name, words in cases:
        with pytest.raises(ValueError, match=words):
            figures.save(figure, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_one_frame_of_a_film_is_a_figure_to_save(tmp_path):
    figure = film().frame(1)
    assert "cos(πx)" in {x.get_label() for x in figure.axes[0].lines}
    assert figures.save(figure, tmp_path / "frame.png", dpi=40).read_bytes().startswith(b"\x89PNG")


def test_an_interactive_film_waits_for_its_reader(tmp_path):
    text = figures.save(figures.animate(figures.fit, fit(), steps=[0, 5]), tmp_path / "film.html").read_text()
    ours = text[text.rindex("Plotly.newPlot") :]
    assert "Plotly.addFrames" in ours
    assert "Plotly.animate" not in ours


@pytest.mark.slow
def test_a_hundred_frames_of_the_maps_of_risk_take_less_than_a_minute(tmp_path):
    """By ten of them, in this process's own time on one thread; it is a third of that here."""
    made = figures.animate(figures.risk, risks(), descent=sgd(), steps=range(0, 10), backend="matplotlib")
    began = time.process_time()
    figures.save(made, tmp_path / "film.mp4")
    assert (time.process_time() - began) * 10 < 60


@pytest.mark.slow
def test_the_encoder_s_process_does_not_outlive_a_film_that_breaks_off(tmp_path, monkeypatch):
    started = []
    popen = subprocess.Popen

    def remembered(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remembered)

    def breaks(ds, *, step, backend):
        if step == 2 and started:
            raise ValueError("broken")
        return Figure(figsize=(2, 1))

    with pytest.raises(ValueError, match="broken"):
        figures.save(figures.animate(breaks, TANGENTS, backend="matplotlib"), tmp_path / "film.mp4")
    assert [process.poll() is None for process in started] == [False]
