"""Ranking by a kind of test left out: on Treloar's rubber, and where there is nothing to rank by."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from fem.law import Law
from multiscale.classical import Gent, IsotropicLaw
from multiscale.classical.models import Model, classical_models
from multiscale.laws.reference_state import FitError
from multiscale.measured.measured_test import MeasuredTest
from multiscale.measured.ranking import Extrapolation, NothingLeft, extrapolated, rank

from .rubber import synthetic, treloar

MODELS: dict[str, Model] = {model.name: model for model in classical_models()}
QUICK = [MODELS[name] for name in ("neo-Hooke", "Mooney-Rivlin", "Gent", "Carroll")]


def test_treloars_rubber_by_its_planar_test() -> None:
    """Uniaxial and equibiaxial tension bracket planar tension, so nothing is extrapolated. Carroll's law was made for these data; a law
    without upturn cannot follow them; the order of the fits is not that of the predictions."""
    tests = [treloar("uniaxial"), treloar("planar").in_unit("kPa"), treloar("equibiaxial")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranking = rank(QUICK, tests, left_out="planar", seed=0)
    assert ranking.unsupported == 0.0
    assert [standing.name for standing in ranking.standings][:2] == ["Carroll", "Gent"]
    errors = [standing.error for standing in ranking.standings]
    assert errors == sorted(errors) and errors[0] < 0.05 and errors[-1] > 0.5
    assert str(ranking).splitlines()[1].startswith("Carroll")


def test_what_the_data_cannot_support_is_said() -> None:
    tests = [treloar("uniaxial"), treloar("equibiaxial")]
    with pytest.warns(
        Extrapolation, match=r"points of the equibiaxial tests reach states .* outside those of the fitted tests"
    ):
        ranking = rank([MODELS["neo-Hooke"], MODELS["Mooney-Rivlin"]], tests, left_out="equibiaxial", seed=0)
    assert ranking.unsupported > 0.4
    # the better fit is by far the worse prediction
    neo_hooke, mooney = ranking.standings
    assert (neo_hooke.name, mooney.name) == ("neo-Hooke", "Mooney-Rivlin")
    assert mooney.fitted_error < neo_hooke.fitted_error and mooney.error > 10.0 * neo_hooke.error


def test_small_strains_of_any_kind_support_each_other() -> None:
    x = np.linspace(1.0, 1.03, 5)
    uniaxial, equibiaxial = (MeasuredTest(kind, x, x, "MPa") for kind in ("uniaxial", "equibiaxial"))  # type: ignore[arg-type]
    assert not extrapolated([MeasuredTest("uniaxial", x * 2.0, x, "MPa")], [equibiaxial]).any()
    assert extrapolated([uniaxial], [MeasuredTest("uniaxial", x * 2.0, x, "MPa")]).all()


@dataclass
class Stubborn:
    """A candidate that always says the same, or nothing."""

    law: Law | None
    name: str = "stubborn"

    def fit(self, tests: Sequence[MeasuredTest], *, seed: int) -> Law:
        if self.law is None:
            raise FitError("it will not")
        return self.law


def test_any_candidate_takes_part_and_failures_come_last() -> None:
    true = IsotropicLaw(Gent(0.4, 90.0))  # Yeoh's three terms are near it and do not contain it
    tests = [synthetic(true, "uniaxial"), synthetic(true, "planar")]
    with pytest.warns(Extrapolation):
        ranking = rank([Stubborn(None), MODELS["Yeoh"], Stubborn(true, "the truth")], tests, left_out="planar", seed=0)
    assert [s.name for s in ranking.standings] == ["the truth", "Yeoh", "stubborn"]
    assert ranking.standings[0].error < 1e-14 < 1e-9 < ranking.standings[1].error and ranking.standings[2].error == np.inf
    assert "not fitted: it will not" in str(ranking)
    # a law that locks before the stretches asked for has no answer
    locked = IsotropicLaw(Gent(0.4, 10.0))
    with pytest.warns(Extrapolation):
        stuck = rank(
            [Stubborn(true), Stubborn(locked)],
            [tests[0], treloar("planar"), treloar("equibiaxial")],
            left_out="planar",
            seed=0,
        )
    assert stuck.standings[1].error == np.inf and "no answer: Ibar1 - 3 = " in stuck.standings[1].remark


def test_refusals() -> None:
    tests = [treloar("uniaxial"), treloar("planar")]
    with pytest.raises(NothingLeft, match="'equibiaxial' cannot be left out of tests that are planar, uniaxial"):
        rank(QUICK, tests, left_out="equibiaxial", seed=0)
    with pytest.raises(NothingLeft, match="cannot be left out of tests that are uniaxial"):
        rank(QUICK, tests[:1], left_out="uniaxial", seed=0)
    with pytest.raises(NothingLeft, match="no tests"):
        rank(QUICK, [], left_out="uniaxial", seed=0)
