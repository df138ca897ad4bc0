"""The demo of a network: everything it measures is in its study and in its report."""

import pytest

import thalweg as tw
from thalweg.apps.demo import demo


@pytest.mark.slow
def test_the_demo_trains_measures_connects_and_reports(tmp_path):
    said = []
    made = demo(tmp_path / "d", points=11, epochs=6, say=said.append)
    study = tw.open_study(made.study)
    surface = study["surface/random"].to_dataset()
    assert surface.test_accuracy.attrs["at_origin"] > 0.9
    path = study["path/principal"].to_dataset()
    assert float(path.loss[0]) > 2.0
    assert float(path.loss[-1]) < 0.5
    heights = {way: study[f"barrier/bezier/{way}"].to_dataset().barrier for way in ("segment", "curve")}
    straight, learned = (float(height.sel(quantity="loss")) for height in heights.values())
    assert straight > 0.3
    assert learned < 0.1 * straight
    theory = study["random_walk/principal"]["theory"]
    assert float(theory[0]) == pytest.approx(6 / 3.14159265**2, rel=0.01)
    page = made.page.read_text()
    for heading in ("The surface around the model", "Between two solutions", "The run beside a random walk"):
        assert heading in page
    assert "could not be drawn" not in page
    with pytest.raises(FileExistsError, match="already holds"):
        demo(tmp_path / "d")
