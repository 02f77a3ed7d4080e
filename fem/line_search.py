"""How far to go along a Newton step.

|R| is a poor guide in finite elasticity: a good step which bends a slender body stretches it first, and |R| rises tenfold before it
falls. The potential energy Pi = int W dV - load_factor * f . u knows better, as equilibrium is its minimum; its slope along the step is
R . du. So a step is taken in full where Pi falls enough (Armijo) and shortened where it does not, or where the law cannot be evaluated.
Forces that follow the body have no potential: they count with the values that they have where the step begins, as they do in Newton's
step itself. Close to equilibrium Pi is flat to its last digits while |R| is not: a step which halves |R| is good as well. And where the
fall which the slope promises is negligible beside Pi's own terms, Newton is within its quadratic range, while what Pi does there may be
the noise of the law: the full step is taken, and whether |R| gets any better is for the convergence test to judge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ANY_STEP = float("nan")
"""In place of a slope: whatever the law can be evaluated at will do."""

_SUFFICIENT = 1e-4  # part of the decrease promised by the slope
_SHORTEST = 2.0**-12
# |slope| = du . K . du: at this part of the energy, the step is 1e-4 of the displacement in the norm of energy
_NEGLIGIBLE = 1e-8


@dataclass(frozen=True)
class Trial:
    """The body part of the way along a step.

    Attributes:
        potential: Pi, the same on all ranks; NaN where the law cannot be evaluated.
        energy: |int W dV| + load_factor * |f . u|, the size of the terms of Pi.
        residual: |R|.
    """

    potential: float
    energy: float
    residual: float


def step_length(start: Trial, slope: float, trial: Callable[[float], Trial]) -> float:
    """The part of the step to take, in (0, 1], or 0 when no part will do.

    Args:
        start: where the step begins.
        slope: d Pi along the step, R . du; `ANY_STEP` while prescribed displacements change and Pi may well rise.
            Positive slopes mean that the tangent is not positive definite: there |R| has to fall instead.
        trial: evaluates the body at a part of the step.
    """
    part = 1.0
    while part >= _SHORTEST:
        there = trial(part)
        if np.isfinite(there.potential):
            if np.isnan(slope):
                return part
            if there.residual <= 0.5 * start.residual:
                return part
            if slope < 0.0:
                if -slope <= _NEGLIGIBLE * max(start.energy, there.energy):
                    return part
                if there.potential <= start.potential + _SUFFICIENT * part * slope:
                    return part
                # minimum of the parabola through both values and the slope, not too far from halving
                curvature = 2.0 * (there.potential - start.potential - slope * part) / part**2
                part = float(np.clip(-slope / curvature, 0.1 * part, 0.5 * part))
                continue
            if there.residual <= (1.0 - _SUFFICIENT * part) * start.residual:
                return part
        part *= 0.5
    return 0.0
