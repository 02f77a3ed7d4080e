"""Fits of laws to strain-stress data, by least squares in closed form."""
