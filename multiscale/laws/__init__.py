"""Hyperelastic potentials: their networks, closed forms, C kernel and files."""
