"""What a figure shows, before any backend draws it."""

import numpy as np
import pytest
import xarray as xr

from thalweg import figures
from thalweg.figures import overlay, scale


def shown(ds, *args, **kwargs):
    return figures.surface(ds, *args, backend="none", **kwargs)


def test_heights_are_the_values_of_the_dataset_and_not_transposed(plane):
    layer = shown(plane, log=False, clip=None).layers["loss"]
    assert layer.heights.shape == (41, 31)
    np.testing.assert_array_equal(layer.heights, plane["loss"].values)


def test_values_stay_true_when_heights_are_flattened(spiked):
    layer = shown(spiked).layers["loss"]
    assert layer.values.max() == 1e6
    assert layer.heights.max() == layer.scale.ceiling < 10
    assert layer.text[0, 0].startswith("1×10⁶")
    assert "drawn at" in layer.text[0, 0]
    assert layer.notes == (f"5 of 1,271 points above {layer.scale.ceiling:g} drawn at {layer.scale.ceiling:g}",)


def test_auto_clip_flattens_only_what_stands_out(spiked, plane):
    bulk = spiked["loss"].values[spiked["loss"].values < 1e6]
    assert bulk.max() <= shown(spiked).layers["loss"].scale.ceiling <= bulk.max() * 1.1
    assert shown(plane).layers["loss"].scale.ceiling is None
    assert shown(spiked, clip=None).layers["loss"].heights.max() == 1e6


def test_a_clip_below_everything_is_refused(plane):
    with pytest.raises(ValueError, match="lies below all of `loss`, whose smallest value is"):
        shown(plane, clip=0.01)


def test_infinite_values_stand_at_the_top_undefined_ones_are_holes_and_both_are_counted(broken):
    layer = shown(broken).layers["loss"]
    loss = broken["loss"].values
    np.testing.assert_array_equal(np.isnan(layer.heights), np.isnan(loss))
    assert (layer.heights[np.isposinf(loss)] == loss[np.isfinite(loss)].max()).all()
    bad = int((~np.isfinite(loss)).sum())
    assert layer.notes[0].startswith(f"{bad} of {loss.size:,} points are not finite")
    assert layer.text[-1, 0] == "inf"


def test_a_surface_without_a_finite_value_is_refused(plane):
    with pytest.raises(ValueError, match="None of the 1,271 values of `loss` is finite"):
        shown(plane[["loss"]].map(lambda v: v * np.nan, keep_attrs=True))


def test_log_is_chosen_by_decades_and_heights_are_decimal_logarithms(wide, plane):
    layer = shown(wide).layers["loss"]
    assert layer.scale.log
    np.testing.assert_allclose(layer.heights, np.log10(wide["loss"].values), rtol=0, atol=1e-12)
    assert {"0.001", "1", "10⁴"} <= set(layer.ticks)
    assert not shown(plane).layers["loss"].scale.log


def test_values_without_a_logarithm_stand_at_the_floor_and_are_counted(plane):
    ds = plane[["loss"]].copy(deep=True)
    ds["loss"][3, 4] = 0.0
    ds["loss"][5, 6] = -1.0
    layer = shown(ds, log=True).layers["loss"]
    assert np.isfinite(layer.heights).all()
    assert layer.heights[3, 4] == layer.heights[5, 6] == layer.heights.min()
    assert layer.notes[0].startswith("2 of 1,271 points below")
    with pytest.raises(ValueError, match="draw it with log=False"):
        shown(ds.map(lambda v: -abs(v), keep_attrs=True), log=True)


def test_a_constant_surface_has_a_range(plane):
    layer = shown(plane[["loss"]].map(lambda v: v * 0 + 2.0, keep_attrs=True)).layers["loss"]
    assert layer.scale.low < 2.0 < layer.scale.high
    assert (layer.heights == 2.0).all()


def test_every_quantity_is_on_offer_training_before_test(plane):
    prepared = shown(plane)
    assert list(prepared.layers) == ["loss", "accuracy", "test_loss", "test_accuracy"]
    assert list(prepared.others) == ["loss", "test_loss"]  # no logarithm of an accuracy
    assert prepared.shown == ("loss",)
    assert shown(plane, "test_accuracy").shown == ("test_accuracy",)


def test_an_unknown_variable_names_those_there_are(plane):
    with pytest.raises(ValueError, match=r"'f1' is not a quantity of this surface; it has loss, accuracy"):
        shown(plane, "f1")


def test_a_box_asks_to_be_sliced_and_a_slice_is_a_plane(box):
    with pytest.raises(ValueError, match=r"slice it first: ds.isel\(gamma=...\)"):
        shown(box)
    prepared = shown(box.isel(gamma=2))
    np.testing.assert_array_equal(prepared.layers["loss"].values, box["loss"].values[:, :, 2])
    assert prepared.subtitle == "Slice at γ = 0.5"
    assert prepared.layers["loss"].markers == ()  # the model does not lie in this slice
    assert [m.kind for m in shown(box.sel(gamma=0.0)).layers["loss"].markers] == ["model"]


def test_a_line_is_sent_to_profile_and_a_plane_from_profile_to_surface(line, plane):
    with pytest.raises(ValueError, match=r"draw it with figures\.profile"):
        shown(line)
    with pytest.raises(ValueError, match=r"ds.sel\(beta=0, method='nearest'\) or draw it whole with figures.surface"):
        figures.profile(plane, backend="none")


def test_a_path_is_no_surface_and_a_surface_no_path(plane, run_path):
    with pytest.raises(ValueError, match=r"kind 'path', and a surface is needed"):
        shown(run_path)
    with pytest.raises(ValueError, match="one of kind 'path' is needed"):
        shown(plane, path=plane)
    with pytest.raises(ValueError, match="two words for the same argument"):
        shown(plane, path=run_path, trajectory=run_path)
    with pytest.raises(ValueError, match=r"lacks the coordinates \['beta'\]"):
        shown(plane, path=run_path.drop_vars("beta"))


def test_a_path_stands_at_the_loss_at_its_projection_and_at_the_surface_for_other_quantities(plane, run_path):
    run = run_path.assign(projected_loss=run_path["projected_loss"] + 0.5)
    prepared = shown(plane, path=run)
    np.testing.assert_allclose(prepared.layers["loss"].tracks[0].z, run["projected_loss"])
    track = prepared.layers["test_loss"].tracks[0]
    on_surface = plane["test_loss"].interp(alpha=run["alpha"], beta=run["beta"])
    np.testing.assert_allclose(track.z, on_surface)


def test_between_steps_a_path_follows_the_surface(plane, run_path):
    two = run_path.isel(step=[0, -1])
    layer = shown(plane, path=two).layers["loss"]
    x, y, z = layer.tracks[0].line
    assert x.size > 20
    above = z - layer.sheet.height(x, y)
    offsets = layer.tracks[0].z - layer.sheet.height(layer.tracks[0].x, layer.tracks[0].y)
    assert above.min() >= offsets.min() - 1e-9
    assert above.max() <= offsets.max() + 1e-9


def test_a_path_says_its_distance_its_true_loss_and_the_loss_at_its_projection(plane, run_path):
    prepared = shown(plane, path=run_path)
    text = prepared.layers["loss"].tracks[0].text[20]
    for value in (run_path["loss"][20], run_path["projected_loss"][20], run_path["distance"][20]):
        assert scale.number(float(value), 4)[:5] in text
    far, length = float(run_path["distance"].max()), overlay.path_length(run_path)
    assert f"lies up to {far:.3g} from the plane, {100 * far / length:.2g}% of its length" in prepared.subtitle


def test_the_length_of_a_path_counts_its_way_out_of_the_plane():
    run = xr.Dataset(
        {"alpha": ("step", [0.0, 3.0]), "beta": ("step", [0.0, 0.0]), "distance": ("step", [0.0, 4.0])},
        {"step": [0, 1]},
        {"kind": "path", "coordinates": ["alpha", "beta"]},
    )
    assert overlay.path_length(run) == 5.0
    assert overlay.path_length(run.assign_attrs(length=9.0)) == 9.0


def test_steps_off_the_map_are_counted_and_not_put_on_it(plane, run_path):
    run = run_path.assign(alpha=run_path["alpha"] - 0.3)
    prepared = shown(plane, path=run)
    outside = run["alpha"].values < -1
    np.testing.assert_array_equal(np.isnan(prepared.layers["loss"].tracks[0].z), outside)
    assert f"{outside.sum()} of its 40 steps lie outside the map" in prepared.subtitle


def test_a_long_path_is_thinned_and_says_so(plane, run_path):
    long = run_path.interp(step=np.linspace(0, 390, 2001))
    prepared = shown(plane, path=long)
    track = prepared.layers["loss"].tracks[0]
    assert track.x.size <= overlay.MOST_STEPS
    assert (track.x[0], track.x[-1]) == (float(long["alpha"][0]), float(long["alpha"][-1]))
    assert "500 of its 2,001 steps are drawn" in prepared.subtitle


def test_a_path_in_a_box_is_not_taken_for_one_in_the_slice(box, run_path):
    run = run_path.assign(gamma=("step", np.full(40, 0.4))).assign_attrs(coordinates=["alpha", "beta", "gamma"])
    prepared = shown(box.sel(gamma=0.0), path=run)
    track = prepared.layers["loss"].tracks[0]
    np.testing.assert_allclose(track.z, prepared.layers["loss"].sheet.height(track.x, track.y))
    assert "from the box it was projected onto" in prepared.subtitle


def test_the_model_stands_at_its_own_value_and_points_on_the_surface(plane):
    layer = shown(plane, points={"SGD": (0.5, 0.5)}).layers["loss"]
    model, point = layer.markers
    assert (model.x, model.y, model.z) == (0.0, 0.0, plane["loss"].attrs["at_origin"])
    np.testing.assert_allclose(point.z, plane["loss"].interp(alpha=0.5, beta=0.5))
    with pytest.raises(ValueError, match=r"Point 'SGD' is .* a pair \(α, β\) is needed"):
        shown(plane, points={"SGD": (1.0, 2.0, 3.0)})


def test_interpolated_points_are_counted_and_marked(adaptive):
    prepared = shown(adaptive)
    evaluated = int((~adaptive["interpolated"].values).sum())
    assert prepared.subtitle == f"{evaluated} of 1,271 points evaluated, the rest interpolated"
    text = prepared.layers["loss"].text
    assert not text[0, 0].endswith("(interpolated)")
    assert text[1, 1].endswith("(interpolated)")


def test_standard_errors_are_told(plane):
    error = xr.full_like(plane["loss"], 0.02).assign_attrs(role="standard_error", of="loss")
    error.attrs = {"role": "standard_error", "of": "loss"}
    prepared = shown(plane.assign(loss_standard_error=error))
    assert "standard error up to 0.02" in prepared.subtitle
    assert prepared.layers["loss"].text[0, 0].endswith("± 0.02")


def test_axes_are_equal_only_if_their_units_agree(plane):
    assert shown(plane).commensurate
    plane["beta"].attrs["units"] = "radians"
    assert not shown(plane).commensurate
    del plane["beta"].attrs["units"], plane["alpha"].attrs["units"]
    assert not shown(plane).commensurate


def test_titles_come_from_the_dataset(plane):
    prepared = shown(plane)
    assert prepared.title == "ResNet-20 on CIFAR-10"
    assert (prepared.x.label, prepared.y.label) == ("direction α [filter norms]", "direction β [filter norms]")
    assert prepared.layers["accuracy"].title == "Training accuracy"
    assert shown(plane, title="Mine").title == "Mine"


@pytest.mark.parametrize(
    ("low", "high", "log"), [(0.17, 7.25, False), (-4.0, 5.0, True), (-1.1, -0.7, True), (0, 1e-6, False)]
)
def test_levels_are_even_and_inside_the_range_and_refinement_keeps_them(low, high, log):
    s = scale.Scale(log, None, None, low, high)
    coarse = scale.levels(s, 9)
    fine = scale.refine(coarse, s, 20)
    assert 2 <= coarse.size <= 11
    assert (coarse >= low - 1e-9).all()
    assert (coarse <= high + 1e-9).all()
    assert 14 <= fine.size <= 30
    assert all(np.isclose(fine, c, atol=1e-12).any() for c in coarse)


def test_a_quantity_without_a_finite_value_is_left_out_and_named(plane):
    plane["test_loss"][:] = np.nan
    prepared = shown(plane)
    assert "test_loss" not in prepared.layers
    assert "Test loss [nats] has nothing finite to draw" in prepared.subtitle
