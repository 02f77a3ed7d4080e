"""Vibrations of silicon: frequencies, heat capacity and thermal expansion from a potential's own second derivatives.

    python examples/vibrations.py [--help]

Chains of springs against their closed form; a network trained on Stillinger and Weber's silicon against that potential itself, its sound
against its elastic constants, its density of states and expansion against molecular dynamics; and a potential fitted to density
functional theory against neutron scattering, calorimetry and dilatometry.
"""

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.io import read
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import atomistic
from atomistic import NeuralCalculator, NeuralPotential, vibrations

GPA = atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA
JOULE_PER_MOLE_OF_ATOMS = units.mol / units.J / 2.0
DATASET = Path(__file__).parent / "data" / "silicon_pbe" / "silicon_pbe.extxyz"

SPECIAL = {"G": (0.0, 0.0, 0.0), "X": (0.5, 0.0, 0.5), "L": (0.5, 0.5, 0.5)}
STILLINGER_WEBER = {"G": (17.83,), "L": (4.70, 11.77, 13.40, 16.77)}
SW_REACH = 2.0 * 3.77118
"""Twice the cutoff of Stillinger and Weber's potential, A."""
NEUTRONS = {"G": (15.53,), "X": (4.49, 12.32, 13.90), "L": (3.43, 11.35, 12.60, 14.68)}
"""THz at 300 K: G. Dolling (1963), G. Nilsson and G. Nelin, Phys. Rev. B 6 (1972) 3777."""
PBE_GAMMA = 14.61
"""THz, by the very calculations that the potential was fitted to (data/silicon_pbe/README.md)."""
CALORIMETRY = {100.0: 7.27, 200.0: 15.64, 298.15: 20.00, 400.0: 22.14, 500.0: 23.33, 600.0: 24.15}
"""C_p, J/K/mol: NIST-JANAF tables."""
DIAMOND = (
    "slightly strained",
    "strained primitive",
    "equation of state",
    "rattled 8",
    "rattled 16",
    "rattled 64",
    "vacancy",
    "vacancy 63",
    "hexagonal diamond",
)
TEMPERATURES = np.concatenate([np.arange(10.0, 200.0, 10.0), np.arange(200.0, 1201.0, 50.0)])
DIRECTIONS = {"[100]": (1.0, 0.0, 0.0), "[110]": (1.0, 1.0, 0.0), "[111]": (1.0, 1.0, 1.0), "[123]": (1.0, 2.0, 3.0)}
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"


def measured_expansion(temperature: np.ndarray) -> np.ndarray:
    """Linear, 1/K, 120 to 1500 K: Y. Okada and Y. Tokumaru, J. Appl. Phys. 56 (1984) 314."""
    return np.asarray((3.725 * (1.0 - np.exp(-5.88e-3 * (temperature - 124.0))) + 5.548e-4 * temperature) * 1e-6)


def distinct(frequencies: np.ndarray) -> np.ndarray:
    """Branches that are degenerate at a special point counted once, translations left out."""
    return np.array([f for k, f in enumerate(frequencies) if f > 0.1 and (k == 0 or f - frequencies[k - 1] > 0.01)])


@dataclass(frozen=True)
class Silicon:
    """A potential, the crystal at rest in it, and its force constants."""

    potential: NeuralPotential
    crystal: Atoms
    constants: vibrations.ForceConstants

    @property
    def calculator(self) -> NeuralCalculator:
        """A new calculator."""
        return NeuralCalculator(self.potential)

    @property
    def lattice_constant(self) -> float:
        """Of the cube, A."""
        return float(np.cbrt(4.0 * self.crystal.get_volume()))


def silicon(potential: NeuralPotential, near: float) -> Silicon:
    """At rest near a lattice constant."""
    crystal = atomistic.relax_crystal(bulk("Si", a=near), NeuralCalculator(potential), force_tolerance=1e-9).atoms
    return Silicon(potential, crystal, vibrations.force_constants(potential, crystal))


def chains() -> None:
    """One and two atoms a period."""
    springs = vibrations.Springs(stiffness=3.0, length=2.0, cutoff=2.5)
    q = np.linspace(0.0, 0.5, 51)[1:]
    path = np.column_stack([q, 0.0 * q, 0.0 * q])
    print("chains of springs, largest error (THz)")
    for masses in ((28.0,), (12.0, 40.0)):
        constants = vibrations.force_constants(springs, vibrations.chain(springs, masses))
        expected = vibrations.chain_frequencies(springs, masses, q)
        for name, found in (
            ("own dynamical matrix", constants.frequencies(path)),
            ("phonopy's", np.asarray(vibrations.phonopy_of(constants).run_qpoints(path).frequencies)),
        ):
            error = np.abs(np.sort(found, axis=1)[:, -len(masses) :] - expected).max()
            print(f"  {len(masses)} atoms a period, {name:<22}{error:8.1e}")
            assert error < 1e-8, error


def trained(scale: float, seed: int) -> tuple[Silicon, vibrations.ForceConstants]:
    """A network of 300 labelled structures, and force constants of what labelled them."""
    reference = atomistic.reference_calculator("stillinger-weber")
    relaxed = atomistic.relax_crystal(bulk("Si", a=5.43), reference).atoms
    groups = atomistic.default_groups(scale)
    structures = atomistic.label_configurations(relaxed, reference, max_strain=0.06, seed=0, groups=groups)
    settings = atomistic.TrainingSettings(radial=8, angular=5, hidden=(12, 12), epochs=10, cycles=2, iterations=50)
    print(f"\nStillinger-Weber: a network trained on {len(structures)} structures")
    potential = atomistic.train(structures, settings, seed=seed).potential
    true = vibrations.force_constants_by_differences(relaxed, reference, reach=SW_REACH)
    return silicon(potential, 5.43), true


def compare_frequencies(network: Silicon, true: vibrations.ForceConstants) -> None:
    """At Gamma and L against published ones, and exact ones against differences."""
    print(f"{'THz':>6}{'published':>12}{'SW itself':>12}{'network':>12}")
    for point, published in STILLINGER_WEBER.items():
        q = [SPECIAL[point]]
        itself, learned = distinct(true.frequencies(q)[0]), distinct(network.constants.frequencies(q)[0])
        for expected, by_itself, by_network in zip(published, itself, learned, strict=True):
            print(f"{point:>6}{expected:12.2f}{by_itself:12.3f}{by_network:12.3f}")
            assert abs(by_itself - expected) < 0.01, (point, by_itself)
            assert abs(by_network - expected) < 0.2, (point, by_network)
    wave_vectors = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3))
    by_differences = vibrations.force_constants_by_differences(network.crystal, network.calculator)
    difference = network.constants.frequencies(wave_vectors) - by_differences.frequencies(wave_vectors)
    print(f"exact less finite differences at 50 wave vectors: at most {np.abs(difference).max():.1e} THz")
    assert np.abs(difference).max() < 1e-3


def compare_sound(network: Silicon) -> None:
    """Slopes against the acoustic tensor."""
    directions = list(DIRECTIONS.values())
    stiffness = atomistic.elastic_constants(network.crystal, network.calculator)
    slopes = vibrations.speeds_of_sound(network.constants, directions)
    continuum = vibrations.christoffel_speeds(stiffness, network.crystal, directions)
    print("speeds of sound (km/s): slopes of the branches, elastic constants")
    for name, own, expected in zip(DIRECTIONS, slopes, continuum, strict=True):
        print(f"  {name}  " + "   ".join(f"{a:.4f} {b:.4f}" for a, b in zip(own, expected, strict=True)))
    print(f"  largest deviation {np.abs(slopes / continuum - 1.0).max():.1e}")
    assert np.abs(slopes / continuum - 1.0).max() < 0.01


def compare_dynamics(
    network: Silicon, temperature: float, atoms: int, steps: int, seed: int, mesh: int
) -> tuple[vibrations.DensityOfStates, vibrations.DensityOfStates]:
    """Harmonic density of states and that of the velocities, smeared alike."""
    resolution = 0.3
    harmonic = vibrations.density_of_states(network.constants, mesh=mesh)
    moving = vibrations.dynamics_density_of_states(
        network.crystal,
        network.calculator,
        temperature=temperature,
        seed=seed,
        steps=steps,
        minimum_atoms=atoms,
        resolution_thz=resolution,
    )
    smeared = harmonic.smeared(resolution)
    at = moving.frequencies
    # the wave vectors that fit into the cells of the run; three of their modes do not move
    cells = int(np.ceil(np.cbrt(atoms / 2) - 1e-9))
    fitting = np.stack(np.meshgrid(*[np.arange(cells) / cells] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    modes = np.sort(network.constants.frequencies(fitting).ravel())[3:]
    alike = np.exp(-0.5 * ((at[:, None] - modes) / resolution) ** 2).sum(1)
    alike *= 6.0 / np.trapezoid(alike, at)
    everywhere = np.interp(at, smeared.frequencies, smeared.density, right=0.0)
    apart, apart_from_all = (np.trapezoid(np.abs(moving.density - one), at) / 12.0 for one in (alike, everywhere))
    print(
        f"density of states: {harmonic.modes:.3f} modes a cell harmonic, {moving.modes:.3f} of velocities at {temperature:g} K; "
        f"{apart:.1%} of them elsewhere than the harmonic modes of as many atoms, {apart_from_all:.1%} than those of all wave vectors"
    )
    assert abs(harmonic.modes - 6.0) < 0.03 and abs(moving.modes - 6.0) < 1e-6
    assert apart < 0.06 and apart_from_all < 0.1
    return smeared, moving


def compare_expansion(network: Silicon, temperature: float, steps: int, seed: int) -> vibrations.QuasiHarmonic:
    """Quasi-harmonic expansion, quantum and classical, and the cell of constant-pressure dynamics."""
    quantum = vibrations.quasi_harmonic(network.crystal, network.calculator, TEMPERATURES)
    classical = vibrations.quasi_harmonic(network.crystal, network.calculator, [temperature], classical=True, mesh=12)
    run = atomistic.npt_average(
        network.crystal, network.calculator, temperature=temperature, seed=seed, steps=steps, minimum_atoms=120
    )
    stretch = float(np.trace(run.stretch)) / 3.0
    error = float(np.sqrt((np.diag(run.stretch_error) ** 2).sum())) / 3.0
    print(
        f"lengths at {temperature:g} K over those at rest: {classical.stretch[0]:.5f} by classical quasi-harmonics, "
        f"{stretch:.5f} +- {error:.5f} by dynamics at constant pressure"
    )
    assert abs(stretch - classical.stretch[0]) < 3.0 * error + 5e-4
    return quantum


def fitted(groups: Sequence[str] | None, centres: int) -> Silicon:
    """Gaussians on the structures of density functional theory that are for training."""
    structures = [
        atoms
        for atoms in read(DATASET, ":")
        if atoms.info["split"] == "train" and (groups is None or atoms.info["group"] in groups)
    ]
    settings = atomistic.TrainingSettings(
        energy_error=1e-3,
        cutoff_over_nearest=2.84,
        angular_cutoff_over_nearest=2.40,
        angular=9,
        whitening_power=0.4,
    )
    print(f"\ndensity functional theory (PBE): Gaussians fitted to {len(structures)} structures")
    return silicon(atomistic.fit_gaussians(structures, settings, centres=centres).potential, 5.47)


def compare_with_measurements(fit: Silicon, expansion: vibrations.QuasiHarmonic) -> None:
    """Frequencies, heat capacity and expansion of the fitted potential."""
    print(f"lattice constant {fit.lattice_constant:.4f} A")
    (gamma,) = distinct(fit.constants.frequencies([SPECIAL["G"]])[0])
    print(f"optical mode at Gamma {gamma:.2f} THz, by its own DFT {PBE_GAMMA:.2f}, measured {NEUTRONS['G'][0]:.2f}")
    assert abs(gamma - PBE_GAMMA) < 0.5
    for point, measured in NEUTRONS.items():
        found = distinct(fit.constants.frequencies([SPECIAL[point]])[0])
        print(
            f"  {point}: "
            + "  ".join(f"{a:6.2f} ({b:.2f})" for a, b in zip(found, measured, strict=True))
            + "  (measured)"
        )
        assert np.abs(found - np.array(measured)).max() < 1.0
    capacities = expansion.heat_capacity_pressure * JOULE_PER_MOLE_OF_ATOMS
    for temperature, measured in CALORIMETRY.items():
        found = float(np.interp(temperature, expansion.temperatures, capacities))
        print(f"  C_p({temperature:6.2f} K) {found:6.2f} J/K/mol, measured {measured:.2f}")
        assert abs(found - measured) < 1.0
    alpha = np.interp([300.0, 1000.0], expansion.temperatures, expansion.linear_expansion)
    least = int(expansion.linear_expansion.argmin())
    print(
        f"  linear expansion {1e6 * alpha[0]:.2f}e-6/K at 300 K ({1e6 * measured_expansion(np.array(300.0)):.2f}), "
        f"{1e6 * alpha[1]:.2f}e-6/K at 1000 K ({1e6 * measured_expansion(np.array(1000.0)):.2f}), least "
        f"{1e6 * expansion.linear_expansion[least]:.2f}e-6/K at {expansion.temperatures[least]:.0f} K (-0.5 near 80 K)"
    )
    assert expansion.linear_expansion[least] < 0.0 and expansion.temperatures[least] < 130.0
    assert abs(alpha[0] - 2.57e-6) < 1e-6


def draw_bands(axes: Axes, bands: vibrations.Dispersion, points: dict[str, tuple[float, ...]], label: str) -> None:
    """Branches, and values known at special points."""
    axes.plot(bands.distance, bands.frequencies, color=BLUE, linewidth=1.0)
    for place, name in bands.labels:
        axes.axvline(place, color="0.8", linewidth=0.6, zorder=0)
        known = points.get(name, ())
        axes.plot([place] * len(known), known, "o", color=ORANGE, markersize=4, clip_on=False, label=label)
        label = label if not known else "_"
    axes.set_xticks([place for place, _ in bands.labels], [n.replace("G", "Γ") for _, n in bands.labels])
    axes.set_xlim(bands.distance[0], bands.distance[-1])
    axes.set_ylim(0.0, None)
    axes.set_ylabel("frequency (THz)")


def draw(
    path: str,
    network: Silicon,
    densities: tuple[vibrations.DensityOfStates, vibrations.DensityOfStates],
    temperature: float,
    fit: Silicon | None,
    expansions: dict[str, vibrations.QuasiHarmonic],
) -> None:
    """Dispersions, densities of states, heat capacity and expansion."""
    matplotlib.use("Agg")
    figure = Figure(figsize=(11.0, 7.5))
    grid = figure.add_gridspec(2, 20, hspace=0.27, wspace=1.6, left=0.06, right=0.98, bottom=0.07, top=0.95)
    bands, density, neutrons = (
        figure.add_subplot(grid[0, part]) for part in (slice(0, 8), slice(8, 12), slice(13, 20))
    )
    route = "GXWKGL"
    draw_bands(bands, vibrations.dispersion(network.constants, route), STILLINGER_WEBER, "Stillinger-Weber, published")
    bands.set_title("network trained on Stillinger-Weber")
    bands.legend(loc="lower center", fontsize=8)
    harmonic, moving = densities
    density.plot(harmonic.density, harmonic.frequencies, color=BLUE, label="harmonic")
    density.plot(
        moving.density, moving.frequencies, color=ORANGE, linewidth=1.0, label=f"velocities, {temperature:g} K"
    )
    density.set(ylim=bands.get_ylim(), xlabel="modes per THz and cell", xlim=(0.0, None), title="density of states")
    density.tick_params(labelleft=False)
    density.legend(fontsize=7, loc="lower right")
    if fit is None:
        neutrons.set_axis_off()
    else:
        draw_bands(neutrons, vibrations.dispersion(fit.constants, route), NEUTRONS, "neutrons, 300 K")
        neutrons.set_title("potential fitted to PBE")
        neutrons.legend(loc="lower center", fontsize=8)
    capacity, expansion = figure.add_subplot(grid[1, :10]), figure.add_subplot(grid[1, 11:])
    for (name, found), colour in zip(expansions.items(), (BLUE, GREEN), strict=False):
        heat = found.heat_capacity_pressure * JOULE_PER_MOLE_OF_ATOMS
        capacity.plot(found.temperatures, heat, color=colour, label=name)
        expansion.plot(found.temperatures, 1e6 * found.linear_expansion, color=colour, label=name)
    capacity.plot(list(CALORIMETRY), list(CALORIMETRY.values()), "o", color=ORANGE, label="calorimetry")
    capacity.axhline(3.0 * units.kB * units.mol / units.J, color="0.6", linestyle=":", label="3R")
    capacity.set(xlabel="temperature (K)", ylabel="$C_p$ (J/K per mole of atoms)", xlim=(0, 1200), ylim=(0, None))
    capacity.legend(fontsize=8)
    measured = np.linspace(120.0, 1200.0, 100)
    expansion.plot(measured, 1e6 * measured_expansion(measured), color=ORANGE, linestyle="--", label="dilatometry")
    expansion.axhline(0.0, color="0.8", linewidth=0.6)
    expansion.set(xlabel="temperature (K)", ylabel="linear expansion (10$^{-6}$/K)", xlim=(0, 1200))
    expansion.legend(fontsize=8)
    figure.savefig(path, dpi=90)


def main(arguments: Sequence[str] | None = None) -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=float, default=0.43, help="Stillinger-Weber ones, in units of 694")
    parser.add_argument("--temperature", type=float, default=300.0, help="of the velocities' density of states, K")
    parser.add_argument("--atoms", type=int, default=686, help="of the run for it")
    parser.add_argument("--steps", type=int, default=3000, help="of the run for it")
    parser.add_argument("--hot", type=float, default=800.0, help="temperature of the run at constant pressure, K")
    parser.add_argument("--hot-steps", type=int, default=6000, help="of that run")
    parser.add_argument(
        "--mesh", type=int, default=24, help="wave vectors along each direction for the density of states"
    )
    parser.add_argument("--pbe", choices=["diamond", "all", "none"], default="diamond", help="structures to fit there")
    parser.add_argument("--pbe-centres", type=int, default=1000, help="Gaussians there")
    parser.add_argument("--seed", type=int, default=0, help="of training and molecular dynamics")
    parser.add_argument("--picture", default="vibrations.png", help="where to draw")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", atomistic.DuplicateStructures)

    chains()
    network, true = trained(options.structures, options.seed)
    compare_frequencies(network, true)
    compare_sound(network)
    densities = compare_dynamics(network, options.temperature, options.atoms, options.steps, options.seed, options.mesh)
    expansions = {"Stillinger-Weber": compare_expansion(network, options.hot, options.hot_steps, options.seed)}
    fit = None
    if options.pbe != "none":
        fit = fitted(None if options.pbe == "all" else DIAMOND, options.pbe_centres)
        expansions["PBE"] = vibrations.quasi_harmonic(fit.crystal, fit.calculator, TEMPERATURES)
        compare_with_measurements(fit, expansions["PBE"])
    draw(options.picture, network, densities, options.temperature, fit, expansions)


if __name__ == "__main__":
    main()
