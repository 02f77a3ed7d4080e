"""What a law expects to miss where nobody labelled: close to what it does miss, and a warning where its states leave a hole."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from fem.laws import NeoHooke
from multiscale.data.dataset import StressStrainData
from multiscale.fits.fit import Mode, fit
from multiscale.fits.orbit_law import fit_orbit_law
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.sampling.design import informative_design, strain_design
from multiscale.symmetry.material_symmetry import InfiniteGroup
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.expected_error import DesignHole, ExpectedError, expected_error, warn_of_hole

from .random_laws import random_law
from .stillinger_weber import silicon_data


def ratio(law: OrbitLaw, held_out: StressStrainData) -> float:
    """Expected over true error where trust is 1."""
    F, P = held_out.deformation_gradient, held_out.labels("first_piola")
    response, expected = law.evaluate(F, tangent=False, trust=True), expected_error(law)
    assert response.trust is not None and expected is not None
    missed = response.first_piola - P
    return float(expected.inside * np.mean(P**2) / np.mean(missed[response.trust == 1.0] ** 2))


def fitted(F: np.ndarray, cubic: PointGroup, seed: int, starts: int = 8) -> OrbitLaw:
    data = silicon_data(F)
    return fit_orbit_law(replace(data.select(data.admissible), tangent=None), cubic, seed=seed, starts=starts)


def test_a_chosen_design_makes_no_hole_and_the_error_is_as_expected(
    silicon_held_out: StressStrainData, cubic: PointGroup
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DesignHole)
        law = fitted(informative_design(30, 0.06, cubic, 7), cubic, 7, starts=2)
    assert 0.2 < ratio(law, silicon_held_out) < 5.0
    found = expected_error(law)
    assert found is not None and found.outside < 0.03 and found.everywhere < 3.0 * found.inside
    assert f"expected {found.inside:.2g} where trust is 1" in law.provenance["fit"]


@pytest.mark.parametrize("mode", ["free", "polyconvex"])
def test_laws_of_every_kind_say_what_is_expected(mode: Mode) -> None:
    material, isotropic = NeoHooke(mu=1.0, lmbda=2.0), InfiniteGroup("isotropic")
    F, unseen = strain_design(60, 0.15, seed=0), strain_design(200, 0.15, seed=1)
    data = StressStrainData(F, first_piola=material.evaluate(F).first_piola)
    law = fit(data, isotropic, mode=mode, neurons=3, starts=2)
    found, P = expected_error(law), material.evaluate(unseen).first_piola
    response = law.evaluate(unseen, trust=True)
    assert found is not None and response.trust is not None
    inside = response.trust == 1.0
    true = np.mean((response.first_piola - P)[inside] ** 2) / np.mean(P**2)
    assert 0.2 < found.inside / true < 5.0
    # states drawn from the same box are outside as often
    assert abs(found.outside - np.mean(~inside)) < 0.05
    assert f"expected {found.inside:.2g} where trust is 1" in law.provenance["fit"]


def test_a_hole_is_said(silicon_40: StressStrainData, cubic: PointGroup) -> None:
    # no state compressed along a cube axis: the box of the others reaches there all the same
    F = silicon_40.deformation_gradient
    away = np.linalg.eigvalsh(np.swapaxes(F, 1, 2) @ F)[:, 0] > 0.88
    with pytest.warns(DesignHole, match=r"leave out \d+ % of the box .*informative_design"):
        law = fit_orbit_law(replace(silicon_40.select(away), tangent=None), cubic, neurons=6, starts=2)
    found = expected_error(law)
    assert found is not None and found.outside > 0.05


def test_the_border_of_the_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_hole(ExpectedError(1e-6, 4.9e-6, 0.2))
    with pytest.warns(DesignHole):
        warn_of_hole(ExpectedError(1e-6, 5.1e-6, 0.02))


def test_a_law_that_was_not_fitted_expects_nothing(cubic: PointGroup) -> None:
    assert expected_error(random_law(cubic, 0)) is None


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_any_seed(seed: int, chosen: bool, silicon_held_out: StressStrainData, cubic: PointGroup) -> None:
    """A hole may be there or not: inside, the error is small and as expected; where there is none, everywhere.

    Measured: expected over true 0.63 to 1.40 for chosen designs. For Sobol's 0.18 to 1.30, since two of the 190 states inside, beside
    the hole, hold up to half of the true mean square; at the typical state (ratio of medians) it is 0.87 to 1.71 for both.
    """
    F = informative_design(40, 0.06, cubic, seed) if chosen else strain_design(40, 0.06, seed)
    law = fitted(F, cubic, seed)
    held_out = silicon_held_out.deformation_gradient
    response = law.evaluate(held_out, trust=True)
    assert response.trust is not None
    inside = response.trust == 1.0
    missed = response.first_piola - silicon_held_out.labels("first_piola")
    size = np.mean(silicon_held_out.labels("first_piola") ** 2)
    assert np.mean(missed[inside] ** 2) < 2e-6 * size
    typical, bar = (np.median(np.square(of[inside]).sum(axis=(1, 2))) for of in (missed, law.stress_error(held_out)))
    assert 0.5 < bar / typical < 2.0
    assert (0.5 if chosen else 0.15) < ratio(law, silicon_held_out) < 2.0
    if chosen:
        assert np.mean(missed**2) < 2e-6 * size
