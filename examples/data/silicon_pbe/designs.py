"""The structures of the dataset that no potential is needed for: each a function of its group, its number and the seed alone.

More of a group can be asked for without changing those that exist. Crystals of high symmetry are among the strained ones because
they cost little: pw.x reduces their k-points.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import bulk, diamond100, diamond111
from scipy.linalg import expm

import atomistic
from atomistic.espresso import PlaneWaves

SEED = 20261122
LATTICE_CONSTANT = 5.471
"""Of diamond, Angstrom: where the strains start from."""

WEIGHTS = {"slightly strained": 10.0}
"""Of a structure in the loss of a training, where not 1: elastic constants are a small difference of small stresses."""

STRESS_WEIGHTS = dict.fromkeys(("beta-tin", "simple cubic", "surface", "liquid", "amorphous"), 0.1)
"""Of their stress alone: few atoms in metals leave a k-point error of about 0.3 GPa, three times the scale of the loss."""

TEST_EVERY = 5
"""One structure of five is for testing."""

TRAINING_ONLY = 6
"""From this round on every structure is for training: the test split stays as it is, so that potentials can be compared."""
ADDED = 7
"""The round of those structures that were made without a potential and after the split."""

Build = Callable[[int, int, np.random.Generator], Atoms]


@dataclass(frozen=True)
class Group:
    """A group of structures.

    Attributes:
        more: structures after the first `count`, labelled at once and all for training: kinds of which a potential knew too little.
        start: 0 to 1; delays those that cost most, so that a run that is stopped leaves a balanced set.
        k_spacing: 1/A; metals of few atoms need more k-points for an error of about 2 meV/atom (convergence.json).
    """

    name: str
    count: int
    build: Build
    more: int = 0
    start: float = 0.0
    k_spacing: float = PlaneWaves().k_spacing


@dataclass(frozen=True)
class Design:
    """A structure to label; `round` 0 and `ADDED` were made without a potential."""

    atoms: Atoms
    group: str
    split: str
    round: int
    order: float
    k_spacing: float = PlaneWaves().k_spacing


def log_strain(generator: np.random.Generator, largest: float) -> np.ndarray:
    """All six components uniform in [-largest, largest]."""
    upper = np.triu(generator.uniform(-largest, largest, (3, 3)))
    return np.asarray(upper + np.triu(upper, 1).T)


def orthorhombic_strain(generator: np.random.Generator, largest: float) -> tuple[np.ndarray, int]:
    """Three stretches and one shear, the first axis of which is returned: two-fold symmetry about it remains."""
    strain = np.diag(generator.uniform(-largest, largest, 3))
    axis = int(generator.integers(3))
    j, k = (axis + 1) % 3, (axis + 2) % 3
    strain[j, k] = strain[k, j] = generator.uniform(-largest, largest)
    return strain, axis


def rattled(atoms: Atoms, generator: np.random.Generator, deviation: float) -> Atoms:
    """Every coordinate moved by a normal deviate (Angstrom)."""
    atoms.positions += generator.normal(0.0, 1.0, atoms.positions.shape) * deviation
    return atoms


def primitive(largest: float, displacement: float) -> Build:
    """Strained 2-atom cells, every other one of the first fifty and all later ones symmetric; the second atom moved."""

    def build(k: int, _: int, generator: np.random.Generator) -> Atoms:
        cell = bulk("Si", a=LATTICE_CONSTANT)
        move = np.zeros(3)
        if k % 2 == 1 or k >= 50:
            strain, axis = orthorhombic_strain(generator, largest)
            move[axis] = generator.uniform(-displacement, displacement)
        else:
            strain = log_strain(generator, largest)
            move = generator.uniform(-displacement, displacement, 3)
        atoms = atomistic.deform(cell, expm(strain))
        atoms.positions[1] += move
        return atoms

    return build


def equation_of_state(k: int, count: int, _: np.random.Generator) -> Atoms:
    """Diamond from -18 to +25 % of its volume."""
    volume = np.linspace(0.82, 1.25, count)[k]
    return bulk("Si", a=LATTICE_CONSTANT * np.cbrt(volume))


def supercell(atoms: Callable[[], Atoms], largest_strain: float, rattle: tuple[float, float]) -> Build:
    """A strained and rattled cell; the rattle runs through its range in a scrambled order."""

    def build(k: int, count: int, generator: np.random.Generator) -> Atoms:
        strained = atomistic.deform(atoms(), expm(log_strain(generator, largest_strain)))
        # The golden ratio's multiples fill the unit interval evenly at every count.
        fraction = (0.5 + k * 0.6180339887498949) % 1.0
        return rattled(strained, generator, rattle[0] + fraction * (rattle[1] - rattle[0]))

    return build


def cubic_8() -> Atoms:
    return bulk("Si", a=LATTICE_CONSTANT, cubic=True)


def primitive_16() -> Atoms:
    return bulk("Si", a=LATTICE_CONSTANT).repeat(2)


def two_fold(repeat: int, largest_strain: float, rattle: tuple[float, float]) -> Build:
    """Cubic cells stretched along their axes and rattled so that the three two-fold axes through an atom remain.

    The symmetry leaves one k-point of four, without which the cells of 64 atoms would cost as much as all others together.
    """

    def build(k: int, count: int, generator: np.random.Generator) -> Atoms:
        fraction = (0.5 + k * 0.6180339887498949) % 1.0
        stretch = np.diag(np.exp(generator.uniform(-largest_strain, largest_strain, 3)))
        moved = two_fold_moves(repeat, generator) * (rattle[0] + fraction * (rattle[1] - rattle[0]))
        atoms = atomistic.deform(cubic_8().repeat(repeat), stretch)
        atoms.positions += moved
        return atoms

    return build


def two_fold_moves(repeat: int, generator: np.random.Generator) -> np.ndarray:
    """Displacements of unit deviation, symmetric about the two-fold axes along x, y and z through the first atom."""
    atoms = cubic_8().repeat(repeat)
    steps = 4 * repeat
    sites = np.round(atoms.get_scaled_positions() * steps).astype(int) % steps
    number = {tuple(site): i for i, site in enumerate(sites)}
    moves = generator.normal(0.0, 1.0, sites.shape)
    even = np.zeros_like(moves)
    for signs in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
        image = [number[tuple(site)] for site in (sites * signs) % steps]
        even[image] += 0.5 * moves * signs  # The mean of four has half the deviation
    return even


def rattled_8(k: int, count: int, generator: np.random.Generator) -> Atoms:
    """The first thirty without symmetry, the others with three two-fold axes, from the 71st on stretched further."""
    if k < 30:
        return supercell(cubic_8, 0.07, (0.01, 0.15))(k, count, generator)
    return two_fold(1, 0.06 if k < 70 else 0.10, (0.02, 0.14))(k, count, generator)


def hexagonal_diamond(k: int, _: int, generator: np.random.Generator) -> Atoms:
    """Four atoms; a and c strained on their own, the bond along c from 2.25 to 2.55 A."""
    a = LATTICE_CONSTANT / np.sqrt(2.0) * np.exp(generator.uniform(-0.05, 0.06))
    c = LATTICE_CONSTANT * np.sqrt(4.0 / 3.0) * np.exp(generator.uniform(-0.05, 0.06))
    bond = generator.uniform(2.25, 2.55) / c
    sites = [(1 / 3, 2 / 3, z) for z in (0.0, bond)] + [(2 / 3, 1 / 3, 0.5 + z) for z in (0.0, bond)]
    return Atoms("Si4", cell=[a, a, c, 90.0, 90.0, 120.0], scaled_positions=sites, pbc=True)


def beta_tin(k: int, _: int, generator: np.random.Generator) -> Atoms:
    """Body-centred tetragonal cells over volume and c/a; every other one orthorhombic with its sublattices moved apart.

    The first 24 have two atoms, the next ten are cells of four, strained over all components and rattled; all later ones have two again.
    """
    volume = generator.uniform(12.6 if k < 34 else 12.0, 18.0)  # A^3 an atom; equilibrium is near 15.3
    ratio = generator.uniform(0.48, 0.64)
    a = np.cbrt(4.0 * volume / ratio)
    c = ratio * a
    vectors = 0.5 * np.array([[-a, a, c], [a, -a, c], [a, a, -c]])
    atoms = Atoms("Si2", cell=vectors, positions=[[0.0, 0.0, 0.0], [0.0, 0.5 * a, 0.25 * c]], pbc=True)
    if 24 <= k < 34:
        strained = atomistic.deform(atoms.repeat((1, 1, 2)), expm(log_strain(generator, 0.03)))
        return rattled(strained, generator, generator.uniform(0.03, 0.12))
    if k % 2 == 0:
        return atoms
    atoms = atomistic.deform(atoms, np.diag(np.exp(generator.uniform(-0.04, 0.04, 3))))
    atoms.positions[1, 2] += generator.uniform(-0.15, 0.15)
    return atoms


def simple_cubic(k: int, _: int, generator: np.random.Generator) -> Atoms:
    """Over volume: cubic, tetragonal, and tetragonal cells of two atoms whose layers pair up; five rattled cells of eight; then pairs."""
    volume = generator.uniform(13.0 if k < 29 else 12.4, 19.5)  # A^3 an atom; equilibrium is near 16.2
    atoms = bulk("Si", "sc", a=np.cbrt(volume))
    if 24 <= k < 29:
        strained = atomistic.deform(atoms.repeat(2), expm(log_strain(generator, 0.03)))
        return rattled(strained, generator, generator.uniform(0.03, 0.12))
    if k % 3 == 0 and k < 29:
        return atoms
    across, along = np.exp(generator.uniform(-0.06, 0.06, 2))
    atoms = atomistic.deform(atoms, np.diag([across, across, along]))
    if k % 3 == 2 or k >= 29:
        atoms = atoms.repeat((1, 1, 2))
        atoms.positions[1, 2] += generator.uniform(0.05, 0.3)
    return atoms


def vacancy(cell: Callable[[], Atoms]) -> Build:
    """One atom taken out, its neighbours moved by up to 0.3 A towards or from the hole; every other one rattled."""

    def build(k: int, _: int, generator: np.random.Generator) -> Atoms:
        atoms = cell()
        vectors = atoms.get_distances(0, range(1, len(atoms)), mic=True, vector=True)
        distance = np.linalg.norm(vectors, axis=1)
        near = 1 + np.flatnonzero(distance < 2.6)
        inwards = -vectors[near - 1] / distance[near - 1, None]
        atoms.positions[near] += inwards * generator.uniform(-0.1, 0.3)
        del atoms[0]
        if k % 2 == 0:
            stretch = np.exp(generator.uniform(-0.03, 0.03, 3)) if k else np.ones(3)
            return atomistic.deform(atoms, np.diag(stretch))
        atoms = atomistic.deform(atoms, expm(log_strain(generator, 0.03)))
        return rattled(atoms, generator, generator.uniform(0.01, 0.10))

    return build


def vacancy_63(k: int, _: int, generator: np.random.Generator) -> Atoms:
    """One atom of 64 taken out, stretched, its neighbours moved inwards and all atoms rattled with the two-fold axes through the hole."""
    atoms = cubic_8().repeat(2)
    vectors = atoms.get_distances(0, range(len(atoms)), mic=True, vector=True)
    distance = np.linalg.norm(vectors, axis=1)
    near = np.flatnonzero((distance > 0.1) & (distance < 2.6))
    moved = two_fold_moves(2, generator) * generator.uniform(0.03, 0.08)
    moved[near] -= vectors[near] / distance[near, None] * generator.uniform(-0.1, 0.3)
    atoms = atomistic.deform(atoms, np.diag(np.exp(generator.uniform(-0.02, 0.02, 3))))
    atoms.positions += moved
    del atoms[0]
    return atoms


def surface(k: int, _: int, generator: np.random.Generator) -> Atoms:
    """Slabs of eight layers with 9 A of vacuum: (111) cut between double layers, (100) as cut, (100) with (2x1) dimers."""
    kind = k % 2 if 3 <= k < 9 else k % 3  # One of each kind first
    if kind == 0:
        slab = diamond111("Si", size=(1, 1, 10), a=LATTICE_CONSTANT, vacuum=0.0)
        height = np.argsort(slab.positions[:, 2])
        slab = slab[height[1:-1]]
        slab.center(vacuum=4.5, axis=2)
    elif kind == 1:
        slab = diamond100("Si", size=(1, 1, 8), a=LATTICE_CONSTANT, vacuum=4.5)
    else:
        slab = dimerised(diamond100("Si", size=(1, 2, 8), a=LATTICE_CONSTANT, vacuum=4.5))
    slab.pbc = (True, True, False)
    if k >= 3:
        slab = atomistic.deform(slab, expm(np.pad(log_strain(generator, 0.03)[:2, :2], (0, 1))))
        slab = rattled(slab, generator, generator.uniform(0.02, 0.12))
    return slab


def dimerised(slab: Atoms) -> Atoms:
    """The surface atoms of either side moved together along y to 2.35 A and down by a quarter of an Angstrom."""
    height = slab.positions[:, 2]
    for level, outwards in ((height.max(), 1.0), (height.min(), -1.0)):
        first, second = np.flatnonzero(np.abs(height - level) < 0.1)
        closer = 0.5 * (abs(slab.positions[second, 1] - slab.positions[first, 1]) - 2.35)
        slab.positions[[first, second], 1] += np.array([closer, -closer])
        slab.positions[[first, second], 2] -= 0.25 * outwards
    return slab


GROUPS = (
    Group("slightly strained", 74, primitive(0.015, 0.03)),
    Group("strained primitive", 120, primitive(0.08, 0.08)),
    Group("equation of state", 30, equation_of_state),
    Group("rattled 8", 70, rattled_8, more=15),
    Group("rattled 16", 10, supercell(primitive_16, 0.04, (0.03, 0.12)), start=0.9),
    Group("beta-tin", 34, beta_tin, more=30, k_spacing=0.20),
    Group("simple cubic", 29, simple_cubic, more=30, k_spacing=0.16),
    Group("hexagonal diamond", 18, hexagonal_diamond),
    Group("vacancy", 15, vacancy(primitive_16), start=0.8),
    Group("vacancy 63", 3, vacancy_63, start=0.5),
    Group("surface", 25, surface, start=0.1),
    Group("rattled 64", 5, two_fold(2, 0.03, (0.06, 0.10)), start=0.3),
)


def designs() -> Iterator[Design]:
    """All structures of round 0; `order` interleaves the groups."""
    for group in GROUPS:
        for k in range(group.count + group.more):
            generator = np.random.default_rng([SEED, zlib.crc32(group.name.encode()), k])
            atoms = group.build(k, group.count, generator)
            if k < group.count:
                order = group.start + (1.0 - group.start) * (k + 0.5) / group.count
                yield Design(atoms, group.name, split(k), 0, order, group.k_spacing)
            else:
                yield Design(atoms, group.name, "train", ADDED, 0.0, group.k_spacing)


def disordered_spacing(atoms: Atoms, group: str) -> float:
    """Of k-points, 1/A: liquid and amorphous cells of 8 atoms are metals; 0.32 1/A moved their energies by 2 to 5 meV/atom."""
    return 0.20 if len(atoms) <= 8 and group != "surface" else PlaneWaves().k_spacing


def split(k: int) -> str:
    """The k-th of a group: one of five is for testing, the third of each five."""
    return "test" if k % TEST_EVERY == 2 else "train"
