import os
import subprocess
import sys
from pathlib import Path

import pytest

from elman.kernels import native

HERE = Path(__file__).parent
UNSUPPORTED = [isa for isa in native.ISAS if native.available() and not native.module.supported(isa)]

# Words in the names of the tests that run again for each instruction set.
REPEATED = "float64 or affect_each_other or other_rows or cut or threads or bit or all_paths or rounded"


def python(*arguments, **environment):
    """Run a script in a new process without the environment variables of the extension."""
    of_extension = ("ELMAN_NATIVE", "ELMAN_ISA", "ELMAN_BFLOAT16")
    plain = {name: value for name, value in os.environ.items() if name not in of_extension}
    return subprocess.run(
        [sys.executable, *arguments], env=plain | environment, capture_output=True, text=True, timeout=600
    )


def test_an_environment_variable_disables_the_extension():
    code = "from elman.kernels import native; print(native.available())"
    run = python("-c", code, ELMAN_NATIVE="0", ELMAN_ISA="unknown")
    assert run.stdout == "False\n", run.stderr


@pytest.mark.needs_native
@pytest.mark.parametrize("isa", ["", "AVX2", "sse", *UNSUPPORTED])
def test_an_unsupported_instruction_set_is_an_error(isa):
    run = python("-c", "import elman.kernels.native", ELMAN_ISA=isa)
    assert run.returncode == 1
    *_, line = run.stderr.splitlines()
    here = ", ".join(isa for isa in native.ISAS if isa not in UNSUPPORTED)
    assert (
        line == f"ValueError: ELMAN_ISA: expected one of {here} on this machine, got {isa!r}; correct it or unset it."
    )


@pytest.mark.needs_native
def test_bfloat16_is_used_if_the_processor_supports_it_or_it_is_emulated():
    code = "from elman.kernels import native; print(native.bfloat16(), native.module.isa)"
    default, emulated, baseline = (
        python("-c", code, **variables).stdout.split()[0]
        for variables in ({}, {"ELMAN_BFLOAT16": "1"}, {"ELMAN_BFLOAT16": "1", "ELMAN_ISA": "baseline"})
    )
    assert (default, emulated, baseline) == (str(native.module.multiplies_bfloat16), "True", "True")
    assert native.module.multiplies_bfloat16 == (native.module.isa == "avx512bf16")
    with native.emulating():
        assert native.bfloat16()
        with native.disabled():
            assert not native.bfloat16()
    assert native.bfloat16() == native.module.multiplies_bfloat16 or os.environ.get("ELMAN_BFLOAT16") == "1"


@pytest.mark.needs_native
@pytest.mark.slow
@pytest.mark.parametrize("isa", native.ISAS)
def test_the_kernels_of_each_instruction_set(isa):
    if isa in UNSUPPORTED:
        pytest.skip(f"this processor has no {isa}")
    if isa == native.module.isa:
        pytest.skip("the other tests run under it")
    code = "from elman.kernels import native; print(native.module.isa)"
    assert python("-c", code, ELMAN_ISA=isa).stdout == f"{isa}\n"
    names = ("recurrence", "autocast", "linear", "linear_scan", "masks", "semiring_scan", "kalman", "kalman_native")
    files = [HERE / f"test_{name}.py" for name in names]
    run = python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", "-k", REPEATED, *files, ELMAN_ISA=isa
    )
    assert run.returncode == 0, run.stdout[-5000:]
