"""Numbers as a run of MLflow."""

from __future__ import annotations

import time
from collections.abc import Mapping

from thalweg.record.loggers.sink import Closing, library


class MlflowSink(Closing):
    """Writes to a run of MLflow, synchronously (about 4 ms a row in a SQLite file).

    Parameters
    ----------
    uri
        A server, or a database file: `sqlite:///mlflow.db`. By default what MLflow is set to (`MLFLOW_TRACKING_URI`).
    experiment, run_name
        Where the run is begun, and what it is called.
    run_id
        Or a run that is there already (Lightning's is `trainer.logger.run_id`).

    Examples
    --------
    >>> import tempfile
    >>> with MlflowSink(f"sqlite:///{tempfile.mkdtemp()}/mlflow.db", run_name="first") as sink:
    ...     sink.log(10, {"trajectory/loss": 0.5})
    """

    def __init__(
        self,
        uri: str | None = None,
        *,
        experiment: str = "thalweg",
        run_name: str | None = None,
        run_id: str | None = None,
    ) -> None:
        if (uri or "").startswith("sqlite"):
            for name in ("sqlalchemy", "alembic"):  # without them MLflow says that it knows no such address
                library(name, "mlflow")
        client = library("mlflow.tracking", "mlflow").MlflowClient
        self._metric = library("mlflow.entities", "mlflow").Metric
        self._client = client(tracking_uri=uri)
        self._owned = run_id is None
        self.run_id = self._begin(experiment, run_name) if run_id is None else run_id

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One batch of metrics. MLflow keeps an infinity as the largest number there is."""
        now = int(time.time() * 1000)
        self._client.log_batch(self.run_id, [self._metric(name, value, now, step) for name, value in values.items()])

    def close(self) -> None:
        """Mark the run as finished; one that was given stays open."""
        if self._owned:
            self._client.set_terminated(self.run_id)

    def _begin(self, experiment: str, run_name: str | None) -> str:
        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found is not None else self._client.create_experiment(experiment)
        return self._client.create_run(number, run_name=run_name).info.run_id
