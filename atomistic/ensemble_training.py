"""Training the members of an ensemble, side by side where an executor is given."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from typing import Any

import torch
from ase import Atoms

from atomistic.descriptors import Descriptors
from atomistic.ensemble import PotentialEnsemble
from atomistic.potential import NeuralPotential
from atomistic.training import TrainingSettings, train

Progress = Callable[[float, str], None]


def train_ensemble(
    configurations: Sequence[Atoms],
    settings: TrainingSettings | None = None,
    *,
    seeds: Sequence[int],
    executor: Executor | None = None,
    descriptors: Descriptors | None = None,
    progress: Progress | None = None,
) -> PotentialEnsemble:
    """One potential a seed, on the same configurations; with ``settings.validation`` each keeps others for early stopping.

    Args:
        configurations, settings, descriptors: as for `train`.
        seeds: different, at least two.
        executor: any of `concurrent.futures`; jobs and results can be pickled (processes should be spawned, as torch has threads).
            The members do not depend on it.
        progress: called with the fraction of members done and a message.

    Raises:
        ValueError: for fewer than two seeds, or equal ones.
        InvalidTrainingData, TrainingFailed: as `train`.
    """
    if len(set(seeds)) != len(seeds) or len(seeds) < 2:
        raise ValueError(f"seeds = {list(seeds)}, expected at least two different ones")
    jobs = [(list(configurations), settings, seed, descriptors) for seed in seeds]
    contents: dict[int, Any] = {}
    if executor is None:
        for k, job in enumerate(jobs):
            contents[k] = _train_member(*job)
            _report(progress, len(contents), len(jobs))
    else:
        futures = {executor.submit(_train_member, *job): k for k, job in enumerate(jobs)}
        try:
            for future in as_completed(futures):
                contents[futures[future]] = future.result()
                _report(progress, len(contents), len(jobs))
        finally:
            for future in futures:
                future.cancel()
    return PotentialEnsemble(tuple(NeuralPotential.from_contents(*contents[k]) for k in range(len(jobs))))


def _train_member(
    configurations: list[Atoms], settings: TrainingSettings | None, seed: int, descriptors: Descriptors | None
) -> Any:
    """Header and arrays of a member: what can be sent between processes by value."""
    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)
    return train(configurations, settings, seed=seed, descriptors=descriptors).potential.contents()


def _report(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done / total, f"{done} of {total} members trained")
