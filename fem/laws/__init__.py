"""Classical hyperelastic laws in closed form: numpy only, accurate to round-off also next to F = I."""

from fem.laws.neo_hooke import NeoHooke
from fem.laws.saint_venant_kirchhoff import SaintVenantKirchhoff
from fem.laws.split_neo_hooke import SplitNeoHooke

__all__ = ["NeoHooke", "SaintVenantKirchhoff", "SplitNeoHooke"]
