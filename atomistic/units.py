"""Units of the atomistic room: eV, Angstrom, K, amu (those of ASE); stress in eV/A^3."""

from typing import Final

EV_PER_CUBIC_ANGSTROM_IN_GPA: Final = 160.21766208
"""One eV/A^3 in GPa: 1.6021766208e-19 J / 1e-30 m^3 (CODATA 2014)."""
