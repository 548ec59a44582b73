"""Output of a benchmark: a printed block per case, comparisons with targets, and a JSON file."""

import argparse
import json
import os
import platform
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from timing import ROUNDS, Contestant, Race, Spread, race, spread

from elman.kernels import native
from elman.threads import set_num_threads

RESULTS = Path(__file__).parent / "results"
PEAK_SECONDS = 0.03
LEAST_ROUNDS = 5  # rounds needed to write a file
STEADY = 0.9  # least ratio of the peak to its best value on an idle machine
LIBRARIES = ("elman", "torch", "numpy", "onnxruntime", "jax")


class Claim(NamedTuple):
    """Target and measured value: a ratio of speeds (`x`), or a percentage (`%`)."""

    what: str
    target: float
    measured: float
    unit: str = "x"

    @property
    def met(self) -> bool:
        return self.measured >= self.target

    def __str__(self) -> str:
        return f"{self.what:<66} {self.target:6.2f} {self.measured:8.2f} {self.unit:<2} {'' if self.met else 'MISSED'}"


def claim(what: str, target: float, values: Sequence[float | None], unit: str = "x", mean: bool = False) -> list[Claim]:
    """Return a claim about the lowest value, or the geometric mean; an empty list if a value is missing."""
    measured = [value for value in values if value is not None]
    if not measured or len(measured) < len(values):
        return []
    return [Claim(what, target, geometric_mean(measured) if mean else min(measured), unit)]


def geometric_mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


class Report:
    """Results of one benchmark.

    Args:
        name: name of its JSON file.
        about: description of the benchmark.
        choices: command-line options and their values. A run with a selection of values writes no file.
    """

    def __init__(self, name: str, about: str, **choices: Sequence[str]):
        parser = argparse.ArgumentParser(description=about)
        parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"at least {LEAST_ROUNDS} to write a file")
        parser.add_argument("--threads", type=int, default=2)
        for option, values in choices.items():
            known = None if option == "shapes" else values  # any shape can be named
            parser.add_argument(f"--{option}", nargs="+", choices=known, default=values, metavar=option[:-1].upper(),
                                help=", ".join(values))  # fmt: skip
        self.options = parser.parse_args()
        self.all = all(getattr(self.options, option) == values for option, values in choices.items())
        self.name, self.about = name, about
        self.rows: list[dict[str, Any]] = []
        self.claims: list[Claim] = []
        self.use_threads(self.options.threads)
        print(f"{about}\n{self.options.rounds} rounds; median (p10 to p90)", flush=True)

    def use_threads(self, threads: int) -> None:
        torch.set_num_threads(threads)
        set_num_threads(threads)

    def race(
        self,
        shape: str,
        what: str,
        contestants: Sequence[Contestant],
        flops: dict[str, float] | float | None = None,
        threads: dict[str, int] | None = None,
        apart: dict[str, float] | None = None,
        **more: Any,
    ) -> Race:
        """Time the contestants, print a block, and store a row. Ratios are relative to the first contestant.

        Args:
            shape, what: the case.
            contestants: implementations.
            flops: useful flops of a call, for all or per contestant; None prints no share of the peak.
            threads: threads of each contestant, if they differ.
            apart: differences of the results.
            more: other entries of the row.
        """
        names = [contestant.name for contestant in contestants]
        of = {name: flops[name] if isinstance(flops, dict) else flops for name in names}
        using = threads or dict.fromkeys(names, self.options.threads)
        peaks = fma_peaks(set(using.values())) if flops else {}
        result = race(contestants, self.options.rounds, peaks)
        row: dict[str, Any] = {"shape": shape, "what": what, **more, "rounds": self.options.rounds, "contestants": {}}
        row["peak_gflops"] = {str(number): _scaled(spread(rates), 1e-9) for number, rates in result.peaks.items()}
        for name in names:
            share = result.share(name, of[name], using[name]) if flops else None
            row["contestants"][name] = {
                "threads": using[name],
                "milliseconds": _scaled(result.time(name), 1e3),
                "gflops": of[name] / result.time(name).median * 1e-9 if flops else None,
                "share_of_peak": share and share._asdict(),
                "times_as_long": None if name == names[0] else result.ratio(name, names[0])._asdict(),
                "apart": (apart or {}).get(name),
            }
        self.rows.append(row)
        print(block(row), flush=True)
        return result

    def find(self, name: str, **wanted: Any) -> dict[str, Any] | None:
        """Return the results of a contestant in the row with the given entries, or None."""
        for row in self.rows:
            if all(row.get(key) == value for key, value in wanted.items()):
                return row["contestants"].get(name)
        return None

    def ratio(self, name: str, **wanted: Any) -> float | None:
        """Return the time of a contestant relative to the first one, or None."""
        found = self.find(name, **wanted)
        return found and found["times_as_long"]["median"]

    def share(self, name: str, **wanted: Any) -> float | None:
        """Return the share of the peak in percent, or None."""
        found = self.find(name, **wanted)
        return 100 * found["share_of_peak"]["median"] if found and found["share_of_peak"] else None

    def finish(self) -> None:
        """Print the claims and a note if the machine was busy; write the file if all cases have run."""
        if self.claims:
            print(claims_table(self.claims))
        swing = peak_swing(self.rows)
        if swing < STEADY:
            print(f"The peak fell to {swing:.0%} of its best: the machine was busy, which affects ratios as well.")
        if not self.all or self.options.rounds < LEAST_ROUNDS:
            return
        RESULTS.mkdir(exist_ok=True)
        facts = {
            "about": self.about,
            "machine": machine(self.options.threads),
            "peak_swing": swing,
            "versions": {"python": platform.python_version(), **dict(filter(None, map(_version, LIBRARIES)))},
            "rows": self.rows,
            "claims": [{**claim._asdict(), "met": claim.met} for claim in self.claims],
        }
        path = RESULTS / f"{self.name}.json"
        path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def peak_swing(rows: Sequence[dict[str, Any]]) -> float:
    """Return the lowest p10 of the peak relative to the best p90 with the same number of threads."""
    peaks: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        for threads, rates in row["peak_gflops"].items():
            peaks.setdefault(threads, []).append(rates)
    return min((min(r["p10"] for r in all) / max(r["p90"] for r in all) for all in peaks.values()), default=1.0)


def block(row: dict[str, Any]) -> str:
    peaks = "; ".join(f"peak of {n} threads {_formatted(s, 0)} GFLOP/s" for n, s in row["peak_gflops"].items())
    lines = ["", "  ".join(filter(None, [row["shape"], row.get("cell"), row["what"], peaks]))]
    for name, facts in row["contestants"].items():
        time = facts["milliseconds"]
        digits = 4 if time["median"] < 0.1 else 2
        rate = "" if facts["gflops"] is None else f"{facts['gflops']:7.1f} GFLOP/s"
        share = "" if facts["share_of_peak"] is None else f"{100 * facts['share_of_peak']['median']:4.0f} %"
        ratio = "" if facts["times_as_long"] is None else f"x {_formatted(facts['times_as_long'], 2)}"
        lines.append(f"  {name:<28} {_formatted(time, digits) + ' ms':<34} {rate:<16} {share:<7} {ratio}".rstrip())
    return "\n".join(lines)


def claims_table(claims: Sequence[Claim]) -> str:
    head = f"{'':<66} {'target':>6} {'measured':>8}"
    return "\n".join(["", head, *map(str, claims)])


def fma_peaks(threads: set[int]) -> dict[int, Callable[[], float]]:
    """Return functions that measure the flop/s by number of threads; none without native kernels."""
    measure = getattr(native.module, "fma_peak", None)
    return {number: partial(measure, number, PEAK_SECONDS) for number in sorted(threads)} if measure else {}


def machine(threads: int) -> dict[str, Any]:
    isa = getattr(native.module, "isa", None)
    return {"processor": processor(), "cores": os.cpu_count(), "threads": threads, "kernels": isa}


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(name: str) -> tuple[str, str] | None:
    try:
        return name, version(name)
    except PackageNotFoundError:
        return None


def _scaled(values: Spread, factor: float) -> dict[str, float]:
    return {name: value * factor for name, value in values._asdict().items()}


def _formatted(values: dict[str, float], digits: int) -> str:
    return f"{values['median']:.{digits}f} ({values['p10']:.{digits}f} to {values['p90']:.{digits}f})"
