"""Curvature in plain numpy, as measures would write it: of a matrix with a known spectrum, and of a run."""

import json

import numpy as np
import xarray as xr

from tests.figures.conftest import make, value

N, CLASSES = 2000, 10
WHOLE = {"matrix": "hessian", "num_weights": N, "num_selected": N, "parameters": "all", "theta_id": "abc"}


def eigenvalues(seed=0):
    """Nine outliers, a bulk around zero, and a few negative ones: the spectrum of a classifier of ten classes."""
    rng = np.random.default_rng(seed)
    bulk = rng.normal(size=N - CLASSES + 1) * np.where(rng.random(N - CLASSES + 1) < 0.9, 0.02, 0.3)
    return np.sort(np.concatenate([np.geomspace(60, 6, CLASSES - 1), bulk]))[::-1]


def pairs(values=None, which="magnitude", tol=1e-3, failed=(), **attrs):
    """Eigenvalues with residuals below `tol`, except those of the pairs that `failed`."""
    exact = np.asarray(eigenvalues()[:12] if values is None else values, dtype=float)
    residual = np.full(exact.size, 0.3 * tol * np.abs(exact).max()) if exact.size else exact
    converged = np.ones(exact.size, bool)
    for k in failed:
        residual[k], converged[k] = 0.4 * abs(exact[k]), False
    about = {"kind": "eigenpairs", "which": which, "tol": tol, "num_matvecs": 48, "num_classes": CLASSES}
    return xr.Dataset(
        {
            "eigenvalue": ("pair", exact, {"units": "nats"}),
            "residual": ("pair", residual),
            "converged": ("pair", converged),
        },
        {"pair": np.arange(1, exact.size + 1)},
        {**WHOLE, **about, "gradient_share": 0.83, **attrs},
    )


def bumps(x, values, sigma):
    """The smoothed density of `values` and the exact standard error of ten probes (variance of a quadratic form)."""
    kernel = np.exp(-0.5 * ((x[:, None] - values) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    variance = 2 / (values.size + 2) * kernel.var(axis=1) / 10
    return kernel.mean(axis=1), np.sqrt(variance)


def density(values=None, sigma=0.5, points=401, **attrs):
    exact = eigenvalues() if values is None else np.asarray(values, dtype=float)
    ends = np.arcsinh(np.array([exact.min() - 4 * sigma, exact.max() + 4 * sigma]) / sigma)
    x = sigma * np.sinh(np.linspace(*ends, points))
    estimate, error = bumps(x, exact, sigma)
    about = {"kind": "spectral_density", "sigma": sigma, "num_probes": 10, "num_matvecs": 80, "confidence": 0.95}
    trace = {"trace": exact.sum(), "trace_standard_error": np.sqrt(2 * exact.var() * exact.size / 10), "quantile": 1.96}
    return xr.Dataset(
        {
            "density": ("eigenvalue", estimate),
            "density_standard_error": ("eigenvalue", error),
            "node": (("probe", "rank"), np.tile(exact, (10, 1))),
            "node_weight": (("probe", "rank"), np.full((10, exact.size), 1 / exact.size)),
        },
        {"eigenvalue": ("eigenvalue", x, {"units": "nats"})},
        {**WHOLE, "num_selected": exact.size, "num_weights": exact.size, **about, **trace, **attrs},
    )


def path(steps=41, k=5, lr=0.05, failed=(), **attrs):
    """Sharpness that rises to 2 / learning rate and swings about it, as at the edge of stability."""
    step = np.arange(steps) * 25
    rise = 2 / lr / (1 + 3 * np.exp(-step / 90)) * (1 + 0.04 * np.cos(step / 11) * (step > 400))
    values = rise[:, None] * np.array([1.0, 0.62, 0.41, 0.3, 0.22, *np.linspace(0.2, 0.1, 20)])[:k]
    residual, converged = 1e-3 * np.tile(values[:, :1], k), np.ones((steps, k), bool)
    for at, pair in failed:
        residual[at, pair], converged[at, pair] = 0.3 * values[at, pair], False
    angles = np.linspace(0, 1.3, steps)
    return xr.Dataset(
        {
            "eigenvalue": (("step", "pair"), values, {"units": "nats"}),
            "residual": (("step", "pair"), residual),
            "converged": (("step", "pair"), converged),
            "num_matvecs": ("step", np.where(step == 0, 40, 10)),
            "learning_rate": ("step", np.full(steps, lr)),
            "loss": ("step", 2.3 * np.exp(-step / 250) + 0.05, {"units": "nats"}),
            "gradient_norm": ("step", np.exp(-step / 300)),
            "gradient_share": ("step", 0.95 - 0.6 * np.exp(-step / 120)),
            "threshold": ("step", np.full(steps, 2 / lr)),
            "overlap": (("step", "other"), np.cos(angles[:, None] - angles) ** 2),
        },
        {"step": step, "other": step, "pair": np.arange(1, k + 1)},
        {"kind": "spectrum_path", "k": k, "threshold_words": "2 / learning rate", **WHOLE, **attrs},
    )


def with_densities(ds, sigma=1.0):
    """Densities of a bulk and of outliers that follow the top pairs."""
    bulk = eigenvalues()[CLASSES - 1 :]
    top = float(ds["eigenvalue"].max())
    grid = sigma * np.sinh(np.linspace(np.arcsinh(-4), np.arcsinh(top / sigma + 5), 161))
    rows = [bumps(grid, np.concatenate([bulk, now]), sigma)[0] for now in ds["eigenvalue"].values]
    return ds.assign(density=(("step", "grid"), np.array(rows))).assign_coords(grid=grid).assign_attrs(sigma=sigma)


def trace(samples=12):
    rng = np.random.default_rng(1)
    drawn = 300 + 40 * rng.normal(size=samples)
    about = {"kind": "estimate", "quantity": "trace", "method": "hutchinson", "num_matvecs": samples, "quantile": 2.2}
    error = drawn.std(ddof=1) / np.sqrt(samples)
    return xr.Dataset(
        {"value": drawn.mean(), "standard_error": error, "sample": ("probe", drawn)}, attrs={**WHOLE, **about}
    )


def diagonal(n=5000):
    rng = np.random.default_rng(2)
    entries = np.sort(rng.standard_t(2, size=n))
    about = {"kind": "estimate", "quantity": "diagonal", "method": "hutchinson", "num_matvecs": 60, "quantile": 2.0}
    return xr.Dataset(
        {"value": ("weight", rng.permutation(entries)), "standard_error": ("weight", np.full(n, 0.3))},
        attrs={**WHOLE, **about, "num_weights": n, "num_selected": n},
    )


def eigen_line(curvature=12.0, slope=-0.5, **told):
    """A quartic whose second derivative at zero is `curvature`."""
    a = np.linspace(-1, 1, 41)
    losses = 0.4 + slope * a + curvature * a**2 / 2 - 0.3 * curvature * a**4 + 0.02 * a**3
    variables = {
        "loss": value("loss", ("alpha",), losses, float(losses[20])),
        "accuracy": value("accuracy", ("alpha",), np.exp(-np.abs(a))),
    }
    info = {"kind": "eigen", "eigenvalues": [curvature], "slope": [slope], "loss": float(losses[20]), **told}
    return make(variables, {"alpha": a}, ("alpha",), subspace=json.dumps(info))
