"""Run benchmarks: print a table, update results.json.

    python benchmarks/run.py            # all of them
    python benchmarks/run.py law        # one

A benchmark is a file beside this one with a function `measure() -> dict[str, float]`; names of numbers carry the unit. Files without
one take arguments and run by themselves.
"""

import importlib.util
import json
import os
import platform
import re
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Final

# before numpy is imported: every figure is that of one thread unless a benchmark says otherwise
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

FOLDER: Final = Path(__file__).parent
RESULTS: Final = FOLDER / "results.json"
PACKAGES: Final = ("atomlaw", "numpy", "scipy", "torch")


def main(names: list[str]) -> int:
    """Run the benchmarks named, all of them by default; returns the exit status."""
    present = sorted(
        path.stem for path in FOLDER.glob("*.py") if re.search(r"^def measure\(", path.read_text(), re.MULTILINE)
    )
    unknown = [name for name in names if name not in present]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; expected one of {', '.join(present)}", file=sys.stderr)
        return 2
    for name in names or present:
        start = time.perf_counter()
        numbers = measure(name)
        print(f"{name} ({time.perf_counter() - start:.0f} s)")
        for quantity, value in numbers.items():
            print(f"  {quantity:<44} {value:>12.5g}")
        record(name, numbers)
    return 0


def measure(name: str) -> dict[str, float]:
    """The numbers of one benchmark."""
    specification = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return {quantity: float(value) for quantity, value in module.measure().items()}


def record(name: str, numbers: dict[str, float]) -> None:
    """Replace the benchmark's entries of results.json, with the machine, the versions and the day of this run."""
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results = {key: value for key, value in results.items() if not key.startswith(f"{name}.")}
    results |= {f"{name}.{quantity}": float(f"{value:.5g}") for quantity, value in numbers.items()}
    results[f"{name}.machine"] = machine()
    results[f"{name}.versions"] = ", ".join(
        [f"python {platform.python_version()}", *(f"{package} {version(package)}" for package in PACKAGES)]
    )
    results[f"{name}.date"] = date.today().isoformat()
    partial = RESULTS.with_suffix(".partial")
    partial.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    partial.replace(RESULTS)


def machine() -> str:
    """The processor's name and how many cores this process may use."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
