"""A fresh clone of what is committed: what a grader gets, and nothing more of this machine."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Mapping, Sequence

from inference import UserError, zoo
from inference.editions import Edition
from inference.grade import repository
from inference.grade.answering import answers_otherwise, first_defaults, paths_of
from inference.grade.run import Run

ADVICE = "commit the work with git, or grade without --clone"


class Clone:
    """What is committed of a folder of scripts, checked out elsewhere.

    Attributes:
        source: the user's own folder.
        root: its place in the clone.
        files: what is committed there, seen from `root`.
        environment: for the scripts: without a mirror, caches or modules of this machine's.
        missing: why a script wants a file that only `source` has, by its path seen from `root`.
        commit: a line with the short hash and the title of the commit, and `source`.
    """

    def __init__(self, source: Path, folder: Path):
        """Clone the repository that `source` lies in.

        Args:
            folder: an empty one, for the clone.

        Raises:
            UserError: git is missing, this is no checkout, or nothing is committed.
        """
        self.source = source
        top, prefix = _git(source, "rev-parse", "--show-toplevel", "--show-prefix").split("\n")[:2]
        try:
            head = _git(source, "rev-parse", "--verify", "-q", "HEAD").strip()
        except UserError:
            raise UserError(f"nothing is committed in {top} yet: {ADVICE}") from None
        # Neither hooks nor a template of the user's, who is not the grader. Shared: no copy of all.
        place = folder / "clone"
        quiet = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")
        options = ("--no-checkout", "--shared", "--template=")
        _git(source, *quiet, "clone", "-q", *options, top, str(place))
        _git(place, *quiet, "checkout", "-q", "--detach", head)
        self.root = place / prefix.rstrip("/")
        title = _git(place, "log", "-1", "--format=%h, %s").strip()
        self.commit = f"clone: commit {title[:70]}, of {source}"
        self.files, self.submodules = self._list()
        self.environment = _environment(source, folder / "caches")
        self.missing: dict[str, str] = {}
        self.lacking: set[str] = set()  # files of checkpoints, which need not be told of twice

    def _list(self) -> tuple[list[str], list[str]]:
        if not self.root.is_dir():
            return [], []
        entries = [
            entry.split("\t", 1) for entry in _git(self.root, "ls-files", "-s", "-z").split("\0")
        ]
        modes = {entry[1]: entry[0][:6] for entry in entries if len(entry) == 2}
        files = [path for path, mode in modes.items() if mode != "160000"]
        return files, [path for path, mode in modes.items() if mode == "160000"]

    def find(self, edition: Edition) -> list[str]:
        """Return what breaks a grader's rules in what is committed, one line each."""
        for script in edition.scripts.values():
            self._want(script, "the grader runs it")
        if (self.source / edition.download).is_file():
            self._want(edition.download, "the grader runs it first")
        others = [path for path in self.files if re.fullmatch(r"hw1_\w+\.sh", path)]
        shells = sorted({*edition.scripts.values(), *others})
        reached = repository.reached(shells, [self.root, self.source])
        for path, why in reached.items():
            self._want(path, why)
        self.ran = list(reached)
        lines = [
            f"{path} is a submodule, which a plain clone leaves empty" for path in self.submodules
        ]
        # A committed link may lead to what the clone lacks: dead_links says so.
        ours = [path for path in reached if path in self.files and (self.root / path).is_file()]
        lines += repository.forbidden_words(
            self.root, [p for p in ours if p.endswith(".sh") and p not in edition.scripts.values()]
        )
        lines += repository.absolute_paths(self.root, ours)
        lines += repository.committed_data(self.root, self.files)
        lines += repository.large_files(self.root, self.files)
        return lines + repository.dead_links(self.root, self.files)

    def _want(self, path: str, why: str) -> None:
        is_lost = not (self.root / path).exists() and (self.source / path).exists()
        if is_lost and path not in self.lacking:
            self.missing.setdefault(path, why)

    def find_lost(self, runs: Sequence[Run]) -> list[str]:
        """Return what is missing from git, one line each: as was seen, and as the runs said.

        To be asked after the download, which may have brought a file that a script names.
        """
        shells = [path for path in self.ran if path.endswith(".sh")]
        for path, why in repository.named(shells, self.source).items():
            self._want(path, why)
        for run in runs:
            for path in self._named(run.stderr):
                if (self.source / path).is_file():
                    self._want(path, "a script asked for it")
        return [self._lost(path, why) for path, why in self.missing.items()]

    def _named(self, text: str) -> list[str]:
        """Return the files, seen from `root`, that a script's last words may mean."""
        paths = re.findall(re.escape(str(self.root)) + r"/([^\s'\":;,]+)", text)
        modules = re.findall(r"No module named '([\w.]+)'", text)
        names = re.findall(r"cannot import name '(\w+)' from '([\w.]+)'", text)
        modules += [f"{package}.{name}" for name, package in names]
        stems = [module.replace(".", "/") for module in modules]
        return paths + [stem + end for stem in stems for end in (".py", "/__init__.py")]

    def _lost(self, path: str, why: str) -> str:
        try:
            rule = _git(self.source, "check-ignore", "-v", "--", path).split("\t")[0]
        except UserError:  # no rule leaves it out
            return f"{path} is not in git, and {why}: git add {path}"
        file, line, _ = rule.rsplit(":", 2)[-3:] if rule.count(":") > 1 else (rule, "?", "")
        return (
            f"{path} is not in git, since line {line} of {file} leaves it out, and {why}: "
            f"git add -f {path}"
        )

    def find_checkpoints(self, said: str) -> list[str]:
        """Return which default checkpoints are not there after the download, one line each.

        Args:
            said: what the download script wrote on stderr.
        """
        file = self.root / "inference" / "zoo.json"
        if not file.is_file():
            return []
        try:
            defaults = zoo.defaults(file)
        except UserError as error:
            return [str(error).replace(f"{self.root}/", "")]
        lines = []
        for record in [record for records in defaults.values() for record in records]:
            problem, path = zoo.problem_of(record), f"{record.folder.name}/{record.file}"
            told = [line for line in said.splitlines() if line.startswith(f"{record.name}: ")]
            if problem is None:
                continue
            if record.urls and told:
                lines.append(f"checkpoint {told[0]}")
            elif record.urls:
                lines.append(f"checkpoint {record.name}: {path} is {problem[0]} after the download")
            else:
                git = "is not in git" if path not in self.files else f"is {problem[0]} in git"
                lines.append(
                    f"checkpoint {record.name}: {path} {git}, and zoo.json has no url for it: "
                    f"git add -f {path}, or host it (docs/hosting.md)"
                )
            self.missing.pop(path, None)
            self.lacking.add(path)
        return lines

    def find_other_defaults(
        self, labels: Mapping[str, str], answered: Mapping[str, zoo.Record]
    ) -> list[str]:
        """Return which defaults of the user's own folder are not committed, one line each.

        Args:
            labels: what the edition calls each problem.
            answered: the checkpoint that was graded, by problem.
        """
        here, there = first_defaults(self.source), first_defaults(self.root)
        lines = []
        for problem, label in labels.items():
            if problem not in here:
                continue
            mine, theirs = here[problem], there.get(problem)
            if theirs is not None and not answers_otherwise(mine, theirs):
                continue
            graded, same = answered.get(problem), theirs is not None and theirs.name == mine.name
            lines.append(
                f"WARNING: {'the record of ' * same}{mine.name}, the default here for {label}, is "
                f"not committed{' as it is' * same}: "
                + (f"graded was {'the older one' if same else graded.name}; " if graded else "")
                + "git add inference/zoo.json && git commit"
            )
        return lines

    def is_told(self, warning: str) -> bool:
        """Whether a script warns of a checkpoint's file that `find_checkpoints` has told of."""
        return any(f"/{path} is missing" in warning for path in self.lacking)

    def notes(self) -> list[str]:
        """Return what costs nothing but should be known, one line each."""
        status = _git(self.source, "status", "--porcelain", "-z", "--no-renames", "--", ".")
        changed = [entry[3:] for entry in status.split("\0") if entry]
        lines = []
        if changed:
            listed = ", ".join(changed[:3]) + (", ..." if len(changed) > 3 else "")
            count = f"{len(changed)} change{'s are' if len(changed) > 1 else ' is'}"
            lines.append(f"note: {count} not committed, and so not handed in: {listed}")
        try:
            ahead = int(_git(self.source, "rev-list", "--count", "@{upstream}..HEAD"))
        except UserError:  # no such branch, or a detached head
            ahead = 0
        if ahead:
            lines.append(
                f"note: {ahead} commit{'s are' if ahead > 1 else ' is'} not pushed: git push"
            )
        return lines + self._local_urls()

    def _local_urls(self) -> list[str]:
        try:
            defaults = zoo.defaults(self.root / "inference" / "zoo.json")
        except UserError:
            return []
        return [
            f"note: checkpoint {record.name} can only be had from {record.urls[0]}, which a "
            "grader's machine must have too"
            for records in defaults.values()
            for record in records
            if record.urls and all(url.startswith("file:") for url in record.urls)
        ]


def uncommitted(source: Path, answered: Sequence[zoo.Record]) -> list[str]:
    """Return what a grader's clone would not have of the zoo; nothing where git cannot say it.

    Args:
        source: the folder of the scripts.
        answered: the checkpoints that answered.
    """
    paths = ["inference/zoo.json", *dict.fromkeys(paths_of(answered))]
    paths = [path for path in paths if (source / path).is_file()]
    if not answered or not paths:
        return []
    try:
        prefix = _git(source, "rev-parse", "--show-prefix").rstrip("\n")
        options = ("-z", "--no-renames", "--ignored", "--untracked-files=all")
        status = _git(
            source, "--no-optional-locks", "status", "--porcelain", *options, "--", *paths
        )
    except (UserError, OSError):  # no git, or no checkout
        return []
    states = {entry[3:]: entry[:2] for entry in status.split("\0") if entry}
    lines = []
    for path in paths:
        whole = prefix + path
        # Of a folder that is left out as a whole, only its own name is listed: "weights/"
        seen = [
            state
            for at, state in states.items()
            if at == whole or (at.endswith("/") and whole.startswith(at))
        ]
        if seen:
            state, them = "has changes that are not committed", "them"
            if seen[0] in ("??", "!!"):
                state, them = "is not in git", "it"
            lines.append(
                f"note: {path} {state}: a grader's clone would not have {them} "
                "(grade --clone shows what it would)"
            )
    return lines


# Of `pip install -e`, which would answer for modules that the clone lacks.
_NO_EDITABLE = """import sys

def name(finder):
    return getattr(finder, "__name__", type(finder).__name__)

sys.meta_path[:] = [f for f in sys.meta_path if not name(f).startswith("_Editable")]
sys.path[:] = [path for path in sys.path if path != {source!r}]
"""


def _environment(source: Path, caches: Path) -> Mapping[str, str]:
    """Return the variables of a machine that has the packages of this one, and nothing else."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") and k != "HW1_MIRROR"}
    paths = kept.pop("PYTHONPATH", "").split(os.pathsep)
    others = [path for path in paths if path and source not in (Path(path), *Path(path).parents)]
    site = caches / "site"
    site.mkdir(parents=True)
    code = _NO_EDITABLE.format(source=str(source))
    (site / "sitecustomize.py").write_bytes(code.encode("utf-8", "backslashreplace"))
    kept["PYTHONPATH"] = os.pathsep.join([str(site), *others])
    for name in ("XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME"):
        kept[name] = str(caches / name)
    return kept


def _git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints; raise a UserError that says what it says."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith("GIT_") or k.startswith("GIT_CONFIG")
    }
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=str(folder),
            env={**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        raise UserError("no git here: install it, or grade without --clone") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = next((line for line in said if line.startswith(("fatal", "error"))), "")
        if "not a git repository" in reason:
            raise UserError(f"{folder} is no git checkout: {ADVICE}")
        raise UserError(f"git {arguments[0]} in {folder}: {reason or (said or ['it failed'])[-1]}")
    return os.fsdecode(done.stdout)
