"""Networks and elastic constants ranked by states left out, and where there is nothing to rank by."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from fem.laws import NeoHooke
from multiscale.classical import Gent, IsotropicLaw
from multiscale.classical.models import classical_models
from multiscale.data.dataset import InvalidData, StressStrainData
from multiscale.fits.state_ranking import ModelCandidate, NetworkCandidate, PolynomialCandidate, rank_on_states
from multiscale.laws.reference_state import FitError
from multiscale.measured.ranking import Extrapolation, NothingLeft
from multiscale.symmetry.material_symmetry import InfiniteGroup
from multiscale.symmetry.point_group import PointGroup

from .random_laws import random_strains

ISOTROPIC = InfiniteGroup("isotropic")


def test_silicon(silicon_40: StressStrainData, cubic: PointGroup) -> None:
    data = replace(silicon_40, tangent=None)
    candidates = [
        PolynomialCandidate(cubic, 2),
        NetworkCandidate(cubic, "polyconvex", neurons=1, starts=1),
        PolynomialCandidate(cubic, 3),
        NetworkCandidate(cubic, neurons=6, starts=2),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranking = rank_on_states(candidates, data, np.arange(40) % 5 == 0, seed=0, name="every fifth")
    names = [standing.name for standing in ranking.standings]
    assert names[:2] == ["free network, m-3m", "elastic constants to 3, m-3m"]
    errors = [standing.error for standing in ranking.standings]
    assert errors == sorted(errors) and errors[0] < 0.02 < errors[1] < errors[2] < 0.5
    assert "error on every fifth" in str(ranking).splitlines()[0]


def test_an_isotropic_material_and_states_that_cannot_be_supported() -> None:
    F = np.concatenate([random_strains(0, 60, largest=0.1), random_strains(1, 20, largest=0.2)])
    data = StressStrainData(F, first_piola=NeoHooke(mu=1.0, lmbda=2.0).evaluate(F).first_piola)
    candidates = [
        PolynomialCandidate(ISOTROPIC, 2),
        NetworkCandidate(ISOTROPIC, neurons=2, starts=4),
        NetworkCandidate(ISOTROPIC, "polyconvex", neurons=2, starts=2),
        NetworkCandidate(ISOTROPIC, neurons=500),
    ]
    large = np.arange(80) >= 60
    with pytest.warns(Extrapolation, match=r"states left out are farther from every fitted state"):
        ranking = rank_on_states(candidates, data, large, seed=0)
    assert ranking.unsupported > 0.1
    first, second, third, last = ranking.standings
    assert {first.name, second.name} == {"free network, isotropic", "polyconvex network, isotropic"}
    assert second.error < 0.05 < third.error and third.name == "elastic constants to 2, isotropic"
    assert last.law is None and last.remark.startswith("not fitted: ")


def test_refusals(silicon_40: StressStrainData, cubic: PointGroup) -> None:
    candidates = [PolynomialCandidate(cubic)]
    for flags in (np.zeros(40, dtype=bool), np.ones(40, dtype=bool)):
        with pytest.raises(NothingLeft, match=r"of 40 admissible states are left out"):
            rank_on_states(candidates, silicon_40, flags, seed=0)
    with pytest.raises(NothingLeft, match=r"left_out has shape \(3,\), expected \(40,\)"):
        rank_on_states(candidates, silicon_40, np.zeros(3, dtype=bool), seed=0)
    with pytest.raises(InvalidData, match="no first_piola"):
        rank_on_states(candidates, replace(silicon_40, first_piola=None), np.arange(40) < 5, seed=0)


def test_classical_models_on_states() -> None:
    """A law is found again among the others from the stress of states of any volume; a sign that is wrong is refused."""
    F = random_strains(3, 40, largest=0.25)
    true = IsotropicLaw(Gent(0.4, 3.0), 2.0)
    data = StressStrainData(F, first_piola=true.evaluate(F).first_piola)
    models = {model.name: ModelCandidate(model) for model in classical_models()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Extrapolation)
        ranking = rank_on_states(list(models.values()), data, np.arange(40) % 4 == 0, seed=0)
    assert ranking.standings[0].name == "Gent" and ranking.standings[0].error < 1e-6
    law = ranking.standings[0].law
    assert isinstance(law, IsotropicLaw) and law.bulk_modulus == pytest.approx(2.0, rel=1e-5)
    assert len(ranking.standings) == 8 and ranking.standings[-1].error > 0.01
    turned = replace(data, first_piola=-data.labels("first_piola"))
    with pytest.raises(FitError, match=r"takes the moduli -.* expected both > 0"):
        models["neo-Hooke"].fit_states(turned, seed=0)
