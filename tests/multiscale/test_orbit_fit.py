"""The least-squares problem of a fit: nothing lost in compression, an exact Jacobian, the same numbers as the law."""

from dataclasses import replace

import numpy as np
import pytest

from multiscale.data.dataset import StressStrainData
from multiscale.fits.matching_pursuit import matching_pursuit
from multiscale.fits.observations import MODEL_ERROR, Observations
from multiscale.fits.orbit_law import law_of, least_squares_problem
from multiscale.fits.orbit_least_squares import OrbitFit
from multiscale.laws.reference_state import ReferenceState
from multiscale.symmetry.point_group import PointGroup


def problem_of(data: StressStrainData, group: PointGroup, *, stress: str = "zero") -> OrbitFit:
    return least_squares_problem(data, group, 3, ReferenceState.of(data, group, stress))  # type: ignore[arg-type]


@pytest.mark.parametrize("labels", ["WPA", "WP", "P", "A", "W"])
@pytest.mark.parametrize("laue", ["m-3m", "-3m"])
def test_jacobian_and_cost(silicon_40: StressStrainData, labels: str, laue: str) -> None:
    data = replace(
        silicon_40,
        energy=silicon_40.energy if "W" in labels else None,
        first_piola=silicon_40.first_piola if "P" in labels else None,
        tangent=silicon_40.tangent if "A" in labels else None,
        first_piola_error=np.full((40, 3, 3), 0.05) if "P" in labels else None,
        reference_tangent=None,
    )
    group = PointGroup.named(laue)
    problem = problem_of(data, group, stress="fit")
    x = np.random.default_rng(0).normal(size=problem.unknowns)
    residual, J = problem.linearisation(x)
    assert np.allclose(residual, problem.residual(x), rtol=1e-10, atol=1e-9)
    h = 1e-6
    differences = np.stack(
        [(problem.residual(x + h * d) - problem.residual(x - h * d)) / (2 * h) for d in np.eye(len(x))], 1
    )
    assert np.abs(J - differences).max() < 1e-7 * np.abs(J).max()

    # the cost is the law's own, up to a constant that no parameter changes
    def cost(parameters: np.ndarray) -> float:
        response = law_of(problem, parameters, data).evaluate(data.deformation_gradient)
        total = 0.0
        for name, prediction in (
            ("energy", response.energy),
            ("first_piola", response.first_piola),
            ("tangent", response.tangent),
        ):
            label = getattr(data, name)
            if label is not None:
                error = 0.05 if name == "first_piola" else 0.0
                variance = error**2 + (MODEL_ERROR[name] * np.sqrt(np.mean(label**2))) ** 2
                total += float(np.sum((prediction - label) ** 2) / variance)
        return total

    def compressed(parameters: np.ndarray) -> float:
        return float(np.sum(problem.residual(parameters)[: problem.observations.count] ** 2))

    other = np.random.default_rng(1).normal(size=problem.unknowns)
    assert cost(x) - cost(other) == pytest.approx(compressed(x) - compressed(other), rel=1e-7)


def test_states_are_compressed_to_28_rows(silicon_40: StressStrainData) -> None:
    observations = Observations.of(silicon_40)
    assert observations.targets.shape == (40, 28)
    stress_only = replace(silicon_40, energy=None, tangent=None)
    assert Observations.of(stress_only).targets.shape == (40, 6)


def test_matching_pursuit_explains_most_of_the_data(silicon_40: StressStrainData, cubic: PointGroup) -> None:
    problem = least_squares_problem(silicon_40, cubic, 12, ReferenceState.of(silicon_40, cubic, "zero"))
    start = matching_pursuit(problem, np.random.default_rng(0))
    hooke = problem.chi_square(np.zeros(problem.unknowns))
    assert problem.chi_square(start) < 0.02 * hooke
    assert np.array_equal(start, matching_pursuit(problem, np.random.default_rng(0)))
