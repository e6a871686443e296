"""The table of P2's settings: trains what is missing, and compares on val.

    python -m training.classification p2-table --data hw1_data/p2_data \\
        --backbone-ssl runs/p2-byol-s0/best.pth --backbone-sl hw1_data/p2_data/pretrain_model_SL.pt

trains p2-a ... p2-e, or the recipes that are named (`p2-a-report`, say), with each of the seeds.
The run of a recipe and a seed is in OUT/RECIPE-sSEED (OUT/p2-c-s1): one that is finished is not
done again, one that was stopped goes on, and runs that were started by hand, on other machines for
example, need only lie there. Without a backbone's file its settings must all be finished.

`key=value` changes every recipe: classes=36, epochs=100. Give each such table its own --out:
`fraction=0.1 repeat=5 --out runs/p2-tenth`.

    OUT/table.md          the settings, and which differences are larger than chance allows
    OUT/table.csv         the same numbers; accuracies in [0, 1]
    OUT/differences.csv
    OUT/RECIPE-sSEED/predictions.csv, the answers that it was made of
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from inference import UserError
from training import same
from training.classification import answers, table_text
from training.classification.recipes import RECIPES, Recipe
from training.finished import Damaged
from training.pretrained import WORDS
from training.recipe import override

FIVE = ("p2-a", "p2-b", "p2-c", "p2-d", "p2-e")


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the table; the exit status is 2 for an error that the user can mend."""
    parser = argparse.ArgumentParser(
        prog="python -m training.classification p2-table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="RECIPE|key=value", help="p2-a ... p2-e")
    parser.add_argument("--data", type=Path, required=True, help="hw1_data/p2_data")
    parser.add_argument("--backbone-ssl", metavar="FILE", help="self-supervised, for C and E")
    parser.add_argument("--backbone-sl", metavar="FILE", help="supervised, for B and D")
    parser.add_argument("--seeds", nargs="+", default=["0"], help="(0)")
    parser.add_argument("--out", type=Path, default=Path("runs/p2-table"), help="(runs/p2-table)")
    options = parser.parse_intermixed_args(arguments)
    # argparse lets --seeds have every word that comes after it.
    seeds = [int(word) for word in options.seeds if word.isdecimal()]
    words = options.words + [word for word in options.seeds if not word.isdecimal()]
    changes = [word for word in words if "=" in word]
    names = [word for word in words if "=" not in word] or list(FIVE)
    backbones = {"ssl": options.backbone_ssl, "sl": options.backbone_sl}
    try:
        plan = _whole(_plan(names, seeds, changes, backbones), options.out)
        missing = [
            (wanted, folder)
            for wanted, folder in plan
            if not _is_there(wanted, folder, options.data, options.out)
        ]
        for wanted, folder in missing:
            _train(wanted, folder, options.data, options.out, changes)
        runs = [answers.finished(options.out / folder) for _, folder in plan]
        print(table_text.write(runs, options.data, options.out))
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 130


def _plan(
    names: Sequence[str], seeds: Sequence[int], changes: Sequence[str], backbones: dict
) -> list[tuple[Recipe, str]]:
    """Gives the recipe of every run and its folder's name, setting by setting."""
    if not seeds:
        raise UserError("--seeds needs a number: --seeds 0 1 2")
    plan = []
    for name in dict.fromkeys(names):
        kind = letter(name)
        if kind is None:
            known = ", ".join(n for n in RECIPES if letter(n))
            raise UserError(f"no setting '{name}'; there are: {known}, and key=value")
        backbone = {"b": "sl", "d": "sl", "c": "ssl", "e": "ssl"}.get(kind)
        file = backbones.get(backbone)
        given = [f"pretrained={file}"] if file else []
        for seed in dict.fromkeys(seeds):
            recipe = override(RECIPES[name], [*changes, *given, f"seed={seed}"])
            plan.append((recipe, f"{name}-s{seed}"))
    return plan


def _whole(plan: list[tuple[Recipe, str]], out: Path) -> list[tuple[Recipe, str]]:
    """Leave out, and name, the runs whose records are damaged, where others are left.

    Raises:
        Damaged: all are.
    """
    kept, faults = [], []
    for wanted, folder in plan:
        try:
            answers.finished(out / folder)
            same.read(out / folder)
            kept.append((wanted, folder))
        except Damaged as error:
            faults.append(error)
    if not kept:
        raise faults[0]
    for fault in faults:
        print(f"note: left out {fault}", file=sys.stderr)
    return kept


def letter(name: str) -> str | None:
    """Gives the setting that a recipe is of, a ... e."""
    kind = name.removeprefix("p2-").removesuffix("-report")
    return kind if name in RECIPES and len(kind) == 1 and RECIPES[name].task == "p2" else None


def _is_there(wanted: Recipe, folder: str, data: Path, out: Path) -> bool:
    """Tells whether a run is finished; of one that is not, that it can be trained.

    Raises:
        UserError: the run there is another, or on other data; it needs a backbone.
    """
    there = answers.finished(out / folder)
    if there:
        odd = _difference(wanted, there.recipe)
        if odd:
            raise UserError(
                f"{out / folder} holds a run with another {odd} than is asked for: choose "
                f"another --out, or say {odd}={getattr(there.recipe, odd)}"
            )
        same.expect(wanted, data, out / folder)
        return True
    if not wanted.pretrained:
        which = "--backbone-sl" if letter(wanted.name) in "bd" else "--backbone-ssl"
        raise UserError(
            f"{wanted.name} needs a backbone, and {out} has no finished {folder}: add {which} FILE"
        )
    if wanted.pretrained not in ("none", *WORDS) and not Path(wanted.pretrained).is_file():
        raise UserError(f"no file {wanted.pretrained}: give {wanted.name} another backbone")
    return False


def _train(wanted: Recipe, folder: str, data: Path, out: Path, changes: Sequence[str]) -> None:
    """Trains a run to its end.

    Raises:
        UserError: it did not reach its end.
    """
    given = [] if wanted.pretrained == "none" else [f"pretrained={wanted.pretrained}"]
    start([wanted.name, *changes, *given, f"seed={wanted.seed}"], data, out / folder)


def _difference(wanted: Recipe, there: Recipe) -> str | None:
    one, other = dataclasses.asdict(wanted), dataclasses.asdict(there)
    # Which file it was is not known where none is given.
    free = {"pretrained"} if not wanted.pretrained else set()
    return next((key for key in one if one[key] != other.get(key) and key not in free), None)


def start(words: Sequence[str], data: Path, out: Path) -> None:
    """Runs the training command in a process of its own.

    Raises:
        UserError: it failed, and has said why.
        KeyboardInterrupt: it was interrupted.
    """
    command = [sys.executable, "-m", "training.classification", *words]
    status = subprocess.run([*command, "--data", str(data), "--out", str(out)]).returncode
    if status == 130:
        raise KeyboardInterrupt
    if status:
        raise UserError(f"{words[0]} did not reach its end (above): mend it, and it goes on")


if __name__ == "__main__":
    sys.exit(main())
