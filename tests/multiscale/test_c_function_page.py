"""The examples of docs/c_function.md run, the C one compiled by itself; its signature is the header's."""

import ctypes
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atomistic.compiler import compiler_found
from fem.c_function import HEADER
from multiscale.classical import IsotropicLaw, NeoHooke

PAGE = Path(__file__).parents[2] / "docs" / "c_function.md"
needs_compiler = pytest.mark.skipif(
    IsotropicLaw(NeoHooke(1.0), bulk_modulus=1.0).backend == "numpy", reason="no C compiler"
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def test_signature_is_that_of_the_header() -> None:
    signature = re.sub(r"\s+", " ", blocks("c")[0]).strip()
    arguments = signature.removeprefix("int64_t atomlaw_law").removesuffix(";")
    assert arguments in re.sub(r"\s+", " ", HEADER.read_text())


@needs_compiler
def test_examples(tmp_path: Path) -> None:
    (code,) = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    law, function, F = names["law"], names["function"], names["F"][:8]
    (tmp_path / "cell.c").write_text(blocks("c")[1])
    (tmp_path / "law.h").write_text(HEADER.read_text())
    compiler, _ = compiler_found(os.environ.get("CC", ""), os.environ.get("PATH", ""))
    command = [
        compiler,
        "-std=c11",
        "-Wall",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        str(tmp_path / "cell.so"),
        str(tmp_path / "cell.c"),
    ]
    subprocess.run(command, check=True)
    cell = ctypes.CDLL(str(tmp_path / "cell.so"))
    w, energy = np.linspace(1.0, 2.0, 8), np.zeros(1)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (F, w, energy)]
    addresses = ctypes.c_void_p(function.address), ctypes.c_void_p(function.parameters_address)
    assert cell.cell_energy(*addresses, ctypes.c_int64(8), *pointers) == 1
    assert np.isclose(energy[0], w @ law.evaluate(F).energy, rtol=1e-14)
    F[3, 0, 0] = -1.0
    assert cell.cell_energy(*addresses, ctypes.c_int64(8), *pointers) == 0
