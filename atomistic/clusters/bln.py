r"""The off-lattice protein of Honeycutt and Thirumalai: a chain of hydrophobic (B), hydrophilic (L) and neutral (N) beads.

    V =  K_r/2 sum_bonds (r - r_e)^2  +  K_theta/2 sum_angles (theta - theta_e)^2  +  sum_dihedrals [ C (1 + cos phi) + D (1 + cos 3 phi) ]
       + 4 epsilon sum_{j >= i + s} [ a_ij (sigma / r_ij)^12 + b_ij (sigma / r_ij)^6 ]

(Honeycutt and Thirumalai, Proc. Natl. Acad. Sci. USA 87 (1990) 3526 and Biopolymers 32 (1992) 695), phi = pi being trans, with

    r_e = sigma, K_theta = 20 epsilon / rad^2, theta_e = 105 degrees,
    C = 0, D = 0.2 epsilon where two or more of the four beads are N, else C = D = 1.2 epsilon,
    (a, b) = (1, -1) for B with B, (2/3, 2/3) for L with L and L with B, (1, 0) for N with any.

Two sets are in use that differ in the stiffness of bonds and in the nearest beads that interact, `stiff` and `soft`:

    stiff   K_r = 400 epsilon / sigma^2     s = 3    lowest energy -49.2635 epsilon
    soft    K_r = 231.2 epsilon / sigma^2   s = 2    (Berry, Elmaci, Rose and Vekhter, Proc. Natl. Acad. Sci. USA 94 (1997) 9520)

-49.2635 is the published lowest energy (Lee and Berne, J. Phys. Chem. A 104 (2000) 86; Kim, Lee and Lee, J. Chem. Phys. 119 (2003) 10274)
of the sequence B9 N3 (LB)4 N3 B9 N3 (LB)5 L of 46 beads, whose four strands fold into a barrel.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from jaxtyping import Float, Int
from numpy import ndarray

from atomistic.clusters.lennard_jones import OverlappingAtoms
from atomistic.clusters.moves import spread_apart, turned
from atomistic.clusters.surface import Positions, confined, quench

BLN_46: Final = "B" * 9 + "N" * 3 + "LB" * 4 + "N" * 3 + "B" * 9 + "N" * 3 + "LB" * 5 + "L"

ELEMENTS: Final = {"B": "B", "L": "Li", "N": "N"}
"""Beads stand in structures under these chemical symbols, lengths in sigma as Angstrom, energies in epsilon as eV."""


class InvalidSequence(ValueError):
    """A chain of other letters than B, L and N, or too short to have a dihedral angle."""


LOWEST_46: Final = -49.2635
"""Published lowest energy of `BLN_46`, epsilon."""


@dataclass(frozen=True)
class BLNProtein:
    """The model of a sequence, in reduced units: epsilon = 1 eV, sigma = 1 Angstrom.

    Attributes:
        sequence: letters B, L and N.
        bond_stiffness: K_r.
        angle_stiffness: K_theta.
        angle: theta_e, radians.
        separation: s, from which on beads of the chain interact as if loose.

    Raises:
        InvalidSequence: for other letters, or fewer than four.
        ValueError: for a stiffness or a separation that is not positive.
    """

    sequence: str = BLN_46
    bond_stiffness: float = 400.0
    angle_stiffness: float = 20.0
    angle: float = np.pi * 105.0 / 180.0
    separation: int = 3

    def __post_init__(self) -> None:
        if set(self.sequence) - set(ELEMENTS) or len(self.sequence) < 4:
            raise InvalidSequence(f"sequence {self.sequence!r}, expected four or more letters of {', '.join(ELEMENTS)}")
        if not (self.bond_stiffness > 0.0 and self.angle_stiffness > 0.0 and self.separation >= 1):
            raise ValueError(
                f"stiffnesses {self.bond_stiffness} and {self.angle_stiffness}, separation {self.separation}; expected positive numbers"
            )

    @classmethod
    def soft(cls, sequence: str = BLN_46) -> "BLNProtein":
        """The second set of the module's docstring."""
        return cls(sequence, bond_stiffness=231.2, separation=2)

    def __len__(self) -> int:
        return len(self.sequence)

    def atoms(self, positions: Positions) -> Atoms:
        """The beads as atoms."""
        return Atoms([ELEMENTS[bead] for bead in self.sequence], positions)

    def unfolded(self, generator: np.random.Generator) -> Positions:
        """A chain whose bonds and angles are at rest and whose dihedral angles are within 30 degrees of trans: stretched out."""
        n = len(self)
        points = np.zeros((n, 3))
        points[1, 0] = 1.0
        points[2] = points[1] + (-np.cos(self.angle), np.sin(self.angle), 0.0)
        for k in range(3, n):
            phi = np.pi + generator.uniform(-np.pi / 6.0, np.pi / 6.0)
            before, last = points[k - 2] - points[k - 3], points[k - 1] - points[k - 2]
            normal = np.cross(before, last)
            normal /= np.linalg.norm(normal)
            across = np.cross(normal, last)
            points[k] = points[k - 1] - np.cos(self.angle) * last
            points[k] += np.sin(self.angle) * (np.cos(phi) * across + np.sin(phi) * normal)
        return points - points.mean(0)

    def coil(self, generator: np.random.Generator, *, stiffness: float = 0.5) -> Positions:
        """A random coil drawn together: an unfolded chain with random dihedral angles relaxed between beads that only repel.

        A spring of `stiffness` (epsilon / sigma^2) draws each bead to the middle. Nothing of the interaction enters but that beads take
        room, so a search on a learned potential may start here too.
        """
        chain = self.unfolded(generator)
        for bond in range(len(self) - 2):
            chain = turned(chain, bond, bond + 1, len(self), float(generator.uniform(-np.pi, np.pi)))
        repulsive = np.sign(self._pairs[0])

        def repelling(positions: Positions) -> tuple[float, Positions]:
            energy, forces = self.chain_energy_and_forces(positions)
            apart, push = pair_energy_and_forces(positions, repulsive, np.zeros_like(repulsive))
            return energy + apart, forces + push

        return quench(confined(repelling, stiffness), spread_apart(chain, 0.6), force_tolerance=0.5).positions

    def energy_and_forces(self, positions: Positions) -> tuple[float, Positions]:
        """V and -dV/dr.

        Raises:
            OverlappingAtoms: for two beads at one place.
        """
        energy, forces = self.chain_energy_and_forces(positions)
        further, pull = pair_energy_and_forces(positions, *self._pairs)
        return energy + further, forces + pull

    def chain_energy_and_forces(self, positions: Positions) -> tuple[float, Positions]:
        """Bonds, angles and dihedral angles alone.

        With the bond vectors v_k all of them are functions of A_k = v_k . v_k, P_k = v_k . v_(k+1) and S_k = v_k . v_(k+2):

            cos theta = -P_k / sqrt(A_k A_(k+1)),                     X_k = A_k A_(k+1) - P_k^2,
            cos phi = (P_k P_(k+1) - S_k A_(k+1)) / sqrt(X_k X_(k+1)).
        """
        v = np.diff(positions, axis=0)
        A = np.einsum("ka,ka->k", v, v)
        P = np.einsum("ka,ka->k", v[:-1], v[1:])
        S = np.einsum("ka,ka->k", v[:-2], v[2:])
        C, D = self._dihedrals
        length = np.sqrt(A)
        stretch = length - 1.0
        cosine = -P / (length[:-1] * length[1:])
        theta = np.arccos(np.clip(cosine, -1.0, 1.0))
        bend = theta - self.angle
        X = A[:-1] * A[1:] - P * P
        if not X.min() > 1e-12:
            k = int(np.argmin(X))
            raise OverlappingAtoms(
                f"beads {k}, {k + 1} and {k + 2} lie on one line, or on top of each other: no dihedral angle is defined; move one of them"
            )
        root = np.sqrt(X[:-1] * X[1:])
        c = (P[:-1] * P[1:] - S * A[1:-1]) / root
        energy = (
            0.5 * self.bond_stiffness * float(stretch @ stretch)
            + 0.5 * self.angle_stiffness * float(bend @ bend)
            + float((C * (1.0 + c) + D * (1.0 + c * (4.0 * c * c - 3.0))).sum())
        )
        dA = 0.5 * self.bond_stiffness * stretch / length
        slope = -self.angle_stiffness * bend / np.sqrt(X) * (length[:-1] * length[1:])  # dV/d cos theta
        dP = -slope / (length[:-1] * length[1:])
        dA[:-1] -= 0.5 * slope * cosine / A[:-1]
        dA[1:] -= 0.5 * slope * cosine / A[1:]
        twist = C + D * (12.0 * c * c - 3.0)  # dV/dc
        over = twist / root
        dS = -over * A[1:-1]
        dA[1:-1] -= over * S
        dP[:-1] += over * P[1:]
        dP[1:] += over * P[:-1]
        dX = np.zeros_like(X)
        dX[:-1] -= 0.5 * twist * c / X[:-1]
        dX[1:] -= 0.5 * twist * c / X[1:]
        dA[:-1] += dX * A[1:]
        dA[1:] += dX * A[:-1]
        dP -= 2.0 * dX * P
        slopes = 2.0 * dA[:, None] * v
        slopes[:-1] += dP[:, None] * v[1:]
        slopes[1:] += dP[:, None] * v[:-1]
        slopes[:-2] += dS[:, None] * v[2:]
        slopes[2:] += dS[:, None] * v[:-2]
        forces = np.zeros_like(positions)
        forces[:-1] += slopes
        forces[1:] -= slopes
        return energy, forces

    @cached_property
    def near_pairs(self) -> Int[ndarray, "pairs 2"]:
        """Pairs of beads nearer to each other along the chain than `separation`: what they do to each other is in the chain's terms."""
        first, second = np.triu_indices(len(self), 1)
        near = second - first < self.separation
        return np.stack([first[near], second[near]], axis=1)

    @cached_property
    def _dihedrals(self) -> tuple[Float[ndarray, "dihedrals"], Float[ndarray, "dihedrals"]]:
        neutral = np.array([bead == "N" for bead in self.sequence])
        flexible = np.lib.stride_tricks.sliding_window_view(neutral, 4).sum(1) >= 2
        return np.where(flexible, 0.0, 1.2), np.where(flexible, 0.2, 1.2)

    @cached_property
    def _pairs(self) -> tuple[Float[ndarray, "n n"], Float[ndarray, "n n"]]:
        place = np.arange(len(self))
        apart = np.abs(place[:, None] - place) >= self.separation
        repulsive, attractive = pair_coefficients(self.sequence)
        return repulsive * apart, attractive * apart


def pair_coefficients(beads: str) -> tuple[Float[ndarray, "n n"], Float[ndarray, "n n"]]:
    """a_ij and b_ij of the module's docstring for all pairs of `beads`."""
    letters = np.array(list(beads))
    neutral = (letters[:, None] == "N") | (letters == "N")
    hydrophobic = (letters[:, None] == "B") & (letters == "B")
    other = np.where(hydrophobic, 1.0, 2.0 / 3.0)
    return np.where(neutral, 1.0, other), np.where(neutral, 0.0, np.where(hydrophobic, -1.0, 2.0 / 3.0))


def pair_energy_and_forces(
    positions: Positions, repulsive: Float[ndarray, "n n"], attractive: Float[ndarray, "n n"]
) -> tuple[float, Positions]:
    """4 sum_{i<j} (a_ij / r^12 + b_ij / r^6) and its forces; `repulsive` is a, `attractive` is b."""
    gram = positions @ positions.T
    squares = gram.diagonal()
    distances = squares[:, None] + squares - 2.0 * gram
    np.fill_diagonal(distances, np.inf)
    if not distances.min() > 1e-6:
        i, j = np.unravel_index(int(distances.argmin()), distances.shape)
        raise OverlappingAtoms(f"beads {i} and {j} are at one place {positions[i]}; move one of them away")
    inverse = 1.0 / distances
    sixth = inverse**3
    strong, weak = repulsive * sixth * sixth, attractive * sixth
    energy = 2.0 * float((strong + weak).sum())
    pull = 24.0 * inverse * (2.0 * strong + weak)
    return energy, pull.sum(1)[:, None] * positions - pull @ positions


class LooseBeads(Calculator):
    """The beads of any structure as if none were bound: the reference from which a potential learns their interaction."""

    implemented_properties: list[str] = ["energy", "free_energy", "forces"]  # noqa: RUF012

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Energy and forces at once.

        Raises:
            InvalidSequence: for an element that stands for no bead.
        """
        super().calculate(atoms, properties, system_changes)
        structure: Any = self.atoms
        letters = {symbol: bead for bead, symbol in ELEMENTS.items()}
        unknown = sorted(set(structure.get_chemical_symbols()) - set(letters))
        if unknown:
            raise InvalidSequence(f"elements {unknown} stand for no bead, expected {', '.join(letters)}")
        beads = "".join(letters[symbol] for symbol in structure.get_chemical_symbols())
        energy, forces = pair_energy_and_forces(structure.positions, *pair_coefficients(beads))
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
