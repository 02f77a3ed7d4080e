"""Rows of Hessians against products with them; Bayes' rule on them; labels that are refused."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones

import atomistic
from atomistic.laplace import LastLayerLaplace
from atomistic.last_layer import last_layer_weights
from atomistic.newton import (
    HessianLabel,
    InvalidHessian,
    label_hessian,
    learn_hessians,
    reference_hessian,
)
from atomistic.newton.hessian_rows import hessian_rows

from ..conftest import DESCRIPTORS, random_networks, random_potential_of
from .conftest import DESCRIPTORS as SMALL
from .conftest import labelled, reference, tetrahedron


def rms(a: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(a))))


@pytest.mark.parametrize("kind", DESCRIPTORS)
def test_rows_times_the_weights_are_products_with_the_hessian(kind: str) -> None:
    """Structures of different sizes, elements and cells, in one batch."""
    structures = [
        bulk("GaAs", "zincblende", a=5.65),
        Atoms("GaAs2", positions=[[0, 0, 0], [2.3, 0, 0], [0.4, 2.5, 0.1]]),
    ]
    potential = random_potential_of(kind, (31, 33))
    for atoms in structures:
        atoms.rattle(0.08, seed=3)
    directions = [np.random.default_rng(k).normal(size=atoms.positions.shape) for k, atoms in enumerate(structures)]
    rows = hessian_rows(potential, structures, directions)
    weights = last_layer_weights(potential)
    for atoms, direction, row in zip(structures, directions, rows, strict=True):
        product = atomistic.hessian_vector_product(potential, atoms, direction).ravel()
        np.testing.assert_allclose(row @ weights, product, atol=1e-12 * np.abs(product).max())


def test_gaussians_are_curved_at_their_own_centres(posterior: LastLayerLaplace) -> None:
    """A structure of the data, whose environments are centres: the Hessian is the difference of the forces there too."""
    atoms = labelled(1, 0)[0]
    direction = np.random.default_rng(0).normal(size=(5, 3))
    forces = []
    for step in (-1e-4, 1e-4):
        moved = tetrahedron()
        moved.positions = atoms.positions + step * direction
        forces.append(posterior.potential.predict(moved).forces)
    product = atomistic.hessian_vector_product(posterior.potential, atoms, direction)
    np.testing.assert_allclose(product, (forces[0] - forces[1]) / 2e-4, atol=1e-4)
    (row,) = hessian_rows(posterior.potential, [atoms], [direction])
    np.testing.assert_allclose(row @ last_layer_weights(posterior.potential), product.ravel(), atol=1e-8)


def test_labels_are_products_with_the_hessian_of_the_reference() -> None:
    atoms = tetrahedron(0.05)
    exact = reference_hessian(atoms, reference())
    label = label_hessian(atoms, reference(), 3, seed=0)
    directions = label.directions.reshape(3, -1)
    np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(label.products.reshape(3, -1), directions @ exact, atol=1e-6)
    whole = HessianLabel.whole(atoms, exact)
    np.testing.assert_allclose(whole.products.reshape(15, 15), exact, atol=1e-12)


def test_a_reference_that_saw_another_structure_before() -> None:
    """Its Hessian is of the structure asked for, and what it knows of the other stays."""
    shared, atoms = reference(), tetrahedron(0.05)
    crystal = bulk("Si", a=5.43)
    crystal.calc = shared
    energy = crystal.get_potential_energy()
    np.testing.assert_array_equal(reference_hessian(atoms, shared), reference_hessian(atoms, reference()))
    assert crystal.get_potential_energy() == energy


def test_a_reference_without_second_derivatives_is_differentiated() -> None:
    """The dimer of Lennard and Jones: curvature 72 epsilon / (2^(1/3) sigma^2) at its minimum."""
    dimer = Atoms("Ar2", positions=[[0, 0, 0], [2 ** (1 / 6), 0, 0]])
    H = reference_hessian(dimer, LennardJones(epsilon=1.0, sigma=1.0, rc=40.0))
    assert H[0, 0] == pytest.approx(72.0 / 2 ** (1 / 3), rel=1e-6)
    np.testing.assert_allclose(H[0, 3], -H[0, 0], rtol=1e-8)


def test_hessians_that_were_taught_are_met_and_unseen_ones_improve(posterior: LastLayerLaplace) -> None:
    labels = [label_hessian(atoms, reference(), 3, seed=k) for k, atoms in enumerate(labelled(10, 0)[::2])]
    taught = learn_hessians(posterior, labels, error=0.03)
    unseen = [tetrahedron(0.06, seed) for seed in range(50, 56)]

    def errors(potential: atomistic.NeuralPotential) -> tuple[float, float]:
        known = [
            label.directions.reshape(3, -1) @ atomistic.hessian(potential, label.atoms) - label.products.reshape(3, -1)
            for label in labels
        ]
        new = [atomistic.hessian(potential, atoms) - reference_hessian(atoms, reference()) for atoms in unseen]
        return rms(np.concatenate(known)), rms(np.array(new))

    (known_before, new_before), (known_after, new_after) = errors(posterior.potential), errors(taught.potential)
    assert known_after < 0.5 * known_before
    assert new_after < 0.8 * new_before


def test_the_last_layer_of_a_network_is_taught_as_well() -> None:
    """Of a network that was not trained: what it says of Hessians comes nearer to the labels."""
    structures = labelled(4, 90)
    potential = random_networks(SMALL, seed=0, scale=0.3)
    before = atomistic.LastLayerLaplace.fit(potential, structures)
    labels = [label_hessian(atoms, reference(), 2, seed=k) for k, atoms in enumerate(structures)]
    after = learn_hessians(before, labels, error=0.03)

    def error(potential: atomistic.NeuralPotential) -> float:
        wrong = [
            atomistic.hessian_vector_product(potential, label.atoms, v) - product
            for label in labels
            for v, product in zip(label.directions, label.products, strict=True)
        ]
        return rms(np.array(wrong))

    assert error(after.potential) < 0.8 * error(before.potential)
    assert "4 structures" in after.potential.provenance["hessians"] and "hessians" not in potential.provenance


def test_one_after_the_other_is_all_at_once(posterior: LastLayerLaplace) -> None:
    labels = [label_hessian(atoms, reference(), 2, seed=k) for k, atoms in enumerate(labelled(2, 70))]
    together = learn_hessians(posterior, labels, error=0.1)
    in_turn = learn_hessians(learn_hessians(posterior, labels[:1], error=0.1), labels[1:], error=0.1)
    atoms = tetrahedron(0.05, 80)
    np.testing.assert_allclose(
        in_turn.potential.predict(atoms).forces, together.potential.predict(atoms).forces, atol=1e-7
    )
    np.testing.assert_allclose(in_turn.evaluate(atoms).forces, together.evaluate(atoms).forces, rtol=1e-5)
    assert np.all(together.evaluate(atoms).forces < posterior.evaluate(atoms).forces)
    # The length of a displacement says nothing.
    longer = [HessianLabel(one.atoms, 5.0 * one.directions, 5.0 * one.products) for one in labels]
    scaled = learn_hessians(posterior, longer, error=0.1)
    np.testing.assert_allclose(
        scaled.potential.predict(atoms).forces, together.potential.predict(atoms).forces, atol=1e-9
    )


class Broken(Calculator):
    """Forces that are not finite."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.full((len(atoms), 3), np.nan)}


def test_bad_labels_are_refused(posterior: LastLayerLaplace) -> None:
    atoms = tetrahedron()
    with pytest.raises(InvalidHessian, match=r"shape \(12, 12\) for 5 atoms, expected \(15, 15\)"):
        HessianLabel.whole(atoms, np.eye(12))
    with pytest.raises(InvalidHessian, match="asymmetric by 1"):
        HessianLabel.whole(atoms, np.eye(15) + np.eye(15, k=1))
    with pytest.raises(InvalidHessian, match="products contain NaN"):
        HessianLabel(atoms, np.ones((1, 5, 3)), np.full((1, 5, 3), np.nan))
    with pytest.raises(InvalidHessian, match="a direction is zero"):
        HessianLabel(atoms, np.zeros((1, 5, 3)), np.zeros((1, 5, 3)))
    with pytest.raises(InvalidHessian, match=r"directions have shape \(1, 4, 3\)"):
        HessianLabel(atoms, np.ones((1, 4, 3)), np.ones((1, 4, 3)))
    with pytest.raises(ValueError, match="16 directions for 5 atoms"):
        label_hessian(atoms, reference(), 16)
    with pytest.raises(atomistic.LabelFailed, match="not finite"):
        label_hessian(atoms, Broken(), 1)
    with pytest.raises(ValueError, match="no Hessian labels"):
        learn_hessians(posterior, [])
    with pytest.raises(ValueError, match="error = 0"):
        learn_hessians(posterior, [label_hessian(atoms, reference(), 1)], error=0.0)
    foreign = HessianLabel(Atoms("Ge5", positions=atoms.positions), np.ones((1, 5, 3)), np.ones((1, 5, 3)))
    with pytest.raises(atomistic.UnknownElement, match="Ge"):
        learn_hessians(posterior, [foreign])
