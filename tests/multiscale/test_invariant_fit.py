"""Fits of invariant and polyconvex laws: exact Jacobians, and analytic materials found again."""

from dataclasses import replace

import numpy as np
import pytest

from fem.law import Law
from fem.laws import NeoHooke, SaintVenantKirchhoff
from multiscale.classical import ThirdOrderElasticity
from multiscale.data.dataset import StressStrainData
from multiscale.fits.argument_forms import InvariantForm, PolyconvexForm
from multiscale.fits.argument_least_squares import ArgumentFit
from multiscale.fits.convex_start import convex_start
from multiscale.fits.invariant_law import fit_invariant_law, fit_polyconvex_law, random_start, scales
from multiscale.fits.judgement import PoorFit, normalised_mse
from multiscale.fits.orbit_law import TooFewStates
from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.polyconvex_network import PolyconvexLaw
from multiscale.laws.reference_state import ReferenceState
from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.ellipticity import check_ellipticity

from .random_laws import random_law, random_strains

AXIS = np.array([0.36, 0.48, 0.8])
ISOTROPIC, FIBRES = InfiniteGroup("isotropic"), InfiniteGroup("transversely isotropic", AXIS.tolist())


def sampled(law: Law, seed: int, count: int, largest: float) -> StressStrainData:
    F = random_strains(seed, count, largest=largest)
    response = law.evaluate(F)
    return StressStrainData(F, energy=response.energy, first_piola=response.first_piola)


def fibre_data(seed: int, count: int) -> StressStrainData:
    """Neo-Hooke with fibres that bear tension alone: W = W_nh + k/3 <I4 - 1>_+^3, P = P_nh + 2 k <I4 - 1>_+^2 (F a) a."""
    data = sampled(NeoHooke(mu=1.0, lmbda=2.0), seed, count, 0.15)
    F, k = data.deformation_gradient, 5.0
    drawn = np.maximum(np.sum((F @ AXIS) ** 2, axis=1) - 1.0, 0.0)
    fibres = 2.0 * k * drawn[:, None, None] ** 2 * (F @ AXIS)[:, :, None] * AXIS
    return replace(
        data, energy=data.labels("energy") + k / 3.0 * drawn**3, first_piola=data.labels("first_piola") + fibres
    )


def error_inside(law: InvariantLaw | PolyconvexLaw, unseen: StressStrainData) -> float:
    """NMSE of stress at the states that the law's own domain holds: beyond, a few corners would rule it."""
    gauge = law.evaluate(unseen.deformation_gradient, trust=True).trust
    assert gauge is not None and (gauge == 1.0).mean() > 0.5
    inside = unseen.select(gauge == 1.0)
    return normalised_mse(law.evaluate(inside.deformation_gradient).first_piola, inside.labels("first_piola"))


@pytest.mark.parametrize(
    "symmetry", [ISOTROPIC, FIBRES, PointGroup.named("m-3m"), PointGroup.named("-3")], ids=lambda g: g.name
)
@pytest.mark.parametrize("kind", ["free", "polyconvex"])
def test_jacobian(symmetry: MaterialSymmetry, kind: str) -> None:
    data = sampled(random_law(PointGroup.named("m-3m"), 0), 1, 6, 0.1)
    observations, s, K = scales(sampled(random_law(PointGroup.named("m-3m"), 0), 1, 6, 0.1), ISOTROPIC)
    F = data.deformation_gradient
    form: InvariantForm | PolyconvexForm
    if kind == "free":
        form = InvariantForm(F, symmetry, ReferenceState.of(data, symmetry, "fit"), s, K)
    else:
        form = PolyconvexForm(F, symmetry, s)
    problem = ArgumentFit(observations, form, 2, strain_scale=s, stiffness_scale=K, prior=3.0)
    x = np.random.default_rng(0).normal(size=problem.unknowns)
    residual, J = problem.linearisation(x)
    assert np.allclose(residual, problem.residual(x), rtol=1e-12, atol=1e-12)
    h = 1e-6
    differences = [(problem.residual(x + h * d) - problem.residual(x - h * d)) / (2 * h) for d in np.eye(len(x))]
    assert np.abs(J - np.stack(differences, 1)).max() < 1e-7 * np.abs(J).max()


@pytest.mark.parametrize(
    "symmetry", [ISOTROPIC, FIBRES, PointGroup.named("m-3m"), PointGroup.named("-3")], ids=lambda g: g.name
)
def test_convex_starts_are_near_the_data(symmetry: MaterialSymmetry) -> None:
    data = sampled(NeoHooke(mu=1.0, lmbda=2.0), 0, 40, 0.1)
    observations, s, K = scales(data, symmetry)
    form = PolyconvexForm(data.deformation_gradient, symmetry, s)
    problem = ArgumentFit(observations, form, 3, strain_scale=s, stiffness_scale=K, prior=3.0)
    rng = np.random.default_rng(0)
    x = convex_start(problem, form, rng)
    # all that there is: the data are of the order of their standard error's inverse
    whole = float(np.mean(problem.target**2))
    assert problem.chi_square(x) < 0.2 * whole < problem.chi_square(random_start(problem, rng))
    # columns are what a law of one neuron has
    one = ArgumentFit(observations, form, 1, strain_scale=s, stiffness_scale=K, prior=3.0)
    neuron = problem.split(x)[0][0]
    alone = neuron[-1] ** 2 * problem.alone(neuron[:-2], neuron[-2])
    residual = one.residual(np.concatenate([neuron, np.zeros(form.raw + 1)]))[: observations.count]
    assert np.allclose(alone - problem.target.ravel(), residual, atol=1e-9 * np.sqrt(whole))


def test_raw_parameters_of_tensors() -> None:
    F = random_strains(0, 3)
    for symmetry in (ISOTROPIC, FIBRES, PointGroup.named("m-3m")):
        form = PolyconvexForm(F, symmetry, 0.1)
        made = form.weights(np.random.default_rng(1).normal(size=form.raw))[0]
        assert np.allclose(form.weights(form.raw_of(made, 1e-8))[0], made, atol=1e-12)


def test_neo_hooke_is_found_again() -> None:
    material = NeoHooke(mu=1.0, lmbda=2.0)
    data, unseen = sampled(material, 0, 60, 0.2), sampled(material, 1, 100, 0.2)
    for fit in (fit_invariant_law, fit_polyconvex_law):
        law = fit(data, ISOTROPIC, neurons=2, starts=2)
        # seeds 0 to 4: free 2.2e-7 each; convex 1.1e-8 to 6.6e-8
        assert error_inside(law, unseen) < 1e-6
        assert law.elastic_constants()[3, 3] == pytest.approx(1.0, rel=2e-3)
        assert law.elastic_constants()[0, 1] == pytest.approx(2.0, rel=5e-3)


def test_fibres_are_found_again() -> None:
    data, unseen = fibre_data(0, 100), fibre_data(1, 100)
    free = fit_invariant_law(data, FIBRES, neurons=4, starts=2)
    convex = fit_polyconvex_law(data, FIBRES, neurons=2, starts=2)
    # <I4 - 1>^3 has a third derivative that jumps where fibres slacken: softplus rounds it off, two neurons of the convex law more
    # than four of the free one; seeds 0 to 4: free 2.2e-6 to 1.1e-5, convex 4.0e-4 with eight starts each, with two one at 5e-3
    assert error_inside(free, unseen) < 1e-5 and error_inside(convex, unseen) < 1e-3
    assert check_ellipticity(convex, states=100).smallest > 0.0
    again = fit_polyconvex_law(data, FIBRES, neurons=2, starts=2)
    assert np.array_equal(again.weights, convex.weights)


def test_starts_see_a_part_of_many_states() -> None:
    material = NeoHooke(mu=1.0, lmbda=2.0)
    data, unseen = sampled(material, 0, 300, 0.15), sampled(material, 1, 100, 0.15)
    law = fit_invariant_law(data, ISOTROPIC, neurons=2, starts=1)
    assert error_inside(law, unseen) < 1e-6


@pytest.mark.slow
def test_any_seed_of_a_polyconvex_fit() -> None:
    """What a seed decides is small: fibres by six neurons 1.1e-5 to 4.7e-5 over seeds 0 to 4."""
    data, unseen = fibre_data(0, 100), fibre_data(1, 100)
    found = [error_inside(fit_polyconvex_law(data, FIBRES, starts=8, seed=seed), unseen) for seed in range(5)]
    assert max(found) < 1e-4


def test_too_few_states() -> None:
    with pytest.raises(TooFewStates, match="fewer than the"):
        fit_invariant_law(sampled(NeoHooke(mu=1.0, lmbda=2.0), 0, 8, 0.2), ISOTROPIC, neurons=20)


@pytest.mark.slow
def test_penalised() -> None:
    """A material that softens as its volume grows, and loses ellipticity where tr E > 0.13: the penalty keeps it, at a price."""
    C = SaintVenantKirchhoff.cubic(3.0, 1.0, 1.0).elastic_constants
    softening = np.zeros((6, 6, 6))
    softening[:3, :3, :3] = -20.0
    data = sampled(ThirdOrderElasticity(C, softening), 0, 60, 0.08)
    free = fit_invariant_law(data, ISOTROPIC, neurons=3, starts=2)
    with pytest.warns(PoorFit):
        held = fit_invariant_law(data, ISOTROPIC, neurons=3, starts=2, mode="penalised")
    assert "penalised" in held.provenance["fit"]
    lost, kept = (check_ellipticity(law, states=300) for law in (free, held))
    assert lost.smallest < -0.3 and lost.lost.mean() > 0.02
    assert kept.smallest > 0.0 or kept.lost.mean() < 0.01
    F = data.deformation_gradient
    prices = [normalised_mse(law.evaluate(F).first_piola, data.labels("first_piola")) for law in (free, held)]
    assert prices[0] < 1e-3 < prices[1] < 0.1


def test_components_elsewhere() -> None:
    """What the penalty looks at are the law's own W, S and D at any state."""
    data = sampled(NeoHooke(mu=1.0, lmbda=2.0), 0, 10, 0.1)
    observations, s, K = scales(data, FIBRES)
    reference = ReferenceState.of(data, FIBRES, "fit")
    F = random_strains(5, 4)
    for form in (
        InvariantForm(data.deformation_gradient, FIBRES, reference, s, K),
        PolyconvexForm(data.deformation_gradient, FIBRES, s),
    ):
        problem = ArgumentFit(observations, form, 2, strain_scale=s, stiffness_scale=K, prior=3.0)
        x = np.random.default_rng(1).normal(size=problem.unknowns)
        elsewhere = problem.at(np.concatenate([F, data.deformation_gradient])).residual(x)[: 28 * 14].reshape(14, 28)
        # the observations' rows take the components to the residuals
        rows = elsewhere[4:, observations.columns]
        residual = np.einsum("ncd,nd->nc", observations.rows, rows) - observations.targets
        assert np.allclose(residual.ravel(), problem.residual(x)[: observations.count], rtol=1e-9, atol=1e-8)
        alone = problem.at(F).residual(x)[: 28 * 4].reshape(4, 28)
        assert np.allclose(alone, elsewhere[:4], rtol=1e-12, atol=1e-13)
