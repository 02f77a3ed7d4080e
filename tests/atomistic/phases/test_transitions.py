"""Transitions: the pressure of equal enthalpies is the slope of the common tangent, found by two computations that share no step."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from atomistic.phases import (
    BirchMurnaghan,
    NoCommonTangent,
    PressureOutOfRange,
    common_tangent,
    equal_enthalpy,
    ranking,
    stable_phases,
)


def curve(name: str, energy0: float, volume0: float, modulus: float = 0.6, derivative: float = 4.0) -> BirchMurnaghan:
    return BirchMurnaghan(name, energy0, volume0, modulus, derivative, (0.7 * volume0, 1.1 * volume0))


@settings(deadline=None, max_examples=30)
@given(
    energy=st.floats(0.05, 0.5),
    volume=st.floats(13.0, 18.0),
    modulus=st.floats(0.4, 2.0),
    derivative=st.floats(3.0, 6.0),
)
def test_equal_enthalpy_is_the_common_tangent(energy: float, volume: float, modulus: float, derivative: float) -> None:
    open_phase, dense = curve("open", 0.0, 20.0), curve("dense", energy, volume, modulus, derivative)
    try:
        found = equal_enthalpy(open_phase, dense)
    except NoCommonTangent:
        assume(False)
    own, other = found.volumes
    E, p = (open_phase.energy(own), dense.energy(other)), found.pressure
    chord = float(E[1] - E[0]) / (other - own)
    assert p == pytest.approx(-chord, rel=1e-9)  # the line through both points has the slope of both curves
    assert float(open_phase.pressure(own)) == pytest.approx(p, rel=1e-10)
    assert float(dense.pressure(other)) == pytest.approx(p, rel=1e-10)
    assert found.enthalpy == pytest.approx(float(dense.enthalpy(p)), abs=1e-12)
    if found.phases == ("open", "dense"):
        touching = common_tangent(open_phase, dense)
        assert touching.pressure == pytest.approx(p, rel=1e-9)
        assert touching.volumes == pytest.approx(found.volumes, rel=1e-9)
        swapped = common_tangent(dense, open_phase)
        assert swapped.phases == touching.phases and swapped.pressure == pytest.approx(p, rel=1e-9)


def test_equal_curves_but_for_a_shift_have_the_known_tangent() -> None:
    """E(V) = E0 + f(V) and the same curve stretched: at p = 0 two phases of equal energy meet, whatever their volumes."""
    found = equal_enthalpy(curve("a", -1.0, 20.0), curve("b", -1.0, 15.0))
    assert found.pressure == pytest.approx(0.0, abs=1e-12)
    assert found.volumes == pytest.approx((20.0, 15.0), rel=1e-10)


def test_sequence_of_phases_is_the_lower_envelope() -> None:
    curves = [curve("c", 0.60, 13.0), curve("a", 0.0, 20.0), curve("b", 0.25, 16.0), curve("never", 0.9, 17.0)]
    found = stable_phases(curves)
    assert [one.phases for one in found] == [("a", "b"), ("b", "c")]
    assert 0.0 < found[0].pressure < found[1].pressure
    by_name = {one.name: one for one in curves}
    for p in np.linspace(0.0, 0.15, 31):
        stable = "a" if p < found[0].pressure else "b" if p < found[1].pressure else "c"
        enthalpies = {}
        for name, one in by_name.items():
            try:
                enthalpies[name] = float(one.enthalpy(p))
            except PressureOutOfRange:
                continue
        assert min(enthalpies, key=lambda name: enthalpies[name]) == stable
    assert list(ranking(curves)) == ["a", "b", "c", "never"]
    assert ranking(curves)["b"] == pytest.approx(0.25)


@pytest.mark.parametrize("find", [equal_enthalpy, common_tangent])
def test_no_common_tangent(find: object) -> None:
    with pytest.raises(NoCommonTangent, match=r"diamond and fcc have no common tangent.*enthalpy of fcc stays above"):
        find(curve("diamond", 0.0, 20.0), curve("fcc", 1.5, 19.0))  # type: ignore[operator]


def test_no_pressure_in_common() -> None:
    stretched = BirchMurnaghan("stretched", 0.0, 20.0, 0.6, 4.0, (20.5, 21.5))
    squeezed = BirchMurnaghan("squeezed", 0.3, 16.0, 0.6, 4.0, (14.0, 15.5))
    with pytest.raises(NoCommonTangent, match="nothing in common; give other volumes"):
        equal_enthalpy(stretched, squeezed)


def test_same_name_twice() -> None:
    with pytest.raises(ValueError, match="each name once"):
        ranking([curve("a", 0.0, 20.0), curve("a", 0.1, 19.0)])
    with pytest.raises(ValueError, match="at least one"):
        stable_phases([])
