"""Label the structures of the dataset by Quantum ESPRESSO; stop it and start it again as you like.

    python generate.py label [--workers 2] [--time-limit 3600]   label what has no label yet, then write silicon_pbe.extxyz
    python generate.py explore ROUND                              train on the labels so far, melt and quench, queue the snapshots
    python generate.py collect                                    write silicon_pbe.extxyz from the labels so far
    python generate.py restore                                    fill an empty cache with the labels of silicon_pbe.extxyz, to go on from

Every label is a file of its own in the cache, written atomically and named by what it was made from: structure, inputs and
pseudopotential. A structure whose self-consistency fails leaves a file that says so and is not tried again.
"""

import argparse
import copy
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from designs import ADDED, STRESS_WEIGHTS, WEIGHTS, Design, designs, disordered_spacing

from atomistic.espresso import EspressoFailed, NotSelfConsistent, PlaneWaves, QuantumEspresso, k_mesh

HERE = Path(__file__).resolve().parent
DATASET = HERE / "silicon_pbe.extxyz"
COLLECT_EVERY = 20
ORDER = 0.1
"""A round of exploration is labelled at once, before most of what is left: the next one waits for it."""


def write_atomically(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)


class Cache:
    """The labels made so far, one file each."""

    def __init__(self, directory: Path, calculator: QuantumEspresso) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.calculator = calculator
        self.others: dict[float, Cache] = {}
        waves = calculator.plane_waves
        self.pseudopotentials = {
            name: hashlib.md5((calculator.pseudopotential_directory / name).read_bytes()).hexdigest()
            for name in waves.pseudopotentials.values()
        }
        mesh = [] if calculator.mesh is None else [calculator.mesh]
        self.inputs = json.dumps([asdict(waves), self.pseudopotentials, *mesh], sort_keys=True)

    def at(self, k_spacing: float) -> "Cache":
        """The labels made with k-points of another density."""
        waves = self.calculator.plane_waves
        if k_spacing == waves.k_spacing:
            return self
        if k_spacing not in self.others:
            calculator = copy.copy(self.calculator)
            calculator.plane_waves = replace(waves, k_spacing=k_spacing)
            self.others[k_spacing] = Cache(self.directory, calculator)
        return self.others[k_spacing]

    def path(self, atoms: Atoms) -> Path:
        """Where the label of a structure lies; positions and cell count to 1e-6 A."""
        numbers = [
            (np.round(array, 6) + 0.0).tobytes() for array in (atoms.cell.array, atoms.get_scaled_positions(wrap=False))
        ]
        key = hashlib.sha256(self.inputs.encode())
        for part in (*numbers, atoms.numbers.tobytes(), atoms.pbc.tobytes()):
            key.update(part)
        return self.directory / f"{key.hexdigest()[:20]}.json"

    def record(self, atoms: Atoms) -> dict:
        """Energy, forces, stress and the seconds they took, from the cache or from pw.x."""
        path = self.path(atoms)
        if path.is_file():
            return json.loads(path.read_text())
        started = time.time()
        calculator = copy.copy(self.calculator)  # One for each thread: it carries its results
        try:
            calculator.calculate(atoms.copy())
        except NotSelfConsistent as error:
            record: dict[str, object] = {"failed": str(error)}
        else:
            record = {name: np.asarray(calculator.results[name]).tolist() for name in ("energy", "forces", "stress")}
        record["seconds"] = round(time.time() - started, 1)
        write_atomically(path, json.dumps(record))
        return record

    def label(self, design: Design) -> str:
        """Label one structure and say how it went."""
        try:
            record = self.at(design.k_spacing).record(design.atoms)
        except EspressoFailed as error:
            return f"{design.group}: left for the next run: {error}"
        return f"{design.group}, {len(design.atoms)} atoms: {record.get('failed', 'labelled')} in {record['seconds']} s"

    def labelled(self, design: Design) -> Atoms | None:
        """The structure with its label, where there is one."""
        path = self.at(design.k_spacing).path(design.atoms)
        record = json.loads(path.read_text()) if path.is_file() else {"failed": ""}
        if "failed" in record:
            return None
        waves = self.calculator.plane_waves
        mesh, shift = k_mesh(design.atoms, design.k_spacing)
        (pseudopotential,) = waves.pseudopotentials.values()
        atoms = design.atoms.copy()
        atoms.pbc = True  # What was computed: a slab is a stack of slabs, with a stress
        atoms.info = {
            "group": design.group,
            "split": design.split,
            "weight": WEIGHTS.get(design.group, 1.0),
            "stress_weight": STRESS_WEIGHTS.get(design.group, 1.0),
            "round": design.round,
            "cutoff_Ry": waves.cutoff,
            "smearing_Ry": waves.smearing,
            "kpoints": "x".join(f"{n}{'s' * s}" for n, s in zip(mesh, shift, strict=True)),
            "pseudopotential": pseudopotential,
            "pseudopotential_md5": self.pseudopotentials[pseudopotential],
        }
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=record["energy"],
            forces=np.array(record["forces"]),
            stress=np.array(record["stress"]),
        )
        return atoms

    def explored(self) -> Iterator[Design]:
        """The structures that a potential made, round by round."""
        for path in sorted(self.directory.glob("round*.extxyz")):
            for atoms in read(path, ":"):
                info = atoms.info
                atoms.info, atoms.calc = {}, None
                group, order = info["group"], float(info["order"])
                yield Design(atoms, group, info["split"], int(info["round"]), order, disordered_spacing(atoms, group))

    def plan(self) -> list[Design]:
        """All structures, in the order in which they are labelled."""
        return sorted([*designs(), *self.explored()], key=lambda design: design.order)


def write_queue(path: Path, structures: list[Atoms]) -> None:
    """Structures of a round of exploration, without labels."""
    partial = path.with_suffix(".partial")
    write(partial, structures, format="extxyz", columns=["symbols", "positions"], write_results=False)
    partial.replace(path)


def collect(cache: Cache) -> int:
    """Write the dataset; returns its number of structures."""
    frames = [atoms for design in cache.plan() if (atoms := cache.labelled(design)) is not None]
    frames.sort(key=lambda atoms: (atoms.info["round"], atoms.info["group"]))
    partial = DATASET.with_suffix(".partial")
    write(partial, frames, format="extxyz")
    partial.replace(DATASET)
    counts = Counter(atoms.info["group"] for atoms in frames)
    print(f"{len(frames)} structures: " + ", ".join(f"{name} {count}" for name, count in counts.items()), flush=True)
    return len(frames)


def restore(cache: Cache) -> None:
    """Fill the cache from the dataset: the queues of the rounds of exploration, and a label for each structure.

    Raises:
        LookupError: where `designs` does not make a structure of the dataset.
    """
    frames = read(DATASET, ":")
    for number in sorted({int(atoms.info["round"]) for atoms in frames} - {0, ADDED}):
        path = cache.directory / f"round{number}.extxyz"
        own = [atoms.copy() for atoms in frames if atoms.info["round"] == number]
        for k, atoms in enumerate(own):
            atoms.info = {name: atoms.info[name] for name in ("group", "split", "round")} | {"order": ORDER + 1e-3 * k}
        if not path.is_file():
            write_queue(path, own)
    planned = cache.plan()
    for atoms in frames:
        design = next((design for design in planned if same(design, atoms)), None)
        if design is None:
            raise LookupError(
                f"{atoms.info['group']}, round {atoms.info['round']}: no such structure is made by designs.py"
            )
        record = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces().tolist(),
            "stress": atoms.get_stress().tolist(),
            "seconds": 0.0,
        }
        write_atomically(cache.at(design.k_spacing).path(design.atoms), json.dumps(record))
    print(f"{len(frames)} labels restored", flush=True)


def same(design: Design, atoms: Atoms) -> bool:
    """Whether a structure of the dataset is that of a design, to the digits that the file keeps."""
    return (
        (design.group, design.round, len(design.atoms)) == (atoms.info["group"], atoms.info["round"], len(atoms))
        and np.allclose(design.atoms.cell.array, atoms.cell.array, atol=1e-6)
        and np.allclose(design.atoms.positions, atoms.positions, atol=1e-6)
    )


def label(cache: Cache, workers: int, time_limit: float) -> None:
    """Label until nothing is left or the time is over; what `explore` queues meanwhile is taken up."""
    deadline = time.monotonic() + time_limit
    started: set[Path] = set()
    running: set[Future[str]] = set()
    since_collected = 0
    with ThreadPoolExecutor(workers) as executor:
        while True:
            for design in cache.plan():
                path = cache.at(design.k_spacing).path(design.atoms)
                if len(running) == workers or time.monotonic() > deadline:
                    break
                if path not in started and not path.is_file():
                    started.add(path)
                    running.add(executor.submit(cache.label, design))
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                print(time.strftime("%H:%M:%S"), future.result(), flush=True)
            since_collected += len(done)
            if since_collected >= COLLECT_EVERY:
                since_collected = 0
                collect(cache)
    collect(cache)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("label", "explore", "collect", "restore"))
    parser.add_argument("round", type=int, nargs="?", default=1, help="number of the round that `explore` makes")
    parser.add_argument("--cache", type=Path, default=Path("runs/silicon_pbe"))
    parser.add_argument("--executable", default=None, help="pw.x, by default the one on the path")
    parser.add_argument("--pseudopotentials", type=Path, default=Path("/usr/share/espresso/pseudo"))
    parser.add_argument("--workers", type=int, default=1, help="pw.x processes at a time, each with one thread")
    parser.add_argument(
        "--time-limit", type=float, default=float("inf"), help="seconds after which no structure is begun"
    )
    arguments = parser.parse_args()
    calculator = QuantumEspresso(
        PlaneWaves(), executable=arguments.executable, pseudopotential_directory=arguments.pseudopotentials
    )
    cache = Cache(arguments.cache, calculator)
    if arguments.step == "label":
        label(cache, arguments.workers, arguments.time_limit)
    elif arguments.step == "explore":
        from explore import explore

        frames = [atoms for design in cache.plan() if (atoms := cache.labelled(design)) is not None]
        snapshots = explore(frames, arguments.round)
        for k, atoms in enumerate(snapshots):
            atoms.info["order"] = ORDER + 1e-3 * k
        write_queue(cache.directory / f"round{arguments.round}.extxyz", snapshots)
    elif arguments.step == "restore":
        restore(cache)
    else:
        collect(cache)


if __name__ == "__main__":
    main()
