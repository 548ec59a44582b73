"""Thread pool: every job runs once and in order, independently of other threads and processes.

The pool is tested alone, in a library that is compiled here; `threads_stress.cpp` documents what its functions count.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elman.threads

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "native"
COMPILER = os.environ.get("CXX", "c++")
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

needs_compiler = pytest.mark.skipif(shutil.which(COMPILER) is None or os.name != "posix", reason="no C++ compiler")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def build(target, *flags):
    sources = [NATIVE / "engine" / "threads.cpp", HERE / "threads_stress.cpp"]
    command = [COMPILER, "-std=c++20", "-O2", "-pthread", *flags, f"-I{NATIVE}", *sources, "-o", target]
    subprocess.run(command, check=True, timeout=300)
    return target


def load(path):
    library = ctypes.CDLL(path)
    for name in ("wrong_parallel", "wrong_strands", "wrong_nested", "threads_of", "wrong_denormals"):
        getattr(library, name).restype = ctypes.c_int64
    library.wrong_parallel.argtypes = library.threads_of.argtypes = [ctypes.c_int64, ctypes.c_int64]
    library.wrong_denormals.argtypes = [ctypes.c_int64, ctypes.c_int64]
    library.wrong_nested.argtypes = [ctypes.c_int64]
    library.wrong_strands.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    return library


def wrong_strands(library, strands, rounds=0):
    lengths = np.array([length for length, _ in strands], dtype=np.int64)
    after = np.array([after for _, after in strands], dtype=np.int32)
    return library.wrong_strands(len(strands), lengths.ctypes.data, after.ctypes.data, rounds)


def most_threads(library, expected):
    """Return the largest number of threads of a call; retry until it is as expected, since workers may be delayed."""
    seen, deadline = 0, time.monotonic() + 60
    while seen < expected and time.monotonic() < deadline:
        seen = max(seen, library.threads_of(100, 100_000))
    return seen


@pytest.fixture(scope="module")
def library_path(tmp_path_factory):
    return build(tmp_path_factory.mktemp("threads") / "threads_stress.so", "-shared", "-fPIC")


@pytest.fixture
def library(library_path):
    library = load(library_path)
    library.set_num_threads(3)
    return library


@pytest.fixture
def run(library_path):
    """Return a function that runs a script in a new process, with the functions above and `library`."""
    prelude = "import os, signal, sys, threading, time\nfrom contextlib import suppress\n"
    prelude += f"sys.path.insert(0, {str(HERE)!r})\nfrom test_threads import *\nlibrary = load({str(library_path)!r})\n"

    def run(script, **environment):
        command = [sys.executable, "-W", "ignore", "-c", prelude + script]
        environment = {**os.environ, **environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (done.returncode, done.stderr)
        return done.stdout.strip()

    return run


@st.composite
def strands(draw):
    lengths = draw(st.lists(st.integers(0, 12), max_size=20))
    return [(length, draw(st.integers(-1, strand - 1))) for strand, length in enumerate(lengths)]


# --- Guarantees of a call


@needs_compiler
@given(count=st.integers(0, 300), threads=st.integers(1, 5), rounds=st.sampled_from([0, 0, 1000]))
def test_every_job_runs_once(library_path, count, threads, rounds):
    library = load(library_path)
    library.set_num_threads(threads)
    assert library.wrong_parallel(count, rounds) == 0


@needs_compiler
@settings(max_examples=300)
@given(strands=strands(), threads=st.integers(1, 5), rounds=st.sampled_from([0, 0, 1000]))
def test_a_job_follows_its_strand_and_the_strand_before(library_path, strands, threads, rounds):
    library = load(library_path)
    library.set_num_threads(threads)
    assert wrong_strands(library, strands, rounds) == 0


@needs_compiler
@pytest.mark.parametrize(
    "strands",
    [[(100, strand - 1) for strand in range(4)], [(60, -1)] * 5, [(3, -1), (100, 0), (7, 1)], [(1, -1)] * 2000],
    ids=["wavefront", "abreast", "shorter and longer", "many"],
)
def test_waves_as_kernels_make_them(library, strands):
    for rounds in [0, 0, 3000, 30_000 if len(strands) < 10 else 0]:
        assert wrong_strands(library, strands, rounds) == 0


@needs_compiler
def test_a_call_from_inside_a_job(library):
    assert library.wrong_nested(20) == 0


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_is_as_set(library, threads):
    library.set_num_threads(threads)
    assert most_threads(library, threads) == threads


@needs_compiler
def test_workers_flush_denormals_as_the_caller_does(library):
    for _ in range(20):
        assert library.wrong_parallel(50, 10_000) == 0
        assert library.wrong_denormals(50, 10_000) == 0


# --- Other threads and processes


@needs_compiler
def test_two_python_threads_at_once(library):
    def call(seed):
        wrong = library.wrong_parallel(50 + seed, 1000)
        return wrong + wrong_strands(library, [(20, -1), (20 + seed, 0), (30, -1)], 1000) + library.wrong_nested(2)

    with ThreadPoolExecutor(4) as executor:
        assert set(executor.map(call, range(400))) == {0}


@needs_compiler
def test_jobs_finish_when_other_processes_occupy_the_processors(library):
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(PROCESSORS)]
    try:
        for _ in range(20):
            assert library.wrong_parallel(40, 30_000) == 0
            assert wrong_strands(library, [(30, -1), (30, 0), (30, 1), (40, -1)], 10_000) == 0
    finally:
        for other in others:
            other.kill()
            other.wait()


FORK = """
def call():
    return library.wrong_parallel(100, 10_000) + wrong_strands(library, [(20, -1), (20, 0), (20, -1)], 10_000)

def forks(depth):
    child = os.fork()
    if child == 0:
        wrong = call() + library.wrong_nested(3) + (depth and forks(depth - 1))
        os._exit(wrong != 0 or most_threads(library, 3) != 3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

library.set_num_threads(3)
assert call() == 0
other = threading.Thread(target=lambda: [call() for _ in range(WAVES)])
other.start()
print({forks(1) for _ in range(FORKS)})
other.join()
print(call())
"""


@needs_compiler
@pytest.mark.parametrize("waves", [0, 400], ids=["idle", "working"])
@pytest.mark.parametrize("forks", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_child_has_a_pool_of_its_own(run, waves, forks):
    assert run(FORK.replace("WAVES", str(waves)).replace("FORKS", str(forks))) == "{0}\n0"


@needs_compiler
@pytest.mark.parametrize(
    "ending",
    [
        "",
        "time.sleep(0.2)",
        "calls = lambda: [library.wrong_parallel(100, 10_000) for _ in range(9999)]\n"
        "threading.Thread(target=calls, daemon=True).start()",
    ],
    ids=["workers look for work", "workers sleep", "in the midst of a call"],
)
def test_a_process_exits_cleanly(run, ending):
    assert run(f"library.set_num_threads(3); print(library.wrong_parallel(100, 1000), flush=True)\n{ending}") == "0"


WORKERS = """
def workers(word):  # values in /proc; a worker may end while it is read
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            lines = dict(line.split(":\\t", 1) for line in (task / "status").read_text().splitlines())
            if lines["Name"] == "elman":
                found.append(lines[word])
    return found

def until(ready):
    deadline = time.monotonic() + 30
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.01)

library.set_num_threads(3)
library.wrong_parallel(100, 1000)
until(lambda: workers("State") == ["S (sleeping)"] * 2)
print(workers("State"))
blocked = [int(mask, 16) for mask in workers("SigBlk")]
print([[mask >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGSEGV)] for mask in blocked])
library.set_num_threads(2)
library.wrong_parallel(100, 1000)
until(lambda: len(workers("State")) == 1)
print(len(workers("State")))
"""


@needs_compiler
@needs_linux
def test_workers_sleep_between_calls_and_leave_signals_alone(run):
    assert run(WORKERS).splitlines() == ["['S (sleeping)', 'S (sleeping)']", "[[1, 0], [1, 0]]", "1"]


@needs_compiler
@pytest.mark.parametrize(("text", "threads"), [("3", 3), ("two", PROCESSORS), ("0", PROCESSORS), ("-1", PROCESSORS)])
def test_the_environment_variable_sets_the_default(run, text, threads):
    script = "print(library.num_threads()); library.set_num_threads(2); print(library.num_threads())"
    assert run(script, ELMAN_NUM_THREADS=text) == f"{threads}\n2"


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["", "-fsanitize=thread", "-fsanitize=address,undefined"])
def test_long_random_runs(tmp_path, sanitizer):
    program = build(tmp_path / "stress", "-g", *sanitizer.split())
    rounds = "20000" if sanitizer else "200000"
    done = subprocess.run([program, rounds], capture_output=True, text=True, timeout=600)
    assert done.stdout == "0 wrong\n", done.stderr


# --- The Python interface


@pytest.fixture
def threads_as_before():
    before = elman.threads.get_num_threads()
    yield
    elman.threads.set_num_threads(before)


@pytest.mark.needs_native
@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("threads", [1, 3, np.int64(2)])
def test_set_num_threads_takes_effect(threads):
    elman.threads.set_num_threads(threads)
    assert elman.threads.get_num_threads() == threads


@pytest.mark.parametrize(
    ("threads", "kind", "message"),
    [
        (0, ValueError, r"set_num_threads: expected from 1 to 1024 threads, got 0\."),
        (-2, ValueError, r"got -2\."),
        (10**30, ValueError, r"expected from 1 to 1024 threads"),
        (2.0, TypeError, r"set_num_threads: expected threads to be an integer, got 2\.0\."),
        ("2", TypeError, r"got '2'\."),
        (True, TypeError, r"got True\."),
    ],
)
def test_wrong_numbers_of_threads_are_errors(threads, kind, message):
    before = elman.threads.get_num_threads()
    with pytest.raises(kind, match=message):
        elman.threads.set_num_threads(threads)
    assert elman.threads.get_num_threads() == before


@pytest.mark.parametrize("text", ["two", "0", "-1", "1.5", "", "2 ", "9" * 5000])
def test_an_invalid_number_in_the_environment_raises(monkeypatch, text):
    monkeypatch.setenv("ELMAN_NUM_THREADS", text)
    for call in [elman.threads.get_num_threads, lambda: elman.threads.set_num_threads(1)]:
        with pytest.raises(
            ValueError, match=r"^ELMAN_NUM_THREADS: expected from 1 to 1024, got '.*'; correct it or unset it"
        ):
            call()


@pytest.mark.parametrize(("kernels", "seen"), [("1", "3 2"), ("0", "1 1")])
def test_without_kernels_the_call_has_no_effect(kernels, seen):
    if kernels == "1":
        pytest.importorskip("elman._native")
    script = (
        "from elman.threads import get_num_threads as get, set_num_threads as set; a = get(); set(2); print(a, get())"
    )
    environment = {**os.environ, "ELMAN_NATIVE": kernels, "ELMAN_NUM_THREADS": "3"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout == f"{seen}\n", done.stderr
