"""From a file of data to a folder with the law and its report: what ``atomlaw fit`` does."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from multiscale.data.dataset import StressStrainData
from multiscale.fits.fit import FittedLaw, Mode, fit
from multiscale.fits.learning_curve import LearningCurve, learning_curve
from multiscale.fits.orbit_law import Progress
from multiscale.laws.reference_state import FitError, ReferenceStress
from multiscale.report.law_report import constants_table, page, short_constants
from multiscale.symmetry.material_symmetry import MaterialSymmetry
from multiscale.trust.limits import Limits, limits_of

LAW_FILE: Final = "law.safetensors"
REPORT_FILE: Final = "report.html"

FITTED, JUDGED = 0.45, 0.9
"""Fractions of the work that are done when the law is fitted, and when the learning curve is."""


class OutputError(ValueError):
    """The folder for the results cannot be made or written."""


@dataclass(frozen=True, eq=False)
class FittedFile:
    """What came of it.

    Attributes:
        law: also in the folder. limits: where it should not be used. curve: None where it was not asked for, or the data are too few.
        warned: what was warned of on the way.
        constants: the law's elastic constants in a line.
        folder: of LAW_FILE and REPORT_FILE.
    """

    law: FittedLaw
    limits: Limits
    curve: LearningCurve | None
    warned: tuple[str, ...]
    constants: str
    folder: Path


def fit_file(
    data: StressStrainData,
    symmetry: MaterialSymmetry,
    folder: str | os.PathLike[str],
    *,
    source: str,
    mode: Mode = "free",
    neurons: int | None = None,
    seed: int = 0,
    starts: int = 8,
    reference_stress: ReferenceStress = "zero",
    judged: bool = True,
    warned: Sequence[str] = (),
    progress: Progress | None = None,
) -> FittedFile:
    """Fit, look for the limits, write law and report; each file appears whole or not at all, and nothing before the fit is done.

    Args:
        data, symmetry, mode, neurons, seed, starts, reference_stress: as of `fit`.
        folder: of the results; made where it is missing.
        source: what the report calls the data.
        judged: whether to measure a learning curve, which takes about as long as the fit.
        warned: of what there was a warning before, for the report.

    Raises:
        OutputError: the folder cannot be written, or is a file.
        FitError and the other errors of `fit`.
    """
    folder = Path(folder)
    check_writable(folder)
    report = progress or (lambda fraction, message: None)
    share = FITTED if judged else JUDGED
    curve = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        law = fit(
            data,
            symmetry,
            mode=mode,
            neurons=neurons,
            seed=seed,
            starts=starts,
            reference_stress=reference_stress,
            progress=lambda fraction, message: report(share * fraction, message),
        )
        if judged:
            try:
                curve = learning_curve(
                    data,
                    symmetry,
                    mode=mode,
                    neurons=neurons,
                    seed=seed,
                    starts=starts,
                    reference_stress=reference_stress,
                    progress=lambda fraction, message: report(FITTED + (JUDGED - FITTED) * fraction, message),
                )
            except FitError:
                # fewer states than the network needs once some are held out: the report goes without
                curve = None
        told = tuple(dict.fromkeys([*warned, *messages(caught)]))
        report(JUDGED, "limits and report")
        limits = limits_of(law, data, told, seed=seed)
        text = page(law, data, limits, source=source, mode=mode, curve=curve)
    write_results(folder, law, text)
    report(1.0, "written")
    constants = short_constants(constants_table(law, data.select(data.admissible)))
    return FittedFile(law, limits, curve, told, constants, folder)


def messages(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """What a user was warned of; what libraries tell developers is left out."""
    return [str(each.message) for each in caught if issubclass(each.category, UserWarning)]


def check_writable(folder: Path) -> None:
    """Make the folder before anything is computed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror}); choose another folder with --output") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{folder} cannot be written; choose another folder with --output")


def write_results(folder: Path, law: FittedLaw, text: str) -> None:
    """Both files; each takes its name when it is complete."""
    partial = folder / f".{REPORT_FILE}.{os.getpid()}.partial"
    try:
        partial.write_text(text, encoding="utf-8")
        law.save(folder / LAW_FILE)
        os.replace(partial, folder / REPORT_FILE)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error}); choose another folder with --output") from error
    finally:
        partial.unlink(missing_ok=True)
