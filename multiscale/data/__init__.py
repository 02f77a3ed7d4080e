"""Strain-stress data: what they hold, how they are read, and whether they can come from a potential of the symmetry asked for."""
