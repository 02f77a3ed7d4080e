"""Energy-volume curves: Stillinger and Weber's phases, relaxations at constant volume, and phases that do not survive them."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones

import atomistic
from atomistic.phases import (
    EnergyVolume,
    MinimumNotBracketed,
    PhaseChanged,
    UnknownPhase,
    common_tangent,
    energy_volume,
    equal_enthalpy,
    prototype,
    ranking,
    structure_name,
)
from atomistic.phases.prototypes import PROTOTYPES, beta_tin

VOLUMES = {
    "diamond": np.linspace(16.5, 21.5, 6),
    "beta-tin": np.linspace(15.6, 18.6, 6),
    "simple cubic": np.linspace(16.4, 19.2, 6),
    "bcc": np.linspace(16.0, 18.2, 6),
}


@pytest.fixture(scope="module")
def reference() -> Calculator:
    return atomistic.reference_calculator("stillinger-weber")


@pytest.fixture(scope="module")
def curves(reference: Calculator) -> dict[str, EnergyVolume]:
    return {name: energy_volume(name, prototype(name), reference, VOLUMES.get(name)) for name in PROTOTYPES}


def test_order_of_stillinger_and_weber(curves: dict[str, EnergyVolume]) -> None:
    above = ranking([one.equation_of_state() for one in curves.values()])
    assert list(above) == ["diamond", "beta-tin", "simple cubic", "bcc", "fcc"]
    for name, energy in (("fcc", 0.396), ("bcc", 0.281), ("simple cubic", 0.275)):
        assert above[name] == pytest.approx(energy, abs=1e-3)
    diamond = curves["diamond"].equation_of_state()
    assert diamond.energy0 == pytest.approx(-4.3366, abs=1e-4)  # 2 eps of Stillinger and Weber with eps = 2.1683 eV
    assert np.cbrt(8.0 * diamond.volume0) == pytest.approx(5.431, abs=1e-3)
    # (C11 + 2 C12)/3 of the same potential: 151.4 and 76.4 GPa (Balamane and others, Phys. Rev. B 46 (1992) 2250)
    assert diamond.bulk_modulus0 * atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA == pytest.approx(101.4, abs=0.5)


def test_pressure_of_the_fit_is_that_of_the_stress(curves: dict[str, EnergyVolume]) -> None:
    for name in ("diamond", "simple cubic"):
        one = curves[name]
        curve = one.equation_of_state()
        np.testing.assert_allclose(curve.pressure(one.volumes), one.pressures, atol=3e-3 * curve.bulk_modulus0)


def test_transition_by_enthalpies_and_by_the_tangent(curves: dict[str, EnergyVolume]) -> None:
    pair = curves["diamond"].equation_of_state(), curves["beta-tin"].equation_of_state()
    found, touching = equal_enthalpy(*pair), common_tangent(*pair)
    assert found.phases == touching.phases == ("diamond", "beta-tin")
    assert found.pressure == pytest.approx(touching.pressure, abs=1e-12)
    assert found.volumes == pytest.approx(touching.volumes, rel=1e-10)
    assert found.pressure * atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA == pytest.approx(18.1, abs=0.1)


def test_shape_is_relaxed_at_constant_volume(curves: dict[str, EnergyVolume], reference: Calculator) -> None:
    for volume, energy, atoms in zip(
        VOLUMES["beta-tin"], curves["beta-tin"].energies, curves["beta-tin"].structures, strict=True
    ):
        assert atoms.get_volume() == pytest.approx(2.0 * volume, rel=1e-10)
        assert structure_name(atoms) == "beta-tin"
        near = []
        ratio = _ratio(atoms)
        for factor in (0.99, 1.01):
            other = beta_tin("Si", volume, factor * ratio)
            other.calc = reference
            near.append(other.get_potential_energy() / 2)
        assert energy < min(near)


def _ratio(atoms: Atoms) -> float:
    """c/a of beta-tin from its primitive vectors: the sums of two are the conventional ones."""
    vectors = atoms.cell.array
    return float(np.linalg.norm(vectors[0] + vectors[1]) / np.linalg.norm(vectors[1] + vectors[2]))


def test_atoms_of_the_users_own(reference: Calculator) -> None:
    doubled = prototype("diamond", volume=19.0).repeat((1, 1, 2))
    found = energy_volume("mine", doubled, reference, np.linspace(18.5, 21.5, 5)).equation_of_state()
    assert found.name == "mine"
    assert found.volume0 == pytest.approx(20.02, abs=0.01) and found.energy0 == pytest.approx(-4.3366, abs=2e-4)


@pytest.mark.parametrize("name", PROTOTYPES)
def test_structures_are_named(name: str) -> None:
    atoms = prototype(name, volume=17.0)
    assert atoms.get_volume() / len(atoms) == pytest.approx(17.0)
    assert structure_name(atoms.repeat(2)) == name
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = atomistic.deform(atoms, rotation * np.sign(np.linalg.det(rotation)))
    turned.positions += np.random.default_rng(1).normal(0.0, 0.005, turned.positions.shape)
    assert structure_name(turned) == name


def test_structures_without_a_name() -> None:
    assert structure_name(atomistic.deform(prototype("fcc"), np.diag([1.3, 1.0, 0.8]))) == "Fmmm, 1 atom"


def test_a_phase_that_becomes_another_is_named(reference: Calculator) -> None:
    tall = beta_tin("Si", 20.0, 1.2)
    with pytest.raises(PhaseChanged, match=r"tall at 20 A\^3/atom was beta-tin and became diamond"):
        energy_volume("tall", tall, reference, [20.0])


def test_an_unstable_phase_leaves_when_free(reference: Calculator) -> None:
    free = {"relaxation": "free", "force_tolerance": 1e-2}
    fcc = prototype("fcc", volume=17.82).repeat(2)
    assert energy_volume("fcc", fcc, reference, [17.82]).energies[0] == pytest.approx(-3.9403, abs=1e-4)
    with pytest.raises(PhaseChanged, match=r"fcc at 17\.82.* was fcc and became"):
        energy_volume("fcc", fcc, reference, [17.82], **free)  # type: ignore[arg-type]
    stays = energy_volume("diamond", prototype("diamond").repeat(2), reference, [20.02], **free)  # type: ignore[arg-type]
    assert stays.energies[0] == pytest.approx(-4.3366, abs=1e-4)


class Pairing(LennardJones):
    """Attracts at short range, so that atoms fall on each other."""

    def __init__(self) -> None:
        super().__init__(sigma=0.9, epsilon=3.0, rc=3.5, smooth=True)


def test_a_phase_that_collapses_is_named() -> None:
    loose = Atoms("Si2", cell=np.diag([3.0, 3.0, 5.0]), positions=[[0.0, 0.0, 0.0], [0.0, 0.0, 2.3]], pbc=True)
    with pytest.raises(PhaseChanged, match=r"pairs at 22\.5 .* collapsed .* nearest atoms came from 2\.3 to"):
        energy_volume("pairs", loose, Pairing(), [22.5])


def test_a_relaxation_that_does_not_end(reference: Calculator) -> None:
    with pytest.raises(atomistic.RelaxationFailed, match=r"beta-tin at 16\.5 .* in 1 steps; try more"):
        energy_volume("beta-tin", prototype("beta-tin"), reference, [16.5], max_steps=1)


def test_two_branches_are_refused(reference: Calculator) -> None:
    """c/a of beta-tin under Stillinger and Weber runs off to 0.8 when squeezed this hard: not the phase of larger volumes."""
    with pytest.raises(PhaseChanged, match="two branches"):
        energy_volume("beta-tin", prototype("beta-tin"), reference, [13.0, 18.0])


def test_no_minimum_in_reach(reference: Calculator) -> None:
    with pytest.raises(MinimumNotBracketed, match="no minimum between"):
        energy_volume("diamond", prototype("diamond", volume=60.0), reference, relaxation="none")


def test_unknown_names_and_volumes(reference: Calculator) -> None:
    with pytest.raises(UnknownPhase, match="'beta tin', expected one of"):
        prototype("beta tin")
    with pytest.raises(ValueError, match="volume = -1"):
        prototype("fcc", volume=-1.0)
    with pytest.raises(ValueError, match="expected a list of positive numbers"):
        energy_volume("fcc", prototype("fcc"), reference, [17.0, -1.0])
