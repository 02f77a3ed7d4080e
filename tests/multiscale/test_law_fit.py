"""One entry for all modes and symmetries: which law comes out, and what it refuses."""

import numpy as np
import pytest

from fem.laws import NeoHooke
from multiscale.data.dataset import StressStrainData
from multiscale.fits.fit import fit, symmetry_named
from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.polyconvex_network import PolyconvexLaw
from multiscale.laws.reference_state import FitError
from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup, UnknownPointGroup

from .random_laws import random_strains

CUBIC, ISOTROPIC = PointGroup.named("m-3m"), InfiniteGroup("isotropic")


@pytest.fixture(scope="module")
def data() -> StressStrainData:
    F = random_strains(0, 30, largest=0.1)
    response = NeoHooke(mu=1.0, lmbda=2.0).evaluate(F)
    return StressStrainData(F, energy=response.energy, first_piola=response.first_piola)


@pytest.mark.parametrize(
    ("symmetry", "mode", "kind"),
    [
        (CUBIC, "free", OrbitLaw),
        (CUBIC, "penalised", OrbitLaw),
        (CUBIC, "polyconvex", PolyconvexLaw),
        (ISOTROPIC, "free", InvariantLaw),
        (ISOTROPIC, "penalised", InvariantLaw),
        (ISOTROPIC, "polyconvex", PolyconvexLaw),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_law_of_each_mode(symmetry: MaterialSymmetry, mode: str, kind: type, data: StressStrainData) -> None:
    told: list[float] = []
    law = fit(data, symmetry, mode=mode, neurons=1, starts=1, progress=lambda fraction, message: told.append(fraction))  # type: ignore[arg-type]
    assert isinstance(law, kind)
    assert law.elastic_constants()[3, 3] == pytest.approx(1.0, rel=0.1)
    assert told[-1] == 1.0 and told == sorted(told)


def test_default_sizes(data: StressStrainData) -> None:
    assert len(fit(data, ISOTROPIC, starts=1).biases) == 6
    assert len(fit(data, CUBIC, starts=1).biases) == 12


def test_refusals(data: StressStrainData) -> None:
    with pytest.raises(FitError, match="mode is 'convex', expected one of free, penalised, polyconvex"):
        fit(data, CUBIC, mode="convex")  # type: ignore[arg-type]
    with pytest.raises(FitError, match="reference_stress is 'fit' with mode 'polyconvex'"):
        fit(data, CUBIC, mode="polyconvex", reference_stress="fit")


def test_symmetries_by_name() -> None:
    assert symmetry_named("6/mmm").name == "6/mmm"
    fibres = symmetry_named("transversely isotropic", (0.0, 3.0, 4.0))
    assert isinstance(fibres, InfiniteGroup) and np.allclose(fibres.axis, (0.0, 0.6, 0.8))
    with pytest.raises(UnknownPointGroup, match="'cubic' is not known"):
        symmetry_named("cubic")
