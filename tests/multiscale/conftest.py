"""Silicon data of the constitutive tests, labelled once."""

import pytest

from multiscale.dataset import StressStrainData
from multiscale.design import strain_design
from multiscale.symmetry import PointGroup

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
