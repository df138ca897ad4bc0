"""Films of matplotlib figures: drawn one frame after another and handed to the encoder, so that memory stays small.

All frames have the size and the places of panels that the first, the middle and the last one agree on: nothing jumps,
and nothing has to be laid out anew.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from thalweg.figures.animate import Film

Progress = Callable[[int, int], None]
# Browsers and slides play H.264 with 4:2:0 chroma only; the tags say how the colours were coded.
_MP4 = (
    *("-c:v", "libx264", "-preset", "medium", "-crf", "18", "-pix_fmt", "yuv420p", "-movflags", "+faststart"),
    "-vf",
    "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv",
)
_LOSSLESS = ("-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0")


def write(film: Film, file: str, *, dpi: float = 144, progress: Progress | None = None) -> None:
    """Write a film as `.mp4` or `.gif`.

    Parameters
    ----------
    film
        Made by `animate` with `backend="matplotlib"`.
    file
        Its suffix chooses the format.
    dpi
        Pixels on an inch.
    progress
        Called as `progress(done, frames)` after every frame. If not given, a bar is shown in a terminal.

    Raises
    ------
    RuntimeError
        If the encoder fails, with its words.
    """
    with _shown(progress, Path(file).name) as tell:
        frames = _Frames(film, dpi, tell)
        raw = ("-f", "rawvideo", "-pix_fmt", "rgba", "-s", "{}x{}".format(*frames.size), "-framerate", f"{film.fps:g}")
        if file.endswith(".mp4"):
            _encode(("-i", "-", *_MP4, file), frames, raw)
            return
        with tempfile.TemporaryDirectory(prefix="thalweg-film-") as folder:
            whole, palette = str(Path(folder) / "film.mkv"), str(Path(folder) / "palette.png")
            _encode(("-i", "-", *_LOSSLESS, whole), frames, raw)
            _encode(("-i", whole, "-vf", "palettegen=stats_mode=full", palette))
            mix = "paletteuse=dither=none:diff_mode=rectangle"
            again = "0" if film.loop else "-1"
            _encode(("-i", whole, "-i", palette, "-lavfi", mix, "-loop", again, file))


class _Frames:
    """The frames as bytes, all of one size with even sides."""

    def __init__(self, film: Film, dpi: float, tell: Progress) -> None:
        self.film, self.dpi, self.tell = film, dpi, tell
        probes = [film.frame(k) for k in sorted({0, len(film) // 2, len(film) - 1})]
        page = np.max([figure.get_size_inches() for figure in probes], axis=0)
        width, height = (int(np.ceil(side * dpi / 2)) * 2 for side in page)
        self.size = width, height
        self.panels = self._places(probes)

    def __iter__(self) -> Iterator[bytes]:
        for k in range(len(self.film)):
            yield self._drawn(self.film.frame(k), self.panels).tobytes()
            self.tell(k + 1, len(self.film))

    def _drawn(self, figure: Figure, panels: list[Bbox]) -> np.ndarray:
        figure.set_dpi(self.dpi)
        width, height = ((side + 1e-3) / self.dpi for side in self.size)
        figure.set_size_inches(width, height)
        if len(figure.axes) == len(panels):
            figure.set_layout_engine("none")
            for axes, place in zip(figure.axes, panels, strict=True):
                axes.set_position(place)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())

    def _places(self, probes: list[Figure]) -> list[Bbox]:
        """Where each panel has room in all of `probes`; none if they differ in number."""
        for figure in probes:
            self._drawn(figure, [])
        found = [[axes.get_position(original=True) for axes in figure.axes] for figure in probes]
        if len({len(places) for places in found}) != 1:
            return []
        shared = [Bbox.intersection(a, b) for a, b in zip(found[0], found[-1], strict=True)]
        shared = [both and Bbox.intersection(both, c) for both, c in zip(shared, found[len(found) // 2], strict=True)]
        return [place for place in shared if place is not None] if all(shared) else []


def _encode(arguments: tuple[str, ...], frames: Iterable[bytes] = (), raw: tuple[str, ...] = ()) -> None:
    """Run the encoder on what `arguments` name; frames go in through its standard input."""
    from imageio_ffmpeg import get_ffmpeg_exe

    command = [get_ffmpeg_exe(), "-y", "-nostdin", "-loglevel", "error", *raw, *arguments]
    with tempfile.TemporaryFile() as words:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=words) as process:
            assert process.stdin is not None
            try:
                for frame in frames:
                    process.stdin.write(frame)
            except BrokenPipeError:  # the encoder gave up; its words say why
                pass
            except BaseException:
                process.kill()
                with suppress(OSError):
                    process.stdin.close()
                raise
            with suppress(BrokenPipeError):
                process.stdin.close()
        if process.returncode:
            words.seek(0)
            said = words.read().decode(errors="replace").strip()
            raise RuntimeError(f"The encoder could not write the film (ffmpeg, exit {process.returncode}): {said}")


@contextmanager
def _shown(progress: Progress | None, name: str) -> Iterator[Progress]:
    """The caller's own progress, or a bar if a person watches a terminal."""
    if progress is not None or not sys.stderr.isatty():
        yield progress or _silent
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _silent(_done: int, _total: int) -> None:
    pass
