"""A model fitted by hand, and then by descent: sliders, the loss, and a record of every change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import traitlets

from thalweg.apps.widgets.instrument import Instrument, packed
from thalweg.apps.widgets.tasks import Task, usual_tasks
from thalweg.measures import descend
from thalweg.record.loggers.sink import Loggers, MetricSink


class HandFit(Instrument, script="hand_fit.js"):
    """Fit a model by hand, watch the mean squared error, and let gradient descent try from the same place.

    The module interpolates the sampled predictions and losses (`Task.sampled`); what is recorded, and the descent, is
    computed here, with the problem itself. In a page without Python the descent follows the sampled loss.

    Parameters
    ----------
    tasks
        Names and what is fitted; the line, the rectified and the trigonometric model by default.
    task
        Which is shown first.
    sink
        Gets each change as it is recorded: a `WandbSink(mode="offline")`, for one. It is closed with the widget.

    Attributes
    ----------
    history
        One entry a change, the first to the last: `change`, `task`, `by` (`hand` or `descent`), `theta`, `mse`.
    theta
        The parameters now.

    Examples
    --------
    >>> fit = HandFit(task="trigonometric")
    >>> fit.move([2.1])
    >>> [(entry["by"], entry["theta"], round(entry["mse"], 2)) for entry in fit.history]
    [('hand', [2.1], 0.53)]
    >>> fit.descend()
    >>> len(fit.history), fit.history[-1]["by"]
    (27, 'descent')
    """

    title = "A fit by hand, and by descent"
    _sink: MetricSink | None = None
    _loggers: Loggers | None = None
    tasks = traitlets.Dict().tag(sync=True)
    task = traitlets.Unicode().tag(sync=True)
    theta = traitlets.List(traitlets.Float()).tag(sync=True)
    lr = traitlets.Float(0.1).tag(sync=True)
    steps = traitlets.Int(25).tag(sync=True)
    history = traitlets.List(traitlets.Dict()).tag(sync=True)
    settled = traitlets.Dict().tag(sync=True)  # what the reader's hand left, told by the module
    asked = traitlets.Int(0).tag(sync=True)  # how many descents the reader has asked for
    cleared = traitlets.Int(0).tag(sync=True)
    path = traitlets.Dict().tag(sync=True)  # the descent, to be played
    alive = traitlets.Bool(True).tag(sync=True)  # whether Python answers

    def __init__(
        self,
        tasks: Mapping[str, Task] | None = None,
        *,
        task: str | None = None,
        sink: MetricSink | None = None,
        theme: str = "auto",
    ) -> None:
        self._tasks = dict(usual_tasks() if tasks is None else tasks)
        if not self._tasks:
            raise ValueError("There is nothing to fit; give at least one task, or none for the usual three.")
        name = next(iter(self._tasks)) if task is None else task
        if name not in self._tasks:
            raise ValueError(f"There is no task {name!r}; there are {', '.join(map(repr, self._tasks))}.")
        shown = self._tasks[name]
        sampled = {key: one.sampled() for key, one in self._tasks.items()}
        first = {"theta": shown.problem.theta.tolist(), "lr": shown.lr, "steps": shown.steps}
        super().__init__(tasks=sampled, task=name, theme=theme, **first)
        self.send_to(sink)

    def send_to(self, sink: MetricSink | None) -> None:
        """Send each change from now on to a logger, as `fit/mse` and `fit/<parameter>`; an earlier one is closed."""
        if self._sink is not None:
            self._sink.close()
        self._sink = sink
        self._loggers = None if sink is None else Loggers([sink], "fit")

    def choose(self, task: str) -> None:
        """Show another task, where it begins."""
        shown = self._tasks[task]
        self.set_trait("task", task)
        self.theta, self.lr, self.steps = shown.problem.theta.tolist(), shown.lr, shown.steps

    def move(self, theta: list[float]) -> None:
        """Set the parameters as a hand does: the change is recorded."""
        self.theta = [float(value) for value in theta]
        self._note([self.theta], "hand")

    def descend(self) -> None:
        """Gradient descent from the parameters now: `steps` steps of rate `lr`, all recorded; the page plays them."""
        problem = self._tasks[self.task].problem
        found = descend(problem, [self.theta], lambda w: torch.optim.SGD(w, lr=self.lr), self.steps, progress=False)
        theta, loss = found["theta"].values[0], found["loss"].values[0]
        self.path = {"number": self.asked, "theta": packed(theta), "loss": packed(loss)}
        self._note(theta.tolist(), "descent")
        self.theta = theta[-1].tolist()

    def page_state(self) -> dict[str, Any]:
        """In a page by itself the sampled loss is followed."""
        return {"alive": False}

    def close(self) -> None:
        """Close the widget and its logger."""
        self.send_to(None)
        super().close()

    @traitlets.observe("settled")
    def _settled(self, change: Any) -> None:
        told = change["new"]
        if told.get("task") == self.task:
            self._note([told["theta"]], "hand")

    @traitlets.observe("asked")
    def _asked(self, change: Any) -> None:
        if change["new"] > change["old"]:
            self.descend()

    @traitlets.observe("cleared")
    def _cleared(self, _: Any) -> None:
        self.history = []

    def _note(self, thetas: list[list[float]], by: str) -> None:
        """Record parameters with their mean squared error."""
        task = self._tasks[self.task]
        with torch.no_grad():
            losses = task.problem.loss(torch.tensor(thetas, dtype=torch.float64)).tolist()
        entries: list[dict[str, Any]] = []
        for theta, mse in zip(thetas, losses, strict=True):
            number = len(self.history) + len(entries)
            entries.append({"change": number, "task": self.task, "by": by, "theta": list(theta), "mse": mse})
            if self._loggers is not None:
                self._loggers.log(number, {"mse": mse, **dict(zip(task.limits, theta, strict=True))})
        self.history = [*self.history, *entries]
