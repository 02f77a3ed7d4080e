r"""Potentials by sparse Gaussian process regression, fitted in closed form: a layer of Gaussians about environments of the data.

In inputs x = (G - mean) D T scaled by what the data say of them (`atomistic.whitening`) the energy of an atom is

    E(x) = e + w . x + sum_m v_m k(x, z_m),      k(x, z) = exp(-|x - z|^2 / (2 l^2)),

a linear model and Gaussians about M of the training environments, those farthest from one another. Energies per atom, forces and stresses
in units of their errors are linear in theta = (v, w, e), B theta = y, and the most probable theta of a Gaussian process with the
covariance amplitude^2 k and these errors as noise is (Bartok and Csanyi, Int. J. Quantum Chem. 115 (2015) 1051, eqs. 16 to 20)

    theta = H^-1 B^T y,    H = B^T B + P,    P = diag(K / amplitude^2, 1 / slope^2, 0),    K_mn = k(z_m, z_n).

With the rows B_s of one structure its residual, had it been left out, is r_s = (1 - B_s H^-1 B_s^T)^-1 (y_s - B_s theta) (the
leave-one-out formula of Allen, Technometrics 16 (1974) 125, for blocks of rows): these residuals choose the amplitude and are the errors to
expect of other structures of the kinds in the data. H^-1 is the covariance of theta, from which error bars of anything predicted follow
(`atomistic.laplace`).

D = diag(beta^k) for descriptors of degree k in the radial polynomials: energies are smooth functions of the distances, and the Chebyshev
coefficients of a function analytic around the interval fall like beta^k (Trefethen, Approximation Theory and Approximation Practice,
SIAM 2013, theorem 8.1).

Few parameters are hidden in it and none is left to an optimiser, so with few data it errs less than networks trained by descent; it costs
more per atom. As a network it has one layer that scales descriptors and one that is `radial`, and the compiled kernel runs it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from ase import Atoms
from jaxtyping import Float, Int
from torch import Tensor

from atomistic.descriptors import Descriptors
from atomistic.label_checks import check_labels, warn_of_suspect_structures
from atomistic.laplace import LastLayerLaplace
from atomistic.network import Network
from atomistic.potential import NeuralPotential
from atomistic.training import Progress, TrainingSettings, default_descriptors
from atomistic.training_loss import Errors, TrainingFailed
from atomistic.training_rows import Rows, descriptor_rows
from atomistic.units import EV_PER_CUBIC_ANGSTROM_IN_GPA
from atomistic.whitening import ErrorScales, Whitening, whiten, whitening

CENTRES: Final = 2000

SETTINGS: Final = TrainingSettings(whitening_power=0.4)
"""Structures left out ask for a little less whitening than networks."""

RADIAL_DECAY: Final = 0.8
"""Energies of structures left out err by 13 % less than with 1 on our silicon labels, by 20 % less on the mlearn set."""

JITTER: Final = 1e-10
"""Of the mean of H's diagonal, added to it: round-off of nearly equal centres."""


@dataclass(frozen=True)
class GaussianFit:
    """A fitted potential and how well it was determined.

    Attributes:
        potential: networks with a `radial` layer.
        amplitude: of the Gaussian part, eV, as chosen.
        left_out: RMSE of energy (eV/atom), force (eV/A) and stress (GPa) of the structures, each predicted by the others.
        posterior: normal with covariance H^-1, of the weights of the potential's last layer: an estimator of its errors, to be calibrated.
    """

    potential: NeuralPotential
    amplitude: float
    left_out: Errors
    posterior: LastLayerLaplace


@dataclass(frozen=True)
class _Observation:
    """One structure as rows of B and y in units of the errors: energy, forces, stress; `scale` divides them back."""

    rows: Float[Tensor, "rows unknowns"]
    labels: Float[Tensor, "rows"]
    factor: Float[Tensor, "rows"]


def fit_gaussians(
    configurations: Sequence[Atoms],
    settings: TrainingSettings | None = None,
    *,
    centres: int = CENTRES,
    length: float = 1.0,
    amplitudes: Sequence[float] = (0.05, 0.1, 0.2),
    slope: float = 0.3,
    radial_decay: float = RADIAL_DECAY,
    descriptors: Descriptors | None = None,
    progress: Progress | None = None,
) -> GaussianFit:
    """Fit labelled configurations (all that are given: leave the held-out ones away).

    Args:
        configurations: structures with energy, forces and stress, weighted as for `train`.
        settings: sizes of the default descriptors, scales of the errors (the noise of each single number here) and the whitening.
        centres: at most so many Gaussians for each element.
        length: l, in units of the median distance of two environments of the data.
        amplitudes: of which the one with the least error of structures left out is taken, eV.
        slope: standard deviation of the coefficients of the linear part, eV.
        radial_decay: beta, at most 1.
        descriptors: in place of the default ones.
        progress: called with the fraction done and a message.

    Raises:
        ValueError: for numbers that are not positive, or a decay above 1.
        InvalidTrainingData: for missing or non-finite labels.
        TrainingFailed: where H is not positive definite for any amplitude.
    """
    positive = {
        "centres": centres,
        "length": length,
        "slope": slope,
        "amplitudes": min(amplitudes),
        "radial_decay": radial_decay,
    }
    for name, value in positive.items():
        if not value > 0:
            raise ValueError(f"{name} = {value}, expected a positive number")
    if radial_decay > 1.0:
        raise ValueError(f"radial_decay = {radial_decay}, expected at most 1: faster variation is not likelier")
    settings = settings or SETTINGS
    check_labels(configurations)
    warn_of_suspect_structures(configurations)
    descriptors = descriptors or default_descriptors(configurations, settings)
    rows = descriptor_rows(descriptors, configurations)
    factors = {
        number: torch.from_numpy(radial_decay ** descriptors.radial_orders(number)) for number in descriptors.numbers
    }
    white = whitening(
        rows, settings.scales, floor=settings.whitening_floor, power=settings.whitening_power, factors=factors
    )
    rows = whiten(rows, white)
    numbers = tuple(sorted(white.mean))
    about, widths = {}, {}
    for number in numbers:
        environments = torch.cat([block.values[block.numbers == number] for block in rows])
        widths[number] = length * median_distance(environments)
        about[number] = environments[farthest(environments, centres)]
    observations = []
    for observed in _observations(rows, about, widths, settings.scales):
        observations.append(observed)
        if progress is not None:
            progress(0.5 * len(observations) / len(configurations), f"{len(observations)} structures")
    best: tuple[float, float, Tensor, Errors, Tensor] | None = None
    unknowns = observations[0].rows.shape[1]
    normal, right = rows[0].values.new_zeros(unknowns, unknowns), rows[0].values.new_zeros(unknowns)
    for observed in observations:
        normal += observed.rows.T @ observed.rows
        right += observed.rows.T @ observed.labels
    for k, amplitude in enumerate(amplitudes):
        factor, broken = torch.linalg.cholesky_ex(normal + _prior(about, widths, amplitude, slope, normal))
        if broken:
            continue
        theta = torch.cholesky_solve(right[:, None], factor)[:, 0]
        errors = left_out_errors(observations, factor, theta)
        badness = sum((e / s) ** 2 for e, s in zip(errors, _scales(settings), strict=True))
        if best is None or badness < best[0]:
            best = (badness, amplitude, theta, errors, factor)
        if progress is not None:
            progress(0.5 + 0.5 * (k + 1) / len(amplitudes), f"amplitude {amplitude:g}, structures left out: {errors}")
    if best is None:
        raise TrainingFailed(
            f"no amplitude among {list(amplitudes)} gives a definite matrix; try larger errors or fewer centres"
        )
    _, amplitude, theta, errors, factor = best
    spread = torch.linalg.solve_triangular(
        factor, torch.eye(unknowns).to(factor), upper=False
    ).T  # H^-1 = spread spread^T
    columns: list[Tensor] = []
    networks, start = {}, 0
    for number in numbers:
        z, functions = about[number], descriptors.count(number)
        own = slice(start, start + sum(z.shape) + 1)
        start = own.stop
        v, constant, skip = _plain(theta[own, None], z, white, number, functions)
        networks[number] = _network(v[:, 0], constant[:, 0], skip[:, 0], z, widths[number], white, number)
        columns += _plain(spread[own], z, white, number, functions)
    provenance = {"gaussians": f"amplitude {amplitude:g}, slope {slope:g}", "configurations": str(len(configurations))}
    potential = NeuralPotential(descriptors, networks, provenance)
    return GaussianFit(
        potential, amplitude, errors, LastLayerLaplace(potential, torch.cat(columns).numpy(), settings.scales)
    )


def median_distance(environments: Float[Tensor, "atoms inputs"], *, most: int = 500) -> float:
    """Median distance of two environments, of at most `most` of them spread evenly over the data."""
    some = environments[:: max(1, len(environments) // most)]
    if len(some) < 2:
        return 1.0
    distances = torch.pdist(some)
    return float(distances[distances > 0.0].median()) if bool((distances > 0.0).any()) else 1.0


def farthest(environments: Float[Tensor, "atoms inputs"], count: int) -> Int[Tensor, "chosen"]:
    """Indices of at most `count` environments, each the farthest from those before it; equal ones once."""
    chosen = [0]
    nearest = (environments - environments[0]).square().sum(1)
    smallest = 1e-12 * float(nearest.max())
    while len(chosen) < min(count, len(environments)):
        following = int(nearest.argmax())
        if float(nearest[following]) <= smallest:
            break
        chosen.append(following)
        nearest = torch.minimum(nearest, (environments - environments[following]).square().sum(1))
    return torch.tensor(chosen)


def _observations(
    rows: Sequence[Rows], about: dict[int, Tensor], widths: dict[int, float], scales: ErrorScales
) -> Iterator[_Observation]:
    """Rows of B of each structure: sum_a k(x_a, z_m), x_a and 1 for the energy; their derivatives for forces and stress."""
    for block in rows:
        structures, atoms, functions = block.values.shape
        for s in range(structures):
            jacobian = block.jacobian[s].reshape(atoms, functions, -1)
            columns = jacobian.shape[-1]
            parts = []
            for number, z in about.items():
                own = block.numbers[s] == number
                parts.append(_element(block.values[s, own], jacobian[own], z, widths[number]))
            energy = torch.cat([of_energy for of_energy, _ in parts]) / atoms
            slopes = torch.cat([of_columns for _, of_columns in parts], dim=1)
            weights = block.weights[s].sqrt()
            factor = torch.cat(
                [
                    (weights[:1] / scales.energy),
                    (weights[1] / scales.force).expand(columns - 6),
                    (weights[2] / scales.stress).expand(6),
                ]
            )
            labels = torch.cat([block.energy[s : s + 1] / atoms, block.targets[s]])
            yield _Observation(torch.cat([energy[None], slopes]) * factor[:, None], labels * factor, factor)


def _element(
    x: Float[Tensor, "own inputs"],
    jacobian: Float[Tensor, "own inputs columns"],
    z: Float[Tensor, "m inputs"],
    width: float,
) -> tuple[Float[Tensor, "unknowns"], Float[Tensor, "columns unknowns"]]:
    columns = jacobian.shape[-1]
    k = torch.exp(-0.5 * torch.cdist(x, z).square() / width**2)
    slopes = jacobian.new_zeros(columns, len(z))
    for a in range(len(x)):  # dk/dx = (z - x) k / l^2
        slopes += ((jacobian[a].T @ z.T) - (jacobian[a].T @ x[a])[:, None]) * (k[a] / width**2)
    linear = jacobian.sum(0).T
    energy = torch.cat([k.sum(0), x.sum(0), x.new_tensor([float(len(x))])])
    return energy, torch.cat([slopes, linear, linear.new_zeros(columns, 1)], dim=1)


def _prior(
    about: dict[int, Tensor], widths: dict[int, float], amplitude: float, slope: float, normal: Tensor
) -> Float[Tensor, "unknowns unknowns"]:
    blocks = []
    for number, z in about.items():
        k = torch.exp(-0.5 * torch.cdist(z, z).square() / widths[number] ** 2)
        blocks += [k / amplitude**2, torch.eye(z.shape[1]).to(z) / slope**2, z.new_zeros(1, 1)]
    prior: Tensor = torch.block_diag(*blocks)
    return prior + JITTER * normal.diagonal().mean() * torch.eye(len(prior)).to(prior)


def left_out_errors(
    observations: Sequence[_Observation], factor: Float[Tensor, "unknowns unknowns"], theta: Float[Tensor, "unknowns"]
) -> Errors:
    """RMSE of energy (eV/atom), force (eV/A), stress (GPa), each structure predicted by all others; `factor` is Cholesky's of H."""
    energies: list[Tensor] = []
    forces: list[Tensor] = []
    stresses: list[Tensor] = []
    for observed in observations:
        spread = torch.linalg.solve_triangular(factor, observed.rows.T, upper=False)
        influence = torch.eye(len(observed.labels)).to(theta) - spread.T @ spread
        residual = torch.linalg.solve(influence, observed.labels - observed.rows @ theta)
        counted = observed.factor > 0.0
        error = torch.where(counted, residual, 0.0) / torch.where(counted, observed.factor, 1.0)
        for part, chosen in ((energies, slice(0, 1)), (forces, slice(1, -6)), (stresses, slice(-6, None))):
            part.append(error[chosen][counted[chosen]])
    stresses = [EV_PER_CUBIC_ANGSTROM_IN_GPA * part for part in stresses]
    return Errors(*(float(torch.cat(part).square().mean().sqrt()) for part in (energies, forces, stresses)))


def _scales(settings: TrainingSettings) -> tuple[float, float, float]:
    return settings.energy_error, settings.force_error, settings.stress_error


def _plain(
    theta: Float[Tensor, "unknowns columns"],
    z: Float[Tensor, "m inputs"],
    white: Whitening,
    number: int,
    functions: int,
) -> tuple[Float[Tensor, "m columns"], Float[Tensor, "1 columns"], Float[Tensor, "functions columns"]]:
    """Weights of the last layer on plain descriptors, from (v, w, e): v, the constant e - mean . T w and the skip T w."""
    v, w, constant = theta[: len(z)], theta[len(z) : -1], theta[-1:]
    skip = white.transform[number] @ w
    return v, constant - white.mean[number] @ skip, skip[:functions]


def _network(
    v: Float[Tensor, "m"],
    constant: Float[Tensor, "1"],
    skip: Float[Tensor, "functions"],
    z: Float[Tensor, "m inputs"],
    width: float,
    white: Whitening,
    number: int,
) -> Network:
    """The model of one element as layers on plain descriptors: x / l, then Gaussians about z / l, and the linear part as skip."""
    scaled = white.transform[number].T / width
    centred = z / width
    layers = (
        (scaled[:, : len(skip)].clone(), -scaled @ white.mean[number]),
        (centred.clone(), -0.5 * centred.square().sum(1)),
        (v[None].clone(), constant.clone()),
    )
    return Network(layers, ("linear", "radial"), skip.clone())
