"""Try damaged inputs on the commands: python scripts/fuzz.py SECONDS [--seed N] [--keep DIR].

Pictures, masks, csv files, checkpoints, zoo.json and run folders are made, damaged, and given to
the commands in this process. A traceback, a command that does not end, a row or a mask that is
missing or wrong, a half-written file is a fault: one line says it, its input stays in
DIR/seed-N-INDEX, and the exit status is 1. A trial is a function of (seed, index): `--only INDEX`
runs it again and shows the traceback. A fault like one that was found before is only counted.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import faulthandler
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # before this folder

import torch  # noqa: E402

from scripts.fuzzing import checkpoints, corners, pictures, runs, tables  # noqa: E402
from scripts.fuzzing.trial import Fault, Hang, Trial  # noqa: E402

# What is tried, and how often
KINDS: dict[str, tuple[Callable[[Trial], None], int]] = {
    "classify": (pictures.classify, 30),
    "segment": (pictures.segment, 25),
    "overlay": (pictures.overlay, 15),
    "evaluate": (pictures.evaluate, 15),
    "classify-csv": (tables.classify_csv, 20),
    "unclosed": (tables.unclosed, 3),
    "grade": (tables.graded, 10),
    "checkpoint": (checkpoints.checkpoint, 20),
    "zoo": (checkpoints.zoo, 20),
    "publish": (runs.publish, 6),
    "report": (runs.report, 3),
    "readers": (runs.readers, 6),
}
PRODUCT = ("inference", "training", "mean_iou_evaluate.py", "hubconf.py")


@dataclass
class Tally:
    """What was tried of a kind."""

    trials: int = 0
    inputs: int = 0
    seconds: float = 0.0


@dataclass
class Session:
    """Trials one after the other, and what they found.

    Attributes:
        keep: where the inputs of faults go.
        kinds: the names of what is tried.
        faults: how often each was met, by its text up to a colon.
    """

    seed: int
    keep: Path
    kinds: list[str]
    faults: collections.Counter = field(default_factory=collections.Counter)
    tallies: dict[str, Tally] = field(default_factory=lambda: collections.defaultdict(Tally))

    def trial(self, index: int, show: bool = False) -> None:
        """Run the trial of an index; say and keep what it finds.

        Args:
            show: print the command and, of a fault, the traceback; keep the input in any case.
        """
        chosen = random.Random(f"{self.seed}/{index}")
        kind = chosen.choices(self.kinds, [KINDS[name][1] for name in self.kinds])[0]
        folder = self.keep / f"seed-{self.seed}-{index}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        trial, start, fault = Trial(chosen, folder), time.perf_counter(), None
        try:
            KINDS[kind][0](trial)
        except (Exception, Hang) as error:
            fault = error
        tally = self.tallies[kind]
        tally.trials += 1
        tally.inputs += trial.inputs
        tally.seconds += time.perf_counter() - start
        if show:
            print(f"{kind}: {trial.command}")
            print(*traceback.format_exception(fault) if fault else ["no fault"], sep="")
        known = self._note(index, kind, trial, fault) if fault else True
        if known and not show:
            shutil.rmtree(folder, ignore_errors=True)

    def _note(self, index: int, kind: str, trial: Trial, fault: BaseException) -> bool:
        """Print a fault that is new; return whether it was known."""
        said, place = str(fault).replace(str(trial.folder), ""), _place(fault)
        key = f"{kind}: {said.split(': ')[0]}"
        if not isinstance(fault, Fault):
            said = f"{type(fault).__name__}: {said} ({place})"
            key = f"{kind}: {type(fault).__name__} at {place}"
        self.faults[key] += 1
        if self.faults[key] > 1:
            return True
        line = " ".join(said.split())[:400]
        folder = trial.folder
        print(f"FAULT seed {self.seed} index {index} {kind}: {line}", flush=True)
        again = f"python scripts/fuzz.py 1 --seed {self.seed} --only {index}"
        if self.kinds != list(KINDS):  # the index draws among them
            again += f" --kinds {' '.join(self.kinds)}"
        note = f"{line}\n{trial.command}\n{again}\n"
        (folder / "FAULT.txt").write_text(note, "utf-8", "backslashreplace")
        return False

    def summary(self) -> str:
        """Return a table of what was tried, a line a kind, and the faults by their number."""
        lines = [f"{'kind':14}{'trials':>8}{'inputs':>8}{'inputs a second':>17}"]
        tallies = {**self.tallies, "all": _sum(self.tallies.values())}
        for kind, tally in tallies.items():
            rate = tally.inputs / max(tally.seconds, 1e-9)
            lines.append(f"{kind:14}{tally.trials:8}{tally.inputs:8}{rate:17.0f}")
        lines += [f"{count:6} x {fault}" for fault, count in self.faults.most_common()]
        return "\n".join([*lines, f"{len(self.faults)} faults"])


def _sum(tallies) -> Tally:
    every = list(tallies)
    return Tally(
        *(sum(getattr(t, name) for t in every) for name in ("trials", "inputs", "seconds"))
    )


def _place(fault: BaseException) -> str:
    """Return the deepest line of ours, the fuzzer's too, in a traceback: `file.py:12`."""
    place = ""
    for frame in traceback.extract_tb(fault.__traceback__):
        path = Path(frame.filename)
        if ROOT in path.parents and path.relative_to(ROOT).parts[0] in (*PRODUCT, "scripts"):
            place = f"{path.relative_to(ROOT)}:{frame.lineno}"
    return place


def main(arguments: list[str] | None = None) -> int:
    """Run trials for some time; the exit status is 1 where there is a fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("seconds", type=float, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="for inputs (a temporary folder)")
    parser.add_argument("--trials", type=int, metavar="N", help="end after so many, too")
    parser.add_argument("--only", type=int, metavar="INDEX", help="this trial alone")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS], metavar="KIND")
    options = parser.parse_args(arguments)
    keep = options.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    session = Session(options.seed, keep.resolve(), options.kinds)
    torch.set_num_threads(1)
    before = _repository()
    with tempfile.TemporaryDirectory() as zoo, _quiet_decoders():
        corners.write_zoo(Path(zoo))
        with corners.at_work(Path(zoo)):
            _work(session, options)
    if _repository() != before:
        raise RuntimeError(f"a trial wrote into {ROOT}: see git status, and mend the fuzzer")
    print(session.summary())
    if session.faults:
        print(f"their inputs are in {keep}")
    return 1 if session.faults else 0


def _repository() -> dict[str, tuple[int, int]]:
    """Return size and time of what a trial must never write: the repository's own zoo."""
    places = [*(ROOT / "weights").iterdir(), ROOT / "inference/zoo.json", ROOT / "README.md"]
    places += (ROOT / "docs").iterdir()
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in places}


@contextlib.contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Silence stderr (file 2), where libtiff complains; a decoder's crash is still shown."""
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    if not faulthandler.is_enabled():  # of a segmentation fault the last folder holds the input
        faulthandler.enable(stderr)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(null)


def _work(session: Session, options: argparse.Namespace) -> None:
    if options.only is not None:
        session.trial(options.only, show=True)
        return
    end, index = time.monotonic() + options.seconds, 0
    while time.monotonic() < end and index != options.trials:
        session.trial(index)
        index += 1


if __name__ == "__main__":
    sys.exit(main())
