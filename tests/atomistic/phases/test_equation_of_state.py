"""Birch and Murnaghan's equation of state: P, B, H and V are what E says, for all parameters; fits recover them."""

import numpy as np
import pytest
from ase.eos import EquationOfState, birchmurnaghan
from hypothesis import given, settings
from hypothesis import strategies as st

from atomistic.phases import BirchMurnaghan, MinimumNotBracketed, PressureOutOfRange, TooFewVolumes

CURVES = st.builds(
    BirchMurnaghan,
    name=st.just("any"),
    energy0=st.floats(-10.0, 10.0),
    volume0=st.floats(5.0, 40.0),
    bulk_modulus0=st.floats(0.05, 5.0),
    derivative=st.floats(-2.0, 10.0),
    fitted=st.just((1.0, 100.0)),
)


@settings(deadline=None, max_examples=50)
@given(CURVES, st.floats(0.85, 1.1))
def test_pressure_and_bulk_modulus_are_derivatives(curve: BirchMurnaghan, relative: float) -> None:
    V = relative * curve.volume0
    h = 1e-3 * V

    def slope(function: object, V: float) -> float:
        values = [float(function(V + k * h)) for k in (-2, -1, 1, 2)]  # type: ignore[operator]
        return (values[0] - 8.0 * values[1] + 8.0 * values[2] - values[3]) / (12.0 * h)

    assert float(curve.pressure(V)) == pytest.approx(-slope(curve.energy, V), abs=1e-8 * curve.bulk_modulus0)
    assert float(curve.bulk_modulus(V)) == pytest.approx(-V * slope(curve.pressure, V), abs=1e-7 * curve.bulk_modulus0)


@settings(deadline=None, max_examples=50)
@given(CURVES)
def test_parameters_are_what_they_are_called(curve: BirchMurnaghan) -> None:
    V0, h = curve.volume0, 1e-4 * curve.volume0
    assert float(curve.energy(V0)) == curve.energy0
    assert float(curve.pressure(V0)) == 0.0
    assert float(curve.bulk_modulus(V0)) == pytest.approx(curve.bulk_modulus0, rel=1e-14)
    moduli = [float(curve.bulk_modulus(V0 + sign * h)) for sign in (-1.0, 1.0)]
    pressures = [float(curve.pressure(V0 + sign * h)) for sign in (-1.0, 1.0)]
    assert (moduli[1] - moduli[0]) / (pressures[1] - pressures[0]) == pytest.approx(curve.derivative, abs=1e-5)


@settings(deadline=None, max_examples=50)
@given(CURVES, st.floats(0.02, 0.98))
def test_volume_inverts_pressure_on_the_stable_branch(curve: BirchMurnaghan, part: float) -> None:
    smallest, largest = curve.stable_volumes
    smallest = max(smallest, 0.4 * curve.volume0)
    V = smallest + part * (largest - smallest)
    pressure = curve.pressure(np.array([V]))
    # as accurate as P determines V: dV = V dP / B, dP the round-off of P
    roundoff = 1e-13 * (1.0 + abs(pressure[0]) + curve.bulk_modulus0) / float(curve.bulk_modulus(V))
    assert curve.volume(pressure)[0] == pytest.approx(V, rel=1e-12 + roundoff)


@settings(deadline=None, max_examples=50)
@given(CURVES)
def test_bulk_modulus_vanishes_at_the_ends_of_the_stable_branch(curve: BirchMurnaghan) -> None:
    smallest, largest = curve.stable_volumes
    assert 0.0 <= smallest < curve.volume0 < largest
    assert float(curve.bulk_modulus(largest)) == pytest.approx(0.0, abs=1e-9 * curve.bulk_modulus0)
    assert (
        curve.bulk_modulus(np.linspace(max(1.001 * smallest, 0.2 * curve.volume0), 0.999 * largest, 50)) > 0.0
    ).all()
    if curve.derivative < 4.0:
        assert smallest > 0.0
    with pytest.raises(PressureOutOfRange, match="any: no stable volume at"):
        curve.volume(1.01 * float(curve.pressure(largest)))


@settings(deadline=None, max_examples=50)
@given(CURVES, st.floats(-0.02, 0.2))
def test_volume_is_the_slope_of_the_enthalpy(curve: BirchMurnaghan, relative: float) -> None:
    p, h = relative * curve.bulk_modulus0, 1e-5 * curve.bulk_modulus0
    if not float(curve.pressure(curve.stable_volumes[1])) < p - h:
        return
    try:
        curve.volume(p + h)
    except PressureOutOfRange:
        return
    if float(curve.bulk_modulus(curve.volume(p))) < 0.1 * curve.bulk_modulus0:
        return  # dV/dp runs away at the end of the branch
    ends = curve.enthalpy(np.array([p - h, p + h]))
    assert (ends[1] - ends[0]) / (2.0 * h) == pytest.approx(float(curve.volume(p)), rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(CURVES)
def test_fit_recovers_the_curve(curve: BirchMurnaghan) -> None:
    V = curve.volume0 * np.linspace(0.93, 1.05, 8)
    fitted = BirchMurnaghan.fit("any", V[::-1], curve.energy(V)[::-1])
    assert fitted.volume0 == pytest.approx(curve.volume0, rel=1e-6)
    assert fitted.energy0 == pytest.approx(curve.energy0, abs=1e-8)
    assert fitted.bulk_modulus0 == pytest.approx(curve.bulk_modulus0, rel=1e-4)
    assert fitted.derivative == pytest.approx(curve.derivative, abs=0.02)
    assert fitted.fitted == (V.min(), V.max())


def test_agrees_with_ase() -> None:
    V = np.linspace(17.0, 23.0, 9)
    noise = 1e-3 * np.random.default_rng(0).normal(size=9)
    E = birchmurnaghan(V, -4.3, 0.6, 3.4, 20.0) + noise
    fitted = BirchMurnaghan.fit("diamond", V, E)
    by_ase = EquationOfState(V, E, eos="birchmurnaghan").fit()
    assert (fitted.volume0, fitted.energy0, fitted.bulk_modulus0) == pytest.approx(by_ase, rel=1e-5)
    parameters = (fitted.energy0, fitted.bulk_modulus0, fitted.derivative, fitted.volume0)
    np.testing.assert_allclose(fitted.energy(V), birchmurnaghan(V, *parameters), atol=1e-13)
    assert fitted.residual == pytest.approx(np.sqrt(np.mean((fitted.energy(V) - E) ** 2)), rel=1e-9)


def test_fewer_volumes_than_parameters() -> None:
    with pytest.raises(TooFewVolumes, match="diamond: 3 different volumes for 4 parameters"):
        BirchMurnaghan.fit("diamond", [19.0, 20.0, 20.0, 21.0], [-4.2, -4.3, -4.3, -4.2])


@pytest.mark.parametrize(("low", "high", "advice"), [(21.0, 24.0, "smaller"), (16.0, 19.0, "larger")])
def test_minimum_outside_the_volumes(low: float, high: float, advice: str) -> None:
    V = np.linspace(low, high, 6)
    with pytest.raises(MinimumNotBracketed, match=f"diamond: volumes from {low:.4g}.*add {advice} volumes"):
        BirchMurnaghan.fit("diamond", V, birchmurnaghan(V, -4.3, 0.6, 3.4, 20.0))


@pytest.mark.parametrize(
    ("volumes", "energies", "message"),
    [
        ([1.0, 2.0], [1.0], "volumes of shape"),
        ([1.0, 2.0, 3.0, np.nan], [1.0] * 4, "must be finite"),
        ([-1.0, 2.0, 3.0, 4.0], [1.0] * 4, "must be finite and volumes positive"),
    ],
)
def test_unusable_numbers(volumes: list[float], energies: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BirchMurnaghan.fit("diamond", volumes, energies)
