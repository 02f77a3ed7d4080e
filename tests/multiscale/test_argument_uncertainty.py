"""Error bars of invariant and polyconvex laws: exact derivatives, symmetry, coverage, constants, files, and trust in C."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from atomistic.network_file import NetworkFileError
from fem.laws import NeoHooke
from multiscale.data.dataset import StressStrainData
from multiscale.fits.argument_forms import InvariantForm, PolyconvexForm
from multiscale.fits.argument_least_squares import ArgumentFit
from multiscale.fits.fit import fit
from multiscale.fits.invariant_law import scales
from multiscale.laws.files import load_fitted_law
from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.polyconvex_network import PolyconvexLaw
from multiscale.laws.reference_state import ReferenceState
from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.argument_uncertainty import ArgumentUncertainty
from multiscale.trust.posterior import DEVIATIONS, InvalidUncertainty

from .random_laws import random_rotations, random_strains

ISOTROPIC = InfiniteGroup("isotropic")
FIBRES = InfiniteGroup("transversely isotropic", (0.0, 0.6, 0.8))
MATERIAL = NeoHooke(mu=1.0, lmbda=2.0)
MODES = ("free", "polyconvex")


def states(seed: int, count: int, noise: float = 0.0) -> StressStrainData:
    """Neo-Hooke, with noise on P of which the states know."""
    F = random_strains(seed, count, largest=0.15)
    P = MATERIAL.evaluate(F).first_piola
    if noise == 0.0:
        return StressStrainData(F, first_piola=P)
    sigma = noise * float(np.sqrt(np.mean(P**2)))
    noisy = P + sigma * np.random.default_rng(seed).normal(size=P.shape)
    return StressStrainData(F, first_piola=noisy, first_piola_error=np.full(P.shape, sigma))


@cache
def law_of(mode: str) -> InvariantLaw | PolyconvexLaw:
    law = fit(states(0, 60), ISOTROPIC, mode=mode, neurons=2, starts=2, seed=0)  # type: ignore[arg-type]
    assert isinstance(law, InvariantLaw | PolyconvexLaw)
    return law


def problem_of(mode: str, symmetry: MaterialSymmetry) -> ArgumentFit:
    data = states(0, 8)
    observations, s, K = scales(data, ISOTROPIC)
    F = data.deformation_gradient
    form: InvariantForm | PolyconvexForm
    if mode == "free":
        form = InvariantForm(F, symmetry, ReferenceState.of(data, symmetry, "fit"), s, K)
    else:
        form = PolyconvexForm(F, symmetry, s)
    return ArgumentFit(observations, form, 2, strain_scale=s, stiffness_scale=K, prior=3.0)


@pytest.mark.parametrize("symmetry", [ISOTROPIC, FIBRES, PointGroup.named("-3m")], ids=lambda group: group.name)
@pytest.mark.parametrize("mode", MODES)
def test_derivatives_are_those_of_the_problem(mode: str, symmetry: MaterialSymmetry) -> None:
    problem, h = problem_of(mode, symmetry), 1e-6
    x, F = np.random.default_rng(0).normal(size=problem.unknowns), random_strains(3, 3)
    posterior = replace(
        ArgumentUncertainty.of(problem, x, states(0, 8), np.zeros((8, 3, 3)), np.zeros((0, len(x)))),
        factor=np.eye(len(x)),
    )
    there = problem.at(F)

    def stress(parameters: np.ndarray) -> np.ndarray:
        components = there.residual(parameters)[: 28 * 3].reshape(3, 28)[:, 1:7]
        return F @ components[:, [[0, 5, 4], [5, 1, 3], [4, 3, 2]]]

    differences = np.stack([(stress(x + h * d) - stress(x - h * d)) / (2 * h) for d in np.eye(len(x))], axis=3)
    assert np.abs(posterior.stress_derivatives(F) - differences).max() < 1e-7 * np.abs(differences).max()


@pytest.mark.parametrize("mode", MODES)
def test_nine_of_ten_intervals_cover(mode: str) -> None:
    law, unseen = law_of(mode), states(1, 400)
    F = unseen.deformation_gradient
    trusted = law.evaluate(F, trust=True).trust
    assert trusted is not None
    inside = trusted == 1.0
    missed = np.abs(law.evaluate(F).first_piola - unseen.labels("first_piola"))
    covered = missed < DEVIATIONS * law.stress_error(F)
    assert 0.82 <= covered[inside].mean() <= 0.98
    assert law.uncertainty is not None and law.uncertainty.left_out < 1e-4


@pytest.mark.parametrize(("mode", "neurons"), [("free", 3), ("polyconvex", 1)])
def test_stated_errors_are_believed(mode: str, neurons: int) -> None:
    """Constants from noisy stresses lie within two standard errors of the true ones, where the network can express the material."""
    off = []
    for seed in range(5):
        law = fit(states(seed, 40, noise=0.05), ISOTROPIC, mode=mode, neurons=neurons, starts=2, seed=seed)  # type: ignore[arg-type]
        assert isinstance(law.uncertainty, ArgumentUncertainty)
        bar, C = law.uncertainty.constants_error(), law.elastic_constants()
        assert 0.0 < bar[3, 3] < 0.2 and 0.0 < bar[0, 1] < 0.5
        off += [abs(C[3, 3] - 1.0) / bar[3, 3], abs(C[0, 1] - 2.0) / bar[0, 1]]
    assert np.mean(np.array(off) < 2.0) >= 0.8


@pytest.mark.parametrize("mode", MODES)
def test_symmetry_and_objectivity(mode: str) -> None:
    law, rng = law_of(mode), np.random.default_rng(0)
    F = random_strains(5, 6)
    size = np.linalg.norm(law.stress_error(F), axis=(1, 2))
    turned = random_rotations(rng, 6) @ F @ random_rotations(rng, 6)
    np.testing.assert_allclose(np.linalg.norm(law.stress_error(turned), axis=(1, 2)), size, rtol=1e-6)
    # energy and stress are known at F = I
    assert law.stress_error(np.eye(3)[None]).max() < 1e-12


@pytest.mark.parametrize("mode", MODES)
def test_files_and_c(mode: str, tmp_path: Path) -> None:
    law, F = law_of(mode), random_strains(7, 5)
    law.save(tmp_path / "law.safetensors")
    again = load_fitted_law(tmp_path / "law.safetensors")
    np.testing.assert_array_equal(again.stress_error(F), law.stress_error(F))
    assert again.uncertainty is not None and law.uncertainty is not None
    assert again.uncertainty.left_out == law.uncertainty.left_out
    assert law.gauge is not None
    if law.backend == "c":
        np.testing.assert_allclose(law.evaluate(F, trust=True).trust, law.gauge.trust(F), rtol=1e-10)
    broken = replace(law)
    object.__setattr__(broken, "uncertainty", replace(law.uncertainty))
    object.__setattr__(broken.uncertainty, "factor", law.uncertainty.factor[:-1])
    broken.save(tmp_path / "broken.safetensors")
    with pytest.raises(NetworkFileError, match="no consistent law"):
        load_fitted_law(tmp_path / "broken.safetensors")


def test_refusals() -> None:
    found = law_of("free").uncertainty
    assert found is not None
    with pytest.raises(InvalidUncertainty, match="expected them positive"):
        replace(found, strain_scale=0.0)
    with pytest.raises(InvalidUncertainty, match="parameters and factor of shapes"):
        replace(found, parameters=found.parameters[:-1])
