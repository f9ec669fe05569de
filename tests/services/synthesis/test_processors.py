"""The same bytes on every processor: whatever its features let NumPy, BLAS and the compiler choose."""

import functools
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.services.synthesis.everything import ROWS, hashes

WITHOUT_AVX512 = "X86_V4 AVX512_ICL AVX512_SPR"
ELSEWHERE = {
    "NumPy without AVX-512": {"NPY_DISABLE_CPU_FEATURES": WITHOUT_AVX512},
    "NumPy, BLAS and C library of 2008": {
        "NPY_DISABLE_CPU_FEATURES": f"{WITHOUT_AVX512} X86_V3",
        "OPENBLAS_CORETYPE": "NEHALEM",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4",
    },
    "compiled for any x86-64": {"NUMBA_CPU_NAME": "generic"},
}


@functools.cache
def _hashes_here() -> dict[str, str]:
    return hashes(ROWS)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_other_processors_make_the_same_bytes(name: str) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.services.synthesis.everything"]
    environment = {**os.environ, **ELSEWHERE[name]}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout.splitlines()[-1]) == _hashes_here()


def test_numpys_own_functions_differ_between_processors() -> None:
    """What makes the test above worth something, where the processor has AVX-512."""
    script = "import numpy as np; print(hash(np.cbrt(np.linspace(0, 1, 999)).tobytes()))"
    runs = []
    for features in ("", WITHOUT_AVX512):
        environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": features, "PYTHONHASHSEED": "0"}
        runs.append(subprocess.check_output([sys.executable, "-W", "ignore", "-c", script], env=environment))
    if "X86_V4" not in np.show_config(mode="dicts")["SIMD Extensions"]["found"]:
        pytest.skip("a processor without AVX-512")
    assert runs[0] != runs[1]
