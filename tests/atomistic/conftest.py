"""Potentials and crystals of the atomistic tests: random networks, so that no property rests on one fitted potential."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

import atomistic
from atomistic.network import Network


def random_potential(
    numbers: tuple[int, ...], *, nearest: float, cutoff: float, seed: int
) -> atomistic.NeuralPotential:
    """A potential with random weights; its forces are of the order of an eV/A."""
    descriptors = atomistic.SymmetryFunctions.spread(numbers, nearest=nearest, cutoff=cutoff, radial=6, angular=3)
    return random_networks(descriptors, seed=seed)


def random_networks(descriptors: atomistic.Descriptors, *, seed: int, scale: float = 1.0) -> atomistic.NeuralPotential:
    """Random weights on any descriptors; `scale` is that of the first layer's."""
    generator = np.random.default_rng(seed)

    def layer(inputs: int, outputs: int, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        weight = generator.normal(0.0, scale * inputs**-0.5, (outputs, inputs))
        return torch.from_numpy(weight), torch.from_numpy(generator.normal(0.0, 0.5, outputs))

    networks = {
        z: Network((layer(descriptors.count(z), 8, scale), layer(8, 6), layer(6, 1))) for z in descriptors.numbers
    }
    return atomistic.NeuralPotential(descriptors, networks, {"made by": "tests"})


DESCRIPTORS = ("wide", "narrow", "body-ordered")
"""Kinds of descriptors: symmetry functions with angular parts G5 or G4, and the body-ordered set."""


def random_potential_of(kind: str, numbers: tuple[int, ...], *, seed: int = 1) -> atomistic.NeuralPotential:
    """A random potential with descriptors of a kind, cutoff 4.6 A."""
    if kind == "body-ordered":
        ordered = atomistic.BodyOrdered(numbers, cutoff=4.6, angular_cutoff=4.2, radial=6, angular=4, degree=3)
        return random_networks(ordered, seed=seed, scale=0.3)
    functions = atomistic.SymmetryFunctions.spread(
        numbers, nearest=2.35, cutoff=4.6, radial=6, angular=2, angular_kind=kind
    )
    return random_networks(functions, seed=seed)


@pytest.fixture(scope="session")
def silicon() -> Atoms:
    return bulk("Si", a=5.43)


@pytest.fixture(scope="session")
def small_training(silicon: Atoms) -> tuple[list[Atoms], atomistic.Training]:
    """Stillinger-Weber configurations and a potential trained on them for a few seconds."""
    reference = atomistic.reference_calculator("stillinger-weber")
    relaxed = atomistic.relax_crystal(silicon, reference).atoms
    groups = atomistic.default_groups(0.25)[:4]
    configurations = atomistic.label_configurations(relaxed, reference, max_strain=0.06, seed=0, groups=groups)
    settings = atomistic.TrainingSettings(radial=8, angular=5, hidden=(12, 12), epochs=10, cycles=2, iterations=50)
    training = atomistic.train([a for a in configurations if a.info["split"] == "train"], settings, seed=0)
    return configurations, training
