"""The command ``atomlaw``.

Exit status: 0 done; 1 a computation failed; 2 the user's mistake; 130 interrupted. Errors are short; ``--traceback`` shows all.
"""

import argparse
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiscale.stages.engine import Progress, Record


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    # Read by the numerical libraries as they load, hence before anything is imported: matrices are small here, and threads that
    # wait for each other would cost more than they bring. Stages that gain from more cores say so themselves.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    # Threads that spin while they wait make training five times slower as soon as something else needs a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # kept beside the exception, which compiled code may lose or turn into another
    interrupted: list[int] = []
    options.interrupted = interrupted

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        options.command(options)
    except BaseException as error:
        if interrupted or isinstance(error, KeyboardInterrupt):
            kept = getattr(options, "kept", "finished stages are kept, run the same command to go on")
            print(f"atomlaw: interrupted; {kept}", file=sys.stderr)
            return 130
        if not isinstance(error, Exception):
            raise
        if options.traceback:
            traceback.print_exc()
        print(f"atomlaw: {_explain(error, options.traceback)}", file=sys.stderr)
        return 2 if _is_users_mistake(error) else 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="atomlaw", description="Atoms -> constitutive law -> solved structure.")
    parser.add_argument("--version", action="version", version=f"atomlaw {version('atomlaw')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    traceable = argparse.ArgumentParser(add_help=False)
    traceable.add_argument("--traceback", action="store_true", help="show where an error comes from")
    common = argparse.ArgumentParser(add_help=False, parents=[traceable])
    common.add_argument("configuration", type=Path, help="TOML file of the run")
    run = commands.add_parser("run", parents=[common], help="run all stages, or those whose inputs have changed")
    run.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="FOLDER", help="results go to FOLDER/NAME (default: runs)"
    )
    run.add_argument(
        "--threads", type=_count, default=len(os.sched_getaffinity(0)), metavar="N", help="cores to use (default: all)"
    )
    run.set_defaults(command=_run)
    check = commands.add_parser("check", parents=[common], help="check a configuration and its files, compute nothing")
    check.set_defaults(command=_check)
    fit = commands.add_parser("fit", parents=[traceable], help="fit a law to strain-stress data and report on it")
    fit.add_argument("data", type=Path, help="states of F with stress, energy, tangent: .h5, .csv or .extxyz")
    fit.add_argument(
        "--symmetry",
        metavar="NAME",
        help="m-3m, 6/mmm, ..., isotropic, transversely isotropic (default: the crystal's)",
    )
    fit.add_argument(
        "--axis",
        type=float,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="of a transversely isotropic material (default: 0 0 1)",
    )
    fit.add_argument(
        "--mode",
        choices=("free", "penalised", "polyconvex"),
        default="free",
        help="price of losing ellipticity (default: free)",
    )
    fit.add_argument(
        "--neurons", type=_count, metavar="N", help="of the network (default: 12, or 6 where it is no orbit network)"
    )
    fit.add_argument("--starts", type=_count, default=8, metavar="N", help="the best of so many is kept (default: 8)")
    fit.add_argument("--seed", type=_seed, default=0, metavar="N", help="of everything drawn (default: 0)")
    fit.add_argument(
        "--reference-stress", choices=("zero", "fit"), default="zero", help="stress at F = I (default: zero)"
    )
    fit.add_argument("--unit", help="of stress, where the file does not say it: Pa, kPa, MPa, GPa, eV/A^3")
    fit.add_argument(
        "--temperature", type=float, metavar="K", help="of the states, where the file does not say it (default: 0)"
    )
    fit.add_argument(
        "--reference", type=Path, metavar="FILE", help="the cell at F = I, for .extxyz; any file that ASE reads"
    )
    fit.add_argument("--no-learning-curve", action="store_true", help="skip the fits to parts of the data")
    fit.add_argument(
        "--output", type=Path, metavar="FOLDER", help="of law and report (default: the data's name and _law)"
    )
    fit.set_defaults(command=_fit, kept="nothing is written")
    lammps = commands.add_parser("lammps", help="potentials in LAMMPS").add_subparsers(required=True, metavar="COMMAND")
    build = lammps.add_parser("build", parents=[traceable], help="compile a potential to a plugin with its pair style")
    build.add_argument("potential", type=Path, help="potential (.safetensors)")
    build.add_argument("--output", type=Path, metavar="FILE", help="the plugin (default: the potential's name, .so)")
    build.set_defaults(command=_build_lammps_plugin)
    return parser


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of at least 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of at least 0")
    return int(text)


def _check(options: argparse.Namespace) -> None:
    from multiscale.configuration import Configuration
    from multiscale.stages.inputs import check_inputs

    configuration = Configuration.read(options.configuration)
    check_inputs(configuration, options.configuration)
    print(f"{options.configuration}: run {configuration.name!r} can start")


def _run(options: argparse.Namespace) -> None:
    from multiscale.configuration import Configuration

    configuration = Configuration.read(options.configuration)
    from multiscale.stages import CHAIN
    from multiscale.stages.engine import run_chain
    from multiscale.stages.inputs import check_inputs
    from multiscale.stages.summary import publish

    check_inputs(configuration, options.configuration)
    folder = options.runs / configuration.name
    records = run_chain(CHAIN, configuration, folder, Terminal(options.interrupted), threads=options.threads)
    summary = publish(folder, configuration, records)
    print(
        f"{'total':<{NAME_WIDTH}} {_duration(summary['seconds_total'])}; see {folder / 'report.html'} and {folder / 'summary.json'}"
    )


def _fit(options: argparse.Namespace) -> None:
    from multiscale.data.files import read_cell, read_data, symmetry_for
    from multiscale.fit_file import LAW_FILE, REPORT_FILE, fit_file, messages

    path: Path = options.data
    reference = None if options.reference is None else read_cell(options.reference)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        data = read_data(path, unit=options.unit, temperature=options.temperature, reference=reference)
    symmetry = symmetry_for(data, options.symmetry, None if options.axis is None else tuple(options.axis))
    folder = options.output or path.with_name(f"{path.stem}_law")
    terminal = Terminal(options.interrupted)
    progress = terminal.working("fit")
    try:
        found = fit_file(
            data,
            symmetry,
            folder,
            source=path.name,
            mode=options.mode,
            neurons=options.neurons,
            seed=options.seed,
            starts=options.starts,
            reference_stress=options.reference_stress,
            judged=not options.no_learning_curve,
            warned=messages(caught),
            progress=progress,
        )
    finally:
        terminal.close()
    for message in found.warned:
        print(f"atomlaw: warning: {message}", file=sys.stderr)
    print(f"{'law':<{NAME_WIDTH}} {type(found.law).__name__}, {symmetry.name}, {found.law.provenance['fit']}")
    print(f"{'constants':<{NAME_WIDTH}} {found.constants}")
    if found.curve is not None:
        for line in str(found.curve).splitlines():
            print(f"{'':<{NAME_WIDTH}} {line}")
    print(f"{'files':<{NAME_WIDTH}} {folder / LAW_FILE} and {folder / REPORT_FILE}")
    print("Do not use this law")
    for sentence in found.limits.sentences:
        print(f"- {sentence[0].lower()}{sentence[1:]}")


def _build_lammps_plugin(options: argparse.Namespace) -> None:
    from ase.data import chemical_symbols

    from atomistic import NeuralPotential, build_lammps_plugin

    potential = NeuralPotential.load(options.potential)
    plugin = build_lammps_plugin(potential, options.output or options.potential.with_suffix(".so"))
    symbols = " ".join(chemical_symbols[number] for number in potential.descriptors.numbers)
    print(f"plugin load {plugin.resolve()}\npair_style atomlaw\npair_coeff * * {symbols}")


NAME_WIDTH = 10


class Terminal:
    """Prints a line for each stage; shows a bar while it works, if somebody is looking.

    Args:
        interrupted: not empty once the run is to stop; it stops at the next progress where the interrupt itself was lost.
    """

    def __init__(self, interrupted: Sequence[int] = ()) -> None:
        self._interrupted = interrupted
        self._bar: Any = None

    def working(self, stage: str) -> "Progress":
        """A bar for the stage on a terminal, nothing otherwise."""
        from tqdm import tqdm

        for number in (signal.SIGINT, signal.SIGTERM):
            # gmsh and PETSc take the signals for themselves as they start: ours again
            signal.signal(number, signal.getsignal(number))

        self._bar = tqdm(
            total=1.0,
            desc=f"{stage:<{NAME_WIDTH}}",
            bar_format="{desc} {percentage:3.0f}% |{bar:20}| {elapsed}, {remaining} left{postfix}",
            leave=False,
            disable=not sys.stderr.isatty(),
        )

        def tell(fraction: float, message: str) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._bar.n = min(max(fraction, 0.0), 1.0)
            self._bar.set_postfix_str(message, refresh=False)
            self._bar.refresh()

        return tell

    def finished(self, record: "Record", *, kept: bool) -> None:
        """One line: what was done, how well, how long."""
        self.close()
        seconds = "kept" if kept else _duration(record.seconds)
        print(f"{record.stage:<{NAME_WIDTH}} {record.summary}  [{seconds}]", flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100.0 else f"{int(seconds // 60)} min {seconds % 60:.0f} s"


def _is_users_mistake(error: Exception) -> bool:
    # numpy's "singular matrix" is a ValueError too, but nobody's mistake
    return isinstance(error, ValueError) and not type(error).__module__.startswith("numpy")


def _explain(error: Exception, traceback_shown: bool) -> str:
    stage = "".join(f" ({note})" for note in getattr(error, "__notes__", []))
    ours = type(error).__module__.partition(".")[0] in ("atomistic", "multiscale", "fem")
    if ours:
        return f"error: {error}{stage}"
    if isinstance(error, ModuleNotFoundError) and error.name in (
        "dolfinx",
        "ufl",
        "basix",
        "petsc4py",
        "mpi4py",
        "gmsh",
    ):
        return f"error: {error.name} is not installed; FEniCSx comes with: pip install 'atomlaw[fenicsx]'"
    hint = "" if traceback_shown else "; --traceback shows where"
    return f"error: {type(error).__name__}: {error}{stage}{hint}"


if __name__ == "__main__":
    sys.exit(main())
