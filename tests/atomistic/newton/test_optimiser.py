"""Newton steps as an optimiser of ASE: minima, saddles, symmetry, bookkeeping, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.io import read
from ase.optimize import LBFGS
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import atomistic
from atomistic.laplace import LastLayerLaplace
from atomistic.newton import (
    HessianTooLarge,
    InvalidHessian,
    Newton,
    NewtonFailed,
    UnsupportedConstraint,
    WrongIndex,
    hessian_of,
    reference_hessian,
    step_quality,
)
from atomistic.newton.quality import NothingGained

from .conftest import reference, tetrahedron


def exact(atoms: Atoms) -> np.ndarray:
    return reference_hessian(atoms, reference())


def started(rattle: float = 0.1, seed: int = 0) -> Atoms:
    atoms = tetrahedron(rattle, seed)
    atoms.calc = reference()
    return atoms


def argon(seed: int = 0) -> Atoms:
    """A cluster of Lennard and Jones, whose Hessian is known only through differences."""
    points = [[0, 0, 0], [1.1, 0, 0], [0.55, 0.95, 0], [0.55, 0.3, 0.9], [0.55, 0.3, -0.9]]
    atoms = Atoms("Ar5", positions=points)
    atoms.positions += np.random.default_rng(seed).normal(0.0, 0.03, atoms.positions.shape)
    atoms.calc = LennardJones(epsilon=1.0, sigma=1.0, rc=40.0)
    return atoms


class Counted(Calculator):
    """Counts the force calls of the calculator inside."""

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, inside: Calculator) -> None:
        super().__init__()
        self.inside, self.calls = inside, 0

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        self.inside.calculate(self.atoms, ["energy", "forces"], all_changes)
        self.results = dict(self.inside.results)


@pytest.mark.parametrize("method", ["trust-region", "rfo"])
def test_a_minimum_by_the_exact_hessian_in_a_fraction_of_the_force_calls(method: str) -> None:
    by_newton, by_lbfgs = started(), started()
    by_newton.calc, by_lbfgs.calc = Counted(reference()), Counted(reference())
    optimiser = Newton(by_newton, exact, method=method)
    assert optimiser.run(fmax=1e-6, steps=50)
    assert LBFGS(by_lbfgs, logfile=None).run(fmax=1e-6, steps=500)
    assert by_newton.calc.calls == optimiser.nsteps + 1
    assert 5 * by_newton.calc.calls <= by_lbfgs.calc.calls
    assert np.linalg.norm(by_newton.get_forces(), axis=1).max() < 1e-6
    assert np.linalg.eigvalsh(exact(by_newton)).min() > -1e-6


def test_the_learned_hessian_with_the_forces_of_the_reference(posterior: LastLayerLaplace) -> None:
    """To the reference's own minimum, not the potential's"""
    atoms = started(seed=60)
    optimiser = Newton(atoms, hessian_of(posterior.potential))
    assert optimiser.run(fmax=1e-6, steps=100)
    lbfgs = started(seed=60)
    other = LBFGS(lbfgs, logfile=None)
    other.run(fmax=1e-6, steps=500)
    assert 5 * (optimiser.nsteps + 1) <= other.nsteps + 1
    assert atoms.get_potential_energy() == pytest.approx(lbfgs.get_potential_energy(), abs=1e-9)
    assert np.abs(posterior.potential.predict(atoms).forces).max() > 1e-4


def test_the_path_turns_with_the_structure_and_does_not_drift() -> None:
    atoms, turned = started(), started()
    turned.rotate(40.0, (1, 2, 3), center="COM")
    turned.translate([0.3, 0.2, -0.1])
    for one in (atoms, turned):
        before = one.positions.mean(0)
        Newton(one, exact).run(fmax=1e-30, steps=3)
        np.testing.assert_allclose(one.positions.mean(0), before, atol=1e-12)
    np.testing.assert_allclose(turned.get_all_distances(), atoms.get_all_distances(), atol=1e-6)


@pytest.mark.parametrize("method", ["trust-region", "rfo"])
def test_a_saddle_has_one_negative_eigenvalue(method: str) -> None:
    atoms = argon()
    minimum = atoms.copy()
    minimum.calc = LennardJones(epsilon=1.0, sigma=1.0, rc=40.0)
    assert Newton(minimum, lambda one: reference_hessian(one, minimum.calc)).run(fmax=1e-8, steps=60)
    modes = np.linalg.eigh(reference_hessian(minimum, minimum.calc))[1]
    saddle = minimum.copy()
    saddle.calc = LennardJones(epsilon=1.0, sigma=1.0, rc=40.0)
    softest = modes[:, 6].reshape(-1, 3)
    saddle.positions += 0.3 * softest
    optimiser = Newton(
        saddle,
        lambda one: reference_hessian(one, minimum.calc),
        method=method,
        order=1,
        follow=softest[None],
        radius=0.05,
    )
    assert optimiser.run(fmax=1e-7, steps=200)
    eigenvalues = np.linalg.eigvalsh(reference_hessian(saddle, minimum.calc))
    assert (eigenvalues < -1e-3).sum() == 1 and (np.abs(eigenvalues) < 1e-5).sum() == 6
    assert saddle.get_potential_energy() > minimum.get_potential_energy() + 0.1


def test_where_the_hessian_is_not_positive_definite() -> None:
    """Between minima: Newton-Raphson refuses, the others follow negative curvature down and say how often."""
    atoms = started(0.35, seed=2)
    assert np.linalg.eigvalsh(exact(atoms)).min() < -0.1
    with pytest.raises(WrongIndex, match="take method='trust-region' or 'rfo'"):
        Newton(atoms, exact, method="newton").run(fmax=1e-6, steps=50)
    for method in ("trust-region", "rfo"):
        atoms = started(0.35, seed=2)
        energies: list[float] = []
        optimiser = Newton(atoms, exact, method=method)
        optimiser.attach(lambda atoms=atoms, energies=energies: energies.append(atoms.get_potential_energy()))
        assert optimiser.run(fmax=1e-6, steps=60)
        assert optimiser.indefinite > 0
        assert np.linalg.eigvalsh(exact(atoms)).min() > -1e-6
        # A step that goes up is taken back: no more of them than were rejected.
        lowest = np.minimum.accumulate(energies)
        assert (np.array(energies)[1:] > lowest[:-1] + 1e-9).sum() <= optimiser.rejected


def test_fixed_atoms_stay_and_the_others_relax() -> None:
    atoms = started()
    atoms.set_constraint(FixAtoms([0, 1]))
    before = atoms.positions.copy()
    assert Newton(atoms, exact).run(fmax=1e-6, steps=60)
    np.testing.assert_array_equal(atoms.positions[:2], before[:2])
    assert np.abs(atoms.positions[2:] - before[2:]).max() > 0.01
    assert np.abs(atoms.get_forces(apply_constraint=False)[:2]).max() > 1e-3


def test_a_crystal_by_a_poor_hessian_still_relaxes() -> None:
    """A poor Hessian costs steps, not the result; secants make up for some of what it does not know."""
    steps = []
    for secants in (0, 10):
        atoms = bulk("Si", a=5.43, cubic=True)
        atoms.rattle(0.05, seed=1)
        atoms.calc = reference()
        optimiser = Newton(atoms, lambda one: 12.0 * np.eye(3 * len(one)), secants=secants)
        assert optimiser.run(fmax=1e-6, steps=300)
        assert np.linalg.eigvalsh(exact(atoms)).min() > -1e-6
        steps.append(optimiser.nsteps)
    assert steps[1] < 0.7 * steps[0]


def test_without_a_matrix_it_comes_to_the_same_minimum(posterior: LastLayerLaplace) -> None:
    atoms, by_matrix = started(seed=60), started(seed=60)
    optimiser = Newton(atoms, hessian_of(posterior.potential, matrix_free=True))
    assert optimiser.run(fmax=1e-6, steps=100)
    Newton(by_matrix, exact).run(fmax=1e-6, steps=100)
    assert atoms.get_potential_energy() == pytest.approx(by_matrix.get_potential_energy(), abs=1e-9)
    negative = Newton(started(0.35, seed=2), lambda one: aslinearoperator(exact(one)))
    assert negative.run(fmax=1e-6, steps=100)
    assert negative.indefinite > 0


def test_logfile_trajectory_steps_and_renewal(tmp_path: Path) -> None:
    atoms = started()
    with Newton(
        atoms, exact, logfile=str(tmp_path / "log"), trajectory=str(tmp_path / "path.traj"), renew=0.0
    ) as optimiser:
        assert not optimiser.run(fmax=1e-6, steps=2)
        assert optimiser.run(fmax=1e-6, steps=50)
    assert len(read(tmp_path / "path.traj", ":")) == optimiser.nsteps + 1
    assert "Newton:" in (tmp_path / "log").read_text()
    assert optimiser.hessians == optimiser.nsteps - optimiser.rejected
    seldom = Newton(started(), exact, renew=0.3)
    assert seldom.run(fmax=1e-6, steps=50)
    assert seldom.hessians < seldom.nsteps


def test_atoms_that_someone_else_moved_start_anew() -> None:
    atoms, other = started(), started(seed=9)
    optimiser = Newton(atoms, exact)
    optimiser.run(fmax=1e-6, steps=50)
    atoms.positions[:] = other.positions
    assert optimiser.run(fmax=1e-6, steps=50)
    assert optimiser.rejected == 0 and np.linalg.norm(atoms.get_forces(), axis=1).max() < 1e-6


class Failing(Counted):
    """Forces that are not finite from the third call on, or energies that do not belong to the forces."""

    def __init__(self, kind: str) -> None:
        super().__init__(reference())
        self.kind = kind

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        if self.kind == "not finite" and self.calls >= 3:
            self.results["forces"] = np.full((len(self.atoms), 3), np.nan)
        if self.kind == "inconsistent":
            self.results["energy"] = self.results["free_energy"] = float(self.calls)


def test_failures_say_what_failed(posterior: LastLayerLaplace) -> None:
    atoms = started()
    atoms.calc = Failing("not finite")
    with pytest.raises(NewtonFailed, match="not finite after 2 steps"):
        Newton(atoms, exact).run(fmax=1e-6, steps=50)
    atoms = started()
    atoms.calc = Failing("inconsistent")
    with pytest.raises(NewtonFailed, match="energies and forces disagree"):
        Newton(atoms, exact).run(fmax=1e-6, steps=200)
    atoms.calc = reference()
    with pytest.raises(InvalidHessian, match=r"shape \(9, 9\) for 5 atoms, expected \(15, 15\)"):
        Newton(atoms, lambda one: np.eye(9)).run(steps=1)
    with pytest.raises(InvalidHessian, match=r"an operator of shape \(9, 9\), expected \(15, 15\)"):
        Newton(atoms, lambda one: aslinearoperator(np.eye(9))).run(steps=1)
    with pytest.raises(InvalidHessian, match="NaN"):
        Newton(atoms, lambda one: np.full((15, 15), np.nan)).run(steps=1)
    with pytest.raises(ValueError, match="needs the matrix"):
        Newton(atoms, lambda one: aslinearoperator(np.eye(15)), order=1).run(steps=1)


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "steepest"},
        {"radius": 0.0},
        {"maxstep": -1.0},
        {"order": -1},
        {"secants": -1},
        {"renew": -0.1},
        {"order": 1, "follow": np.ones((1, 4, 3))},
    ],
)
def test_senseless_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=list(bad)[-1]):
        Newton(started(), exact, **bad)  # type: ignore[arg-type]


def test_cells_are_refused() -> None:
    atoms = bulk("Si")
    atoms.calc = reference()
    with pytest.raises(UnsupportedConstraint, match="FrechetCellFilter"):
        Newton(FrechetCellFilter(atoms), exact)


def test_a_hessian_that_memory_does_not_hold_names_the_way_out(posterior: LastLayerLaplace) -> None:
    atoms = tetrahedron()
    assert isinstance(hessian_of(posterior.potential)(atoms), np.ndarray)
    with pytest.raises(
        HessianTooLarge, match=r"Hessian of 5 atoms .* need .* GiB, expected at most .* matrix_free=True"
    ):
        hessian_of(posterior.potential, memory=1000.0)(atoms)
    crystal = bulk("Si", a=5.43, cubic=True).repeat(24)  # 110,592 atoms: 0.8 TB for the matrix alone
    with pytest.raises(HessianTooLarge, match="110592 atoms"):
        hessian_of(posterior.potential, memory=1e12)(crystal)
    assert isinstance(hessian_of(posterior.potential, matrix_free=True)(atoms), LinearOperator)
    with pytest.raises(ValueError, match="memory = 0"):
        hessian_of(posterior.potential, memory=0.0)


def test_quality_of_a_step() -> None:
    """One for the exact Hessian; what quadratic theory says for a wrong one; less than nothing where it leads uphill."""
    relaxed = started(0.0)
    Newton(relaxed, exact).run(fmax=1e-9, steps=50)
    near = relaxed.copy()
    near.rattle(1e-4, seed=0)
    H = exact(near)
    same = step_quality(near, reference(), H, H)
    assert same.quality == 1.0 and same.definite
    # H scaled by c: the step is 1/c of the exact one, which gains 2/c - 1/c^2 of it.
    for scale, expected in ((2.0, 0.75), (0.5, 0.0), (0.4, -1.25)):
        assert step_quality(near, reference(), scale * H, H).quality == pytest.approx(expected, abs=0.02)
    assert not step_quality(near, reference(), -H, H, radius=0.05).definite
    with pytest.raises(InvalidHessian, match="shape"):
        step_quality(near, reference(), np.eye(3), H)
    with pytest.raises(NothingGained, match="gains"):
        step_quality(near, reference(), H, 1e-2 * H)


def test_learned_steps_gain_nearly_what_exact_ones_do(posterior: LastLayerLaplace) -> None:
    relaxed = started(0.0)
    Newton(relaxed, exact).run(fmax=1e-9, steps=50)
    curvature = hessian_of(posterior.potential)
    qualities = []
    for seed in range(8):
        near = relaxed.copy()
        near.rattle(0.03, seed=seed)
        qualities.append(step_quality(near, reference(), curvature(near), exact(near)).quality)
    assert np.median(qualities) > 0.95


def test_the_potential_is_its_own_reference(posterior: LastLayerLaplace) -> None:
    """Relaxation on the potential, as before a reference is asked at all."""
    atoms = tetrahedron(0.08, 5)
    atoms.calc = atomistic.NeuralCalculator(posterior.potential)
    optimiser = Newton(atoms, hessian_of(posterior.potential))
    assert optimiser.run(fmax=1e-7, steps=40)
    assert optimiser.nsteps < 15
