"""The command ``atomlaw``.

Exit status: 0 done; 1 a computation failed; 2 the user's mistake; 130 interrupted. Errors are short; ``--traceback`` shows all.
"""

import argparse
import os
import signal
import sys
import traceback
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
            print("atomlaw: interrupted; finished stages are kept, run the same command to go on", file=sys.stderr)
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
    lammps = commands.add_parser("lammps", help="potentials in LAMMPS").add_subparsers(required=True, metavar="COMMAND")
    build = lammps.add_parser("build", parents=[traceable], help="compile a potential to a plugin with its pair style")
    build.add_argument("potential", type=Path, help="potential (.safetensors)")
    build.add_argument("--output", type=Path, metavar="FILE", help="the plugin (default: the potential's name, .so)")
    build.set_defaults(command=_build_lammps_plugin)
    return parser


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} cores, expected a whole number of at least 1")
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
            bar_format="{desc} {percentage:3.0f}% |{bar:20}| {elapsed} {postfix}",
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
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        seconds = "kept" if kept else _duration(record.seconds)
        print(f"{record.stage:<{NAME_WIDTH}} {record.summary}  [{seconds}]", flush=True)


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
