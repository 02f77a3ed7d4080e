r"""Diabatic networks fitted to adiabatic energies and gradients: no phase, no diabatic label, no choice of basis enters.

The eigenvalues of H(R; theta) and their gradients are compared with the labels,

    L = mean_R [ sum_i (E_i - E_i')^2 / s_E^2 + sum_i w_i |grad E_i - grad E_i'|^2 / s_G^2
                 + sum_i<j min_+- |h_ij -+ h_ij'|^2 / (g_ij^2 + (epsilon s_E)^2) (s_E / s_G)^2 ] + decay |theta|^2 ,

s_E and s_G the standard deviations of the labels. A rotation of all diabatic states that does not depend on R changes
none of it. Around an intersection gradients of single states turn fast and at it they are undefined: with the gap g of
the labels to the nearest state they count w_i = g^2 / (g^2 + (s_E / 100)^2). In more than one dimension smoothness
makes energies and gradients alone determine the couplings, for the two-valued root in E_2 - E_1 is smooth only as the
eigenvalue of a smooth matrix; along a line they do not, and couplings must be among the labels.

Labels of single points do not say whether a coupling changes its sign where it vanishes; a symmetry that maps one side to the other
decides, or a guess of H in which the states are carried from point to point (`atomistic.excited.transport`).

Near degeneracies d_ij is what counts, not h_ij, which is small there: epsilon falls from 1, where h_ij is compared, to
0.01, each fit starting from the last, for with a small one from the start most random networks end in poor minima.

The gradient of L is exact (reverse mode through the eigenvalue problem), the optimiser is L-BFGS (Liu and Nocedal,
Math. Program. 45 (1989) 503; scipy's), from several random starts of which the best is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

from atomistic.excited.adiabatic import matrix_and_derivative
from atomistic.excited.hamiltonian import DiabaticNetwork, Symmetry, random_network
from atomistic.excited.labels import AdiabaticLabels

Progress = Callable[[float, str], None]


SOFTENINGS: Final = (1.0, 0.1, 0.01)
"""epsilon, one fit after the other, where couplings are among the labels."""


class FitFailed(RuntimeError):
    """No start led to a finite loss."""


@dataclass(frozen=True)
class DiabaticFit:
    """A fitted Hamiltonian.

    Attributes:
        hamiltonian: with the least loss of all starts.
        losses: L of each start in the end.
        energy, gradient: root mean square errors of the training points, in the units of the labels.
    """

    hamiltonian: DiabaticNetwork
    losses: tuple[float, ...]
    energy: float
    gradient: float


def fit_diabatic(
    labels: AdiabaticLabels,
    *,
    seed: int,
    features: str = "coordinates",
    hidden: Sequence[int] = (20, 20),
    symmetry: Sequence[Symmetry] = (),
    guess: Float[np.ndarray, "points states states"] | None = None,
    starts: int = 3,
    iterations: int = 1500,
    decay: float = 1e-9,
    progress: Progress | None = None,
) -> DiabaticFit:
    """Fit a diabatic network.

    Args:
        labels: of as many states as the network has.
        seed: of the starts.
        features: "coordinates" or "inverse distances".
        hidden: sizes of the tanh layers.
        symmetry: the group under which H is covariant.
        guess: H at the points in some diabatic basis, to which the random networks are fitted first (`transported`).
        starts: random starts.
        iterations: of L-BFGS at most, each fit.
        decay: of the weights.
        progress: called with the fraction done and a message.

    Raises:
        ValueError: for starts or iterations below one.
        FitFailed: where the loss is not finite from any start.
    """
    if starts < 1 or iterations < 1:
        raise ValueError(f"starts = {starts}, iterations = {iterations}, expected at least one of each")
    generator = np.random.default_rng(seed)
    goal = _Goal(labels, decay)
    best: tuple[float, DiabaticNetwork] | None = None
    losses = []
    for k in range(starts):
        network = random_network(
            labels.energies.shape[1],
            labels.coordinates,
            energies=labels.energies,
            features=features,
            hidden=hidden,
            symmetry=symmetry,
            generator=generator,
        )
        theta = flat(network)
        if guess is not None:
            theta = _near(network, labels.coordinates, guess, iterations)
        softenings = (1.0,) if labels.interstate is None else SOFTENINGS
        for softening in softenings:
            found = minimize(
                lambda theta, network=network, softening=softening: goal(network, theta, softening),
                theta,
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 30, "ftol": 1e-14, "gtol": 1e-9},
            )
            theta = found.x
        losses.append(float(found.fun))
        if np.isfinite(found.fun) and (best is None or found.fun < best[0]):
            best = float(found.fun), with_weights(network, torch.from_numpy(found.x))
        if progress is not None:
            progress((k + 1) / starts, f"start {k + 1}: loss {found.fun:.3g}")
    if best is None:
        raise FitFailed(
            f"the loss is not finite from any of {starts} starts: {losses}; look for labels at one and the same point"
        )
    energy, gradient = errors(best[1], labels)
    return DiabaticFit(best[1], tuple(losses), energy, gradient)


def _near(
    network: DiabaticNetwork, coordinates: np.ndarray, guess: np.ndarray, iterations: int
) -> Float[np.ndarray, "weights"]:
    """Weights with which the network is near given matrices, in the least-squares sense."""
    R, wanted, unit = torch.from_numpy(coordinates), torch.from_numpy(guess), float(np.std(guess)) or 1.0

    def goal(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.from_numpy(theta).requires_grad_(True)
        loss = ((with_weights(network, weights).matrix(R) - wanted) / unit).square().mean()
        (gradient,) = torch.autograd.grad(loss, weights)
        return float(loss.detach()), gradient.numpy()

    options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 30, "ftol": 1e-14, "gtol": 1e-9}
    near: np.ndarray = minimize(goal, flat(network), jac=True, method="L-BFGS-B", options=options).x
    return near


def errors(hamiltonian: DiabaticNetwork, labels: AdiabaticLabels) -> tuple[float, float]:
    """Root mean square errors of energies and of components of gradients."""
    H, slope = matrix_and_derivative(hamiltonian, torch.from_numpy(labels.coordinates))
    energies, vectors = torch.linalg.eigh(H.detach())
    gradients = torch.einsum("pki,pkld,pli->pid", vectors, slope.detach(), vectors).numpy()
    off = energies.numpy() - labels.energies, gradients - labels.gradients
    return float(np.sqrt(np.mean(off[0] ** 2))), float(np.sqrt(np.mean(off[1] ** 2)))


def flat(network: DiabaticNetwork) -> Float[np.ndarray, "weights"]:
    """All weights as one vector."""
    parts = [part for layer in network.layers for part in layer] + [network.skip]
    return np.concatenate([part.detach().numpy().ravel() for part in parts])


def with_weights(network: DiabaticNetwork, theta: Float[Tensor, "weights"]) -> DiabaticNetwork:
    """The network with the weights `theta`, differentiable by them."""
    start = 0

    def taken(like: Tensor) -> Tensor:
        nonlocal start
        part = theta[start : start + like.numel()].reshape(like.shape)
        start += like.numel()
        return part

    layers = tuple((taken(weight), taken(bias)) for weight, bias in network.layers)
    return replace(network, layers=layers, skip=taken(network.skip))


class _Goal:
    """L and its gradient at theta."""

    def __init__(self, labels: AdiabaticLabels, decay: float) -> None:
        self._coordinates = torch.from_numpy(labels.coordinates)
        self._energies = torch.from_numpy(labels.energies)
        self._gradients = torch.from_numpy(labels.gradients)
        self._interstate = None if labels.interstate is None else torch.from_numpy(labels.interstate)
        self._decay = decay
        self._energy = float(labels.energies.std()) or 1.0
        self._slope = float(labels.gradients.std()) or 1.0
        between = np.pad(np.diff(labels.energies, axis=1), ((0, 0), (1, 1)), constant_values=np.inf)
        gap = np.minimum(np.minimum(between[:, 1:], between[:, :-1]) / (0.01 * self._energy), 1e6)
        self._trust = torch.from_numpy(gap**2 / (gap**2 + 1.0))

    def __call__(
        self, network: DiabaticNetwork, theta: np.ndarray, softening: float = SOFTENINGS[-1]
    ) -> tuple[float, np.ndarray]:
        weights = torch.from_numpy(theta).requires_grad_(True)
        H, slope = matrix_and_derivative(with_weights(network, weights), self._coordinates, graph=True)
        energies, vectors = torch.linalg.eigh(H)
        interstate = torch.einsum("pki,pkld,plj->pijd", vectors, slope, vectors)
        off = ((energies - self._energies) / self._energy).square().sum(1)
        of_gradients = torch.einsum("piid->pid", interstate) - self._gradients
        off = off + (self._trust * (of_gradients / self._slope).square().sum(2)).sum(1)
        if self._interstate is not None:
            i, j = torch.triu_indices(energies.shape[1], energies.shape[1], 1)
            found, wanted = interstate[:, i, j], self._interstate[:, i, j]
            either = torch.minimum((found - wanted).square().sum(2), (found + wanted).square().sum(2))
            gap = (self._energies[:, j] - self._energies[:, i]) / self._energy
            off = off + (either / (gap.square() + softening**2)).sum(1) / self._slope**2
        loss = off.mean() + self._decay * weights.square().sum()
        (gradient,) = torch.autograd.grad(loss, weights)
        if not (torch.isfinite(loss) and bool(torch.isfinite(gradient).all())):
            return np.inf, np.zeros_like(theta)
        return float(loss.detach()), gradient.numpy()
