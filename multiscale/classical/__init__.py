"""Classical hyperelastic laws: what a network has to beat.

`IsotropicLaw` makes a law of one of the potentials; Saint Venant-Kirchhoff of any constants is `fem.laws.SaintVenantKirchhoff`.
"""

from multiscale.classical.isotropic import IsotropicLaw, VolumeChange
from multiscale.classical.potentials import (
    ArrudaBoyce,
    BeyondLocking,
    Carroll,
    Gent,
    InvalidParameters,
    MooneyRivlin,
    NeoHooke,
    Ogden,
    Potential,
    Yeoh,
)
from multiscale.classical.third_order import ThirdOrderElasticity

__all__ = [
    "ArrudaBoyce",
    "BeyondLocking",
    "Carroll",
    "Gent",
    "InvalidParameters",
    "IsotropicLaw",
    "MooneyRivlin",
    "NeoHooke",
    "Ogden",
    "Potential",
    "ThirdOrderElasticity",
    "VolumeChange",
    "Yeoh",
]
