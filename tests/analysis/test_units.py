"""Numbers as people read them."""

import pytest

from analysis.units import axis_scale, percent, prefix, quantity


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (20_772_760, "OPs", "20.8 M OPs"),
        (180e6, "OPs", "180 M OPs"),
        (999.0, "OPs", "999 OPs"),
        (1820e6, "", "1.82 G"),
        (1_234_567, "B", "1.23 MB"),
        (999_999_999, "", "1.00 G"),
        (332353674695147520, "", "3.32e+17"),
        (999_999, "B", "1.00 MB"),
        (0, "B", "0 B"),
        (float("nan"), "B", "-"),
    ],
)
def test_quantities(value, unit, text):
    assert quantity(value, unit) == text


def test_percent():
    assert (percent(0.6954), percent(1), percent(float("nan"))) == ("69.54 %", "100.00 %", "-")


def test_axes_choose_their_unit():
    assert prefix(900e3) == (1e3, "K")
    assert axis_scale("ops", 900e3).label == "operations (K OPs)"
    assert axis_scale("bytes", 9e6).label == "size (MB)"
    assert axis_scale("params", 9e6).label == "parameters (M)"
    assert axis_scale("params", 9).label == "parameters"
    assert axis_scale("loss", 9).label == "loss (nats)"
    assert axis_scale("accuracy", 0.9).factor == 0.01
