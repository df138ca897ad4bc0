"""One module for every front end, and arrays that JSON carries without loss."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from thalweg.apps.widgets import HandFit, Instrument, Tangent, packed, unpacked
from thalweg.apps.widgets.instrument import look, module


@given(arrays.arrays(st.sampled_from([np.float32, np.float64]), arrays.array_shapes(max_dims=3, min_side=0)))
def test_a_packed_array_comes_back_bit_by_bit(values):
    back = unpacked(json.loads(json.dumps(packed(values))))
    assert back.dtype == values.dtype
    assert back.shape == values.shape
    assert back.tobytes() == values.tobytes()


def test_whole_numbers_and_truths_are_packed_as_numbers():
    assert unpacked(packed([True, False])).tolist() == [1.0, 0.0]
    assert unpacked(packed(np.arange(3))).dtype == np.float64


def test_a_module_begins_with_the_shared_helpers_and_exports_once():
    source = module("tangent.js")
    assert source.index("class Stage") < source.index("class Sampled")
    assert source.count("export default") == 1


def test_a_script_that_exports_nothing_is_refused():
    with pytest.raises(ValueError, match=r"draw\.js must end with `export default"):
        module("draw.js")


def test_a_page_holds_the_state_and_asks_for_nothing_else(tmp_path):
    file = Tangent(x=0.25, moved=-1.5).standalone(tmp_path / "page.html", title="A <tangent>")
    text = file.read_text()
    assert "<title>A &lt;tangent&gt;</title>" in text
    state = json.loads(text.split('<script id="state" type="application/json">')[1].split("</script>")[0])
    assert (state["x"], state["moved"], state["theme"]) == (0.25, -1.5, "auto")
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_a_page_goes_into_a_folder_that_is_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        Tangent().standalone(tmp_path / "nowhere" / "page.html")


def test_light_and_dark_have_the_same_colours_by_name():
    assert look()["light"].keys() == look()["dark"].keys()


def test_every_instrument_knows_the_look():
    assert Instrument.class_traits()["look"].default() == look()


def test_a_page_that_hangs_up_ends_the_instrument_and_its_logger():
    """A cell that runs again closes the channel to the page, and nothing else."""

    class Sink:
        closed = False

        def log(self, step, values): ...

        def close(self):
            self.closed = True

    sink = Sink()
    fit = HandFit(sink=sink)
    fit.move([1.0, 1.0])
    fit.comm.close()
    assert sink.closed
    assert (fit.comm, fit.tasks, fit.history) == (None, {}, [])


def test_who_closes_an_instrument_keeps_its_record():
    fit = HandFit()
    fit.move([1.0, 1.0])
    fit.close()
    assert len(fit.history) == 1
