"""What watches a simulation: a run that ends in a named error when it blows up, and a stop or warning where the model is unsure.

    guard = UncertaintyGuard(estimator, threshold=0.2)
    dynamics.attach(guard, interval=10, atoms=atoms)
    guarded_run(dynamics, 10_000, max_temperature=3000.0, checkpoint="last_good.extxyz")

Both hand the structure back: the last good frame, and the one worth a reference calculation.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics


class DynamicsFailed(RuntimeError):
    """A simulation blew up.

    Attributes:
        last_good: the last frame that passed the checks, with its momenta; None where there was none.
    """

    def __init__(self, message: str, last_good: Atoms | None = None) -> None:
        super().__init__(message)
        self.last_good = last_good


class UncertainStructure(RuntimeError):
    """A structure on which the model is less certain than demanded.

    Attributes:
        atoms: the structure, with its uncertainty under ``info["uncertainty"]``.
        uncertainty: what the estimator says of it.
    """

    def __init__(self, message: str, atoms: Atoms | None = None, uncertainty: float = float("nan")) -> None:
        super().__init__(message)
        self.atoms = atoms
        self.uncertainty = uncertainty


class UncertainStructureWarning(UserWarning):
    """The model is less certain of a structure than demanded, and the simulation goes on."""


class UncertaintyGuard:
    """Stop or warn where the uncertainty of the current structure exceeds a threshold; attach it to any ASE dynamics.

    An uncertainty that is not a number counts as exceeding. With "warn" one structure is kept for each excursion: the one at which
    the uncertainty first exceeds.

    Args:
        estimator: the uncertainty of a structure, in the unit of the threshold.
        threshold: largest uncertainty tolerated.
        action: "stop" raises `UncertainStructure`; "warn" emits `UncertainStructureWarning` and goes on.

    Attributes:
        structures: copies of the structures kept so far, with ``info["uncertainty"]``.

    Raises:
        ValueError: for a threshold that is not a number or an unknown action.
    """

    def __init__(self, estimator: Callable[[Atoms], float], threshold: float, *, action: str = "stop") -> None:
        if np.isnan(threshold):
            raise ValueError(f"threshold = {threshold}, expected a number in the estimator's unit")
        if action not in ("stop", "warn"):
            raise ValueError(f"action = {action!r}, expected 'stop' or 'warn'")
        self.estimator = estimator
        self.threshold = threshold
        self.action = action
        self.structures: list[Atoms] = []
        self._outside = False

    def __call__(self, atoms: Atoms) -> float:
        """Check one structure and return its uncertainty.

        Raises:
            UncertainStructure: where it exceeds the threshold and the action is "stop".
        """
        uncertainty = float(self.estimator(atoms))
        entered, self._outside = not self._outside, not uncertainty <= self.threshold
        if self._outside and entered:
            kept: Atoms = atoms.copy()
            kept.info["uncertainty"] = uncertainty
            self.structures.append(kept)
            message = (
                f"the uncertainty is {uncertainty:.4g}, above the threshold {self.threshold:.4g}: {atoms.get_chemical_formula()} is "
                "unlike the training data; label it with the reference and train again"
            )
            if self.action == "stop":
                self._outside = False
                raise UncertainStructure(message, kept, uncertainty)
            warnings.warn(message, UncertainStructureWarning, stacklevel=2)
        return uncertainty


def guarded_run(
    dynamics: MolecularDynamics,
    steps: int,
    *,
    max_temperature: float,
    checkpoint: str | os.PathLike[str] | None = None,
    interval: int = 10,
    volume_factor: float = 2.0,
) -> None:
    """Run `dynamics`, looking every `interval` steps whether the simulation still makes sense.

    It does while energy, forces, stress, positions and momenta are finite, the kinetic temperature is at most `max_temperature` (K)
    and the volume within `volume_factor` of the first. Each frame that passes is kept, and written to `checkpoint`
    (extxyz, momenta included, whole or not at all) where one is given.

    Raises:
        DynamicsFailed: where it does not, or the calculator refuses a later structure than the first; carries the last good frame.
    """
    atoms: Atoms = dynamics.atoms
    volume = atoms.cell.volume
    last_good: Atoms | None = None
    last_step = 0

    def account(reason: str) -> str:
        where = (
            "" if checkpoint is None or last_good is None else f"; the last good frame is in {os.fspath(checkpoint)}"
        )
        return (
            f"the simulation blew up between steps {last_step} and {dynamics.nsteps}: {reason}; use a time step smaller than "
            f"{dynamics.dt / units.fs:.4g} fs, or train the potential on hotter configurations{where}"
        )

    try:
        for finished in dynamics.irun(steps):
            if finished or dynamics.nsteps % interval == 0:
                reason = _symptom(atoms, max_temperature, volume, volume_factor)
                if reason:
                    raise DynamicsFailed(account(reason), last_good)
                last_good, last_step = atoms.copy(), dynamics.nsteps
                if checkpoint is not None:
                    _write_frame(Path(checkpoint), last_good)
    except (ValueError, ArithmeticError) as error:
        if last_good is None:
            raise
        raise DynamicsFailed(account(str(error)), last_good) from error


def _symptom(atoms: Atoms, max_temperature: float, volume: float, volume_factor: float) -> str:
    """What is wrong with a frame; empty where nothing is."""
    results = {} if atoms.calc is None else atoms.calc.results
    arrays = {"positions": atoms.positions, "momenta": atoms.get_momenta(), "cell": atoms.cell.array}
    for name, value in {**arrays, **{name: results.get(name, 0.0) for name in ("energy", "forces", "stress")}}.items():
        if not np.isfinite(value).all():
            return f"{name} with NaN or infinity"
    temperature = atoms.get_temperature()
    if temperature > max_temperature:
        return f"kinetic temperature {temperature:.4g} K, expected at most {max_temperature:.4g} K"
    if not volume / volume_factor <= atoms.cell.volume <= volume * volume_factor:
        return f"volume {atoms.cell.volume:.4g} A^3, expected within a factor {volume_factor} of {volume:.4g} A^3"
    return ""


def _write_frame(path: Path, atoms: Atoms) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        ase.io.write(partial, atoms, format="extxyz")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
