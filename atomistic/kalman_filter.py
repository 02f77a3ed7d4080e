r"""The extended Kalman filter as an optimiser: a global filter over all parameters (Blank and Brown, J. Chemom. 8 (1994) 391).

With the parameters w, their covariance P, the errors e = y - f(w) of m labels in units of their error scales, and H = df/dw (n, m),

    K = P H (H^T P H + lambda I)^-1,    w <- w + K e,    P <- (P - K H^T P) / lambda,    lambda <- lambda_0 lambda + 1 - lambda_0,

where the forgetting factor lambda starts below one, so that early labels, seen far from the minimum, are forgotten. Each update takes
one structure: its energy, its stress and some of its force components drawn at random, as is usual for the sake of cost (Singraber and
others, J. Chem. Theory Comput. 15 (2019) 3075, section 2.4). An update costs 4 n^2 m operations and P is n^2 doubles.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from atomistic.optimisers import State
from atomistic.training_loss import Loss, TrainingFailed


@dataclass(frozen=True)
class KalmanFilter:
    """The filter, one update a structure.

    Attributes:
        loss: holds the rows, the networks and the error scales.
        steps: epochs.
        force_components: drawn anew from each structure at each update.
        seed: of the order of the structures and of the draws.
        variance: of the parameters at the start, P = variance I.
        forgetting, forgetting_rate: lambda at the start and lambda_0.
    """

    loss: Loss
    steps: int
    force_components: int
    seed: int
    variance: float = 1e-2
    forgetting: float = 0.98
    forgetting_rate: float = 0.9987
    name: str = "Kalman"

    def advance(self, step: int, theta: ndarray, state: State) -> tuple[ndarray, State]:
        """One epoch.

        Raises:
            TrainingFailed: where an error is not finite, or the filter has diverged.
        """
        parameters = torch.from_numpy(theta).to(self.loss.device, copy=True)
        if state:
            covariance = torch.from_numpy(state["covariance"]).to(parameters)
            forgetting = float(state["forgetting"][0])
        else:
            covariance = torch.eye(len(parameters), dtype=parameters.dtype, device=parameters.device) * self.variance
            forgetting = self.forgetting
        generator = np.random.default_rng((self.seed, step))
        structures = [(b, k) for b, block in enumerate(self.loss.rows) for k in range(len(block))]
        for chosen in generator.permutation(len(structures)):
            block, structure = structures[chosen]
            errors, slopes = self._linearised(parameters, block, structure, generator)
            gain = covariance @ slopes.T
            innovation = slopes @ gain
            innovation.diagonal().add_(forgetting)
            factor, failed = torch.linalg.cholesky_ex(innovation)
            if failed or not torch.isfinite(errors).all():
                raise TrainingFailed(
                    f"the Kalman filter diverged in epoch {step + 1}; lower kalman_variance or bring forgetting nearer to 1"
                )
            parameters -= gain @ torch.cholesky_solve(errors[:, None], factor)[:, 0]
            # (P H) A^-1 (P H)^T as the product of a factor with itself keeps P symmetric.
            half = torch.linalg.solve_triangular(factor, gain.T, upper=False)
            covariance.addmm_(half.T, half, alpha=-1.0).div_(forgetting)
            forgetting = self.forgetting_rate * forgetting + 1.0 - self.forgetting_rate
        return parameters.cpu().numpy(), {
            "covariance": covariance.cpu().numpy(),
            "forgetting": np.array([forgetting]),
        }

    def _linearised(
        self, parameters: Tensor, block: int, structure: int, generator: np.random.Generator
    ) -> tuple[Float[Tensor, "labels"], Float[Tensor, "labels parameters"]]:
        """Scaled errors (predicted minus given) of a structure's energy, some forces and stress, and their derivatives."""
        rows = self.loss.rows[block][structure : structure + 1]
        forces = rows.targets.shape[1] - 6
        drawn = generator.choice(forces, min(self.force_components, forces), replace=False)
        columns = torch.from_numpy(np.concatenate([np.sort(drawn), forces + np.arange(6)])).to(self.loss.device)
        kept = rows.columns(columns)
        units = 1.0 / self.loss.units.to(parameters)
        scale = torch.cat([units[:1], units[1:2].expand(len(drawn)), units[2:].expand(6)])
        weights = kept.weights[0].sqrt()
        scale = scale * torch.cat([weights[:1], weights[1:2].expand(len(drawn)), weights[2:].expand(6)])
        theta = parameters.detach().requires_grad_()
        energy, rest = self.loss.residuals(self.loss.model.networks(theta), kept)
        errors = torch.cat([energy, rest[0]]) * scale
        identity = torch.eye(len(errors), dtype=errors.dtype, device=errors.device)
        (slopes,) = torch.autograd.grad(errors, theta, identity, is_grads_batched=True)
        return errors.detach(), slopes
