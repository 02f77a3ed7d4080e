"""Treloar's rubber: which law predicts a kind of test that it was not fitted to? A convex network among the classical laws.

python examples/treloar.py
"""

import warnings
from pathlib import Path

import multiscale

FOLDER = Path(__file__).parent / "data" / "treloar"

tests = [multiscale.MeasuredTest.read(FOLDER / f"{kind}.csv", kind) for kind in ("uniaxial", "planar", "equibiaxial")]
candidates = [*multiscale.classical_models(), multiscale.ConvexNetwork()]

planar = multiscale.rank(candidates, tests, left_out="planar", seed=0)
print(planar, end="\n\n")
assert planar.standings[0].error < 0.03 and planar.unsupported == 0.0

# uniaxial and planar tension say little of equibiaxial tension to the same stretch, and `rank` warns of it
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    biaxial = multiscale.rank(candidates, tests, left_out="equibiaxial", seed=0)
print(biaxial, end="\n\n")
assert any(issubclass(warning.category, multiscale.Extrapolation) for warning in caught)

# the least squares of Mooney and Rivlin's law on the equibiaxial test: 0.1713 and 0.0047 MPa are published
mooney = multiscale.fit_model(candidates[1], [tests[2]], seed=0)
print(mooney)
assert abs(mooney.values["c1"] - 0.1713) < 1e-4 and abs(mooney.values["c2"] - 0.0047) < 1e-4
