"""Figures and the page of a fitted law."""
