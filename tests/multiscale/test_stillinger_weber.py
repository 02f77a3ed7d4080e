"""The test data themselves: against matscipy's calculator, and the published elastic constants."""

import numpy as np
from ase import Atoms
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import StillingerWeber
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import Stillinger_Weber_PRB_31_5262_Si

from multiscale.laws.strain import first_piola
from multiscale.sampling.design import strain_design

from .stillinger_weber import BASIS, EV_PER_CUBIC_ANGSTROM_IN_GPA, LATTICE, VOLUME, relaxed


def test_energy_stress_and_relaxation_are_those_of_matscipy() -> None:
    F = strain_design(4, 0.06, seed=5)
    states = relaxed(F)
    crystal = Atoms("Si2", cell=LATTICE, positions=[[0.0, 0.0, 0.0], BASIS], pbc=True)
    crystal.calc = Manybody(**StillingerWeber(Stillinger_Weber_PRB_31_5262_Si))
    ground = crystal.get_potential_energy()
    P = first_piola(F, states.stress)
    for k in range(len(F)):
        strained = Atoms("Si2", cell=LATTICE, positions=[[0.0, 0.0, 0.0], BASIS + states.shift[k]], pbc=True)
        strained.set_cell(strained.cell.array @ F[k].T, scale_atoms=True)
        strained.calc = crystal.calc
        W = (strained.get_potential_energy() - ground) / VOLUME * EV_PER_CUBIC_ANGSTROM_IN_GPA
        sigma = strained.get_stress(voigt=False) * EV_PER_CUBIC_ANGSTROM_IN_GPA
        assert abs(W - states.energy[k]) < 1e-11
        assert np.abs(np.linalg.det(F[k]) * sigma @ np.linalg.inv(F[k]).T - P[k]).max() < 1e-10
        assert np.abs(strained.get_forces()).max() < 1e-11


def test_elastic_constants() -> None:
    state = relaxed(np.eye(3)[None])
    C, clamped = state.stiffness[0], state.clamped_stiffness[0]
    assert np.allclose([C[0, 0], C[0, 1], C[3, 3], clamped[3, 3]], [151.4, 76.4, 56.4, 109.8], atol=0.06)
    assert np.abs(state.stress).max() < 1e-10


def test_relaxed_stiffness_is_the_derivative_of_the_stress() -> None:
    F, h = strain_design(2, 0.06, seed=6), 1e-5
    states = relaxed(F)
    for direction in np.eye(9).reshape(9, 3, 3):
        plus, minus = relaxed(F + h * direction), relaxed(F - h * direction)
        predicted = np.einsum("nab,nb->na", states.stiffness, (plus.strain - minus.strain) / (2 * h))
        assert np.abs((plus.stress - minus.stress) / (2 * h) - predicted).max() < 1e-6
