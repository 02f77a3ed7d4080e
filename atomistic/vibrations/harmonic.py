r"""What harmonic crystals do: dispersion along the standard path, density of states, heat capacity; sums over the zone by phonopy.

Per cell of N atoms, with n = 1 / (exp(h nu / kT) - 1),

    g(nu) = 1/N_q sum_qj delta(nu - nu_qj),        integral g = 3N,
    F = 1/N_q sum_qj h nu / 2 + kT ln(1 - exp(-h nu / kT)),        C_V = k 1/N_q sum_qj (h nu / kT)^2 n (n + 1)

(Born and Huang 1954, sec. 4; Maradudin et al., Theory of Lattice Dynamics in the Harmonic Approximation, 1971).
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from ase import units
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy.integrate import trapezoid

from atomistic.vibrations.force_constants import ForceConstants
from atomistic.vibrations.with_phonopy import phonopy_of

if TYPE_CHECKING:
    from phonopy import Phonopy

IMAGINARY: Final = 0.01
"""Frequencies (THz) nearer to zero than this say nothing of stability: the round-off of translations, magnified by the root."""

MESH: Final = 20
"""Wave vectors along each reciprocal lattice vector of a primitive cell."""


class ImaginaryModes(ValueError):
    """The structure is no minimum: it has no free energy of vibrations."""


class UnstableStructure(UserWarning):
    """Modes with imaginary frequencies, given as negative numbers."""


@dataclass(frozen=True)
class Dispersion:
    """Frequencies along a path through the Brillouin zone.

    Attributes:
        wave_vectors: in units of the reciprocal lattice vectors.
        distance: along the path, 1/A with the 2 pi.
        frequencies: THz, ascending at each wave vector, imaginary ones negative.
        labels: names of the special points, and their distances.
    """

    wave_vectors: Float[ndarray, "n 3"]
    distance: Float[ndarray, "n"]
    frequencies: Float[ndarray, "n modes"]
    labels: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class DensityOfStates:
    """Modes per THz and cell.

    Attributes:
        frequencies: THz, evenly spaced; imaginary ones are negative.
        density: modes per THz.
    """

    frequencies: Float[ndarray, "n"]
    density: Float[ndarray, "n"]

    @property
    def modes(self) -> float:
        """Integral of the density: three for each atom."""
        return float(trapezoid(self.density, self.frequencies))

    def smeared(self, resolution_thz: float) -> "DensityOfStates":
        """The same under a Gaussian of standard deviation `resolution_thz`, on frequencies that hold its tails.

        Raises:
            ValueError: where the resolution is not positive.
        """
        if not resolution_thz > 0.0:
            raise ValueError(f"resolution_thz = {resolution_thz}, expected a positive number")
        step = float(self.frequencies[1] - self.frequencies[0])
        beyond = int(np.ceil(6.0 * resolution_thz / step))
        kernel = np.exp(-0.5 * (np.arange(-beyond, beyond + 1) * step / resolution_thz) ** 2)
        wide = self.frequencies[0] + step * np.arange(-beyond, len(self.frequencies) + beyond)
        return DensityOfStates(wide, np.convolve(self.density, kernel / kernel.sum()))


@dataclass(frozen=True)
class HarmonicThermodynamics:
    """Vibrations of a cell at fixed volume.

    Attributes:
        temperatures: K.
        free_energy: eV per cell, zero-point energy included.
        entropy: eV/K per cell.
        heat_capacity: C_V, eV/K per cell.
    """

    temperatures: Float[ndarray, "n"]
    free_energy: Float[ndarray, "n"]
    entropy: Float[ndarray, "n"]
    heat_capacity: Float[ndarray, "n"]


def dispersion(constants: ForceConstants, path: str | None = None, *, points: int = 200) -> Dispersion:
    """Frequencies along the standard path of the crystal's lattice (ASE's band path), or one such as "GXWKGL".

    Args:
        constants: of a primitive cell.
        path: special points of the lattice; a comma where the path jumps.
        points: wave vectors in all.

    Raises:
        PhonopyMissing: where phonopy is not installed.

    Warns:
        UnstableStructure: for imaginary frequencies, with the lowest and its wave vector.
    """
    cell = constants.crystal.cell
    band_path = cell.bandpath(path, npoints=points)
    q = np.asarray(band_path.kpts)
    frequencies = np.asarray(phonopy_of(constants).run_qpoints(q).frequencies)
    distance, where, names = band_path.get_linear_kpoint_axis()
    if lowest := lowest_mode(q, frequencies):
        warnings.warn(f"{lowest}: the structure is no minimum along this mode", UnstableStructure, stacklevel=2)
    labels = tuple((float(at), str(name)) for at, name in zip(where, names, strict=True))
    return Dispersion(q, np.asarray(distance), frequencies, labels)


def density_of_states(
    constants: ForceConstants, *, mesh: int | tuple[int, int, int] = MESH, step_thz: float = 0.05
) -> DensityOfStates:
    """Density of states by the tetrahedron method (P. E. Bloechl et al., Phys. Rev. B 49 (1994) 16223, as phonopy has it).

    Raises:
        PhonopyMissing: where phonopy is not installed.
        ValueError: for a step or mesh that is not positive.

    Warns:
        UnstableStructure: for imaginary frequencies, with the lowest and its wave vector.
    """
    if not step_thz > 0.0:
        raise ValueError(f"step_thz = {step_thz}, expected a positive number")
    phonopy, found, lowest = _on_mesh(constants, mesh)
    if lowest:
        warnings.warn(f"{lowest}: the structure is no minimum along this mode", UnstableStructure, stacklevel=2)
    low, high = min(0.0, float(found.min())) - step_thz, float(found.max()) + 2.0 * step_thz
    total = phonopy.run_total_dos(freq_min=low, freq_max=high, freq_pitch=step_thz)
    return DensityOfStates(np.asarray(total.frequency_points), np.asarray(total.dos))


def thermal_properties(
    constants: ForceConstants,
    temperatures: ArrayLike,
    *,
    mesh: int | tuple[int, int, int] = MESH,
    classical: bool = False,
) -> HarmonicThermodynamics:
    """Free energy, entropy and heat capacity at fixed volume; the three translations at Gamma are left out.

    With `classical` statistics they are what molecular dynamics samples: no zero-point energy, 3N k at all temperatures, which must then be
    above zero.

    Raises:
        ImaginaryModes: naming the lowest frequency and its wave vector.
        PhonopyMissing: where phonopy is not installed.
        ValueError: for temperatures below zero, classical ones at zero, and a mesh that is not positive.
    """
    T = np.asarray(temperatures, dtype=np.float64)
    if T.ndim != 1 or not (np.isfinite(T) & (T >= 0.0)).all():
        raise ValueError(f"temperatures = {T}, expected a row of numbers not below zero")
    if classical and not T.all():
        raise ValueError("a temperature is zero, where the classical entropy is minus infinity; expected positive ones")
    phonopy, _, lowest = _on_mesh(constants, mesh)
    if lowest:
        raise ImaginaryModes(
            f"{lowest}, expected real frequencies: a structure that is no minimum has no free energy of vibrations; follow this mode to a "
            "minimum and relax there"
        )
    found = phonopy.run_thermal_properties(temperatures=T, exclude_gamma_acoustic=True, classical=classical)
    # phonopy gives kJ/mol and J/K/mol
    return HarmonicThermodynamics(
        temperatures=T,
        free_energy=np.asarray(found.free_energy) * units.kJ / units.mol,
        entropy=np.asarray(found.entropy) * units.J / units.mol,
        heat_capacity=np.asarray(found.heat_capacity) * units.J / units.mol,
    )


def _on_mesh(
    constants: ForceConstants, mesh: int | tuple[int, int, int]
) -> tuple["Phonopy", Float[ndarray, "wave_vectors modes"], str]:
    numbers = (mesh, mesh, mesh) if isinstance(mesh, int) else mesh
    if min(numbers) < 1:
        raise ValueError(f"mesh = {mesh}, expected positive numbers")
    phonopy = phonopy_of(constants)
    grid = phonopy.run_mesh(numbers, is_gamma_center=True)
    frequencies = np.asarray(grid.frequencies)
    return phonopy, frequencies, lowest_mode(np.asarray(grid.qpoints), frequencies)


def lowest_mode(wave_vectors: Float[ndarray, "n 3"], frequencies: Float[ndarray, "n modes"]) -> str:
    """What is to be said of the lowest imaginary frequency; nothing where there is none."""
    if frequencies.min() > -IMAGINARY:
        return ""
    k, mode = np.unravel_index(int(frequencies.argmin()), frequencies.shape)
    q = ", ".join(f"{x:.4g}" for x in wave_vectors[k] + 0.0)
    count = int((frequencies < -IMAGINARY).sum())
    return (
        f"{count} of {frequencies.size} frequencies are imaginary, the lowest {-frequencies[k, mode]:.3g}i THz at q = ({q}) in units of "
        "the reciprocal lattice vectors"
    )
