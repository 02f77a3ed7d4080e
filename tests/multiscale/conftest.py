"""Silicon data of the constitutive tests, labelled once; shapes checked at run time in the modules that compute."""

# ruff: noqa: E402  the hook comes before the modules that it instruments
import pytest
from jaxtyping import install_import_hook

# those that check a user's input themselves are left alone: their own errors are under test
COMPUTING = (
    "laws.strain",
    "symmetry.point_group",
    "sampling.design",
    "fits.observations",
    "fits.orbit_least_squares",
    "laws.network_terms",
    "trust.gauge",
    "fits.levenberg_marquardt",
)
COMPUTING += (
    "classical.isotropic",
    "classical.crystal_fit",
    "measured.specimen",
    "data.closed_cycles",
    "data.stress_measures",
)
COMPUTING += ("thermal.least_squares", "thermal.standard_error")
install_import_hook([f"multiscale.{name}" for name in COMPUTING], "beartype.beartype")

from multiscale.data.dataset import StressStrainData
from multiscale.sampling.design import strain_design
from multiscale.symmetry.point_group import PointGroup

from .stillinger_weber import silicon_data


@pytest.fixture(scope="session")
def silicon_40() -> StressStrainData:
    return silicon_data(strain_design(40, 0.06, seed=0))


@pytest.fixture(scope="session")
def silicon_held_out() -> StressStrainData:
    return silicon_data(strain_design(200, 0.06, seed=1000))


@pytest.fixture(scope="session")
def cubic() -> PointGroup:
    return PointGroup.named("m-3m")
