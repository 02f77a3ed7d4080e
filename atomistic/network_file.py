"""Network files: named arrays in safetensors with a JSON header that says what they are. Nothing is unpickled.

The header is one JSON object under the safetensors metadata key ``atomlaw``, with at least `schema` and `schema_version`.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy import ndarray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

HEADER_KEY: Final = "atomlaw"


class NetworkFileError(ValueError):
    """A file that cannot be read as a potential or law: missing, truncated, foreign, inconsistent, or of a later schema."""


def write_network_file(
    path: str | os.PathLike[str], schema: str, version: int, header: Mapping[str, Any], arrays: Mapping[str, ndarray]
) -> None:
    """Write arrays and header, whole or not at all: a temporary file beside `path` takes its name when complete.

    Raises:
        OSError: where the folder cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    metadata = {HEADER_KEY: json.dumps({"schema": schema, "schema_version": version, **header})}
    try:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, partial, metadata=metadata)
        os.replace(partial, target)
    except SafetensorError as error:
        raise OSError(f"{target} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def read_schema(path: str | os.PathLike[str]) -> str:
    """What kind of network a file holds.

    Raises:
        NetworkFileError: missing, truncated or foreign file.
    """
    if not Path(path).is_file():
        raise NetworkFileError(f"{path} is not a file; expected a network in safetensors")
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(HEADER_KEY, "null"))
    except (SafetensorError, OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise NetworkFileError(f"{path} cannot be read as a network ({error}); save it again") from error
    if not isinstance(header, dict) or not isinstance(header.get("schema"), str):
        raise NetworkFileError(f"{path} has no schema: another kind of safetensors file")
    return str(header["schema"])


def read_network_file(
    path: str | os.PathLike[str], schema: str, version: int, names: tuple[str, ...] | None = None
) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Header and the arrays `names` (all of them where None) of a file that `write_network_file` wrote with this schema and version.

    Raises:
        NetworkFileError: missing, truncated or foreign file, another schema or version, an array that is not there or not finite.
    """
    if not Path(path).is_file():
        raise NetworkFileError(f"{path} is not a file; expected a network in safetensors")
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(HEADER_KEY, "null"))
            if not isinstance(header, dict) or header.get("schema") != schema:
                found = header.get("schema") if isinstance(header, dict) else None
                raise NetworkFileError(
                    f"{path} has schema {found!r}, expected {schema!r}: another kind of safetensors file"
                )
            if header.get("schema_version") != version:
                raise NetworkFileError(
                    f"{path} has schema version {header.get('schema_version')}, this release reads {version}; "
                    "use the release that wrote it"
                )
            names = tuple(file.keys()) if names is None else names
            missing = sorted(set(names) - set(file.keys()))
            if missing:
                raise NetworkFileError(f"{path} lacks the array {missing[0]!r}; save it again")
            arrays = {name: np.asarray(file.get_tensor(name), dtype=np.float64) for name in names}
    except (SafetensorError, OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise NetworkFileError(f"{path} cannot be read as a network ({error}); save it again") from error
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise NetworkFileError(f"the array {name!r} of {path} holds NaN or infinity; save it again")
    return header, arrays
