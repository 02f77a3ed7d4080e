"""The end of a run: ``summary.json``, one flat object of numbers, and the report, both at the top of the run's folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from multiscale.configuration import Configuration
from multiscale.stages.engine import Record, write_whole


def publish(run_folder: Path, configuration: Configuration, records: Mapping[str, Record]) -> dict[str, int | float]:
    """Write ``summary.json`` and copy the report to the top of the run's folder; returns the numbers of the summary."""
    metrics = {name: value for record in records.values() for name, value in record.metrics.items()}
    seconds = {f"seconds_{name}": record.seconds for name, record in records.items()}
    numbers = metrics | seconds | {"seconds_total": sum(seconds.values())}
    write_whole(run_folder / "summary.json", json.dumps({"name": configuration.name, **numbers}, indent=2) + "\n")
    write_whole(run_folder / "report.html", (run_folder / "report" / "report.html").read_text(encoding="utf-8"))
    return numbers
