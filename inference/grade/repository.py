"""What a grader's rules say about the files of a repository: those that the scripts run, and all.

Every function returns its findings as lines, one each. Paths are seen from the repository's root.
"""

from __future__ import annotations

import ast
import os
import re
import warnings
from pathlib import Path
from typing import Iterable, Iterator, Sequence

from inference.grade.checks import FORBIDDEN, Violation, check_script

LARGE = 50 * 10**6  # bytes; GitHub warns of files above it
DATA_FOLDERS = (
    *("hw1_data", "p1_data", "p2_data", "p3_data", "train_50", "val_50"),
    *("office", "mini", "validation"),
)
DATA_SUFFIXES = (".png", ".jpg", ".jpeg", ".csv", ".pt", ".npy", ".npz")
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
# Where people keep their own; of other folders only what lies on this machine is told.
PERSONAL = (
    *("home", "Users", "root", "mnt", "media", "data", "datasets", "workspace", "scratch"),
    *("content", "kaggle", "tmp", "var", "srv", "Volumes", "nfs", "storage"),
)
SYSTEM = ("dev", "proc", "sys", "usr", "bin", "etc", "lib", "lib64", "opt", "run")


def forbidden_words(root: Path, scripts: Iterable[str]) -> list[str]:
    """Return the first forbidden word of each script; one that downloads may use wget."""
    lines = []
    for script in scripts:
        allowed = ("wget",) if "download" in script else ()
        try:
            check_script(root / script, [word for word in FORBIDDEN if word not in allowed])
        except Violation as violation:
            lines.append(str(violation))
    return lines


def absolute_paths(root: Path, files: Iterable[str]) -> list[str]:
    """Return the paths of one machine in scripts and Python files; comments are not looked at."""
    lines = []
    for file in files:
        text = (root / file).read_text(encoding="utf-8", errors="replace")
        found = _shell_words(text) if file.endswith(".sh") else _strings(text)
        for number, path in found:
            if _is_absolute(path):
                lines.append(
                    f"{file} line {number} has the absolute path {path[:80]!r}, which a grader's "
                    "machine lacks"
                )
    return lines


def _is_absolute(text: str) -> bool:
    if re.match(r"~\w*/\w|[A-Za-z]:[\\/]\w", text):
        return True
    parts = re.fullmatch(r"/([^/\0\n]+)/[^\0\n]+", text)
    if not parts or parts[1] in SYSTEM:
        return False
    return parts[1] in PERSONAL or os.path.lexists(text)


def _shell_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield what may be a path in a script, with its line; what follows a variable is none."""
    for number, line in enumerate(text.splitlines(), 1):
        code = re.sub(r"(?:^|\s)#.*", "", line)
        words = re.split(r"[\s=:;|&()<>`]+", re.sub(r"[\"']", "", code))
        # C:\ and C:/ would fall apart at the colon
        words += re.findall(r"(?<!\w)[A-Za-z]:[\\/]\w\S*", code)
        for word in words:
            yield number, word


def _strings(text: str) -> Iterator[tuple[int, str]]:
    """Yield the strings of a Python file, with their lines, that may begin a path."""
    tree = _parse(text)
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring
            skipped.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            skipped.update(id(part) for part in node.values[1:])
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            skipped.add(id(node.right))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in skipped
        ):
            yield node.lineno, node.value


def _parse(text: str) -> ast.AST:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SyntaxWarning: no matter of this check's
            return ast.parse(text)
    except (SyntaxError, ValueError):  # the script that runs it says so
        return ast.Module(body=[], type_ignores=[])


def committed_data(root: Path, files: Iterable[str]) -> list[str]:
    """Return the folders of the course's data, and the archives, that are committed."""
    folders: dict[str, list[str]] = {}
    lines = []
    for file in files:
        suffix, parts = Path(file).suffix.lower(), file.split("/")
        if suffix in ARCHIVES:
            lines.append(f"the archive {file} is committed: git rm --cached {file}")
        elif suffix in DATA_SUFFIXES:
            depth = next((i for i, part in enumerate(parts[:-1]) if part in DATA_FOLDERS), None)
            if depth is None and re.search(r"_(sat|mask)\.\w+$", parts[-1]):
                depth = len(parts) - 2
            if depth is not None:
                folders.setdefault("/".join(parts[: depth + 1]) or ".", []).append(file)
    for folder, inside in folders.items():
        size = sum(_size(root / file) for file in inside) / 1e6
        count = f"{len(inside):,} file{'s' * (len(inside) > 1)}, {size:.1f} MB"
        lines.append(f"data is committed in {folder}/ ({count}): git rm -r --cached {folder}")
    return lines


def large_files(root: Path, files: Iterable[str]) -> list[str]:
    """Return the files of more than 50 MB."""
    sizes = {file: _size(root / file) for file in files}
    return [
        f"{file} has {size / 1e6:.1f} MB, above the {LARGE / 1e6:.0f} MB that a repository may "
        "hold: host it (docs/hosting.md)"
        for file, size in sizes.items()
        if size > LARGE
    ]


def dead_links(root: Path, files: Iterable[str]) -> list[str]:
    """Return the symbolic links that lead out of the repository or nowhere."""
    lines = []
    for file in files:
        path = root / file
        if path.is_symlink():
            inside = root.resolve() in path.resolve().parents
            if os.path.isabs(os.readlink(str(path))) or not inside or not path.exists():
                lines.append(f"{file} is a link to {os.readlink(str(path))}, which no clone has")
    return lines


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def reached(scripts: Sequence[str], roots: Sequence[Path]) -> dict[str, str]:
    """Return the scripts and Python files that scripts run, and which of them wants each.

    Files are followed through calls (`bash x.sh`, `python3 x.py`, `python3 FOLDER`, `-m x`) and
    imports, as far as they can be read off the text.

    Args:
        scripts: where to begin.
        roots: folders to look in, the first one first; a file need be in one of them only.
    """
    found: dict[str, str] = {}
    due = [(script, "the grader runs it", "") for script in scripts]
    while due:
        file, why, search = due.pop()
        path = next((root / file for root in roots if (root / file).is_file()), None)
        if file in found or path is None:
            continue
        found[file] = why
        text = path.read_text(encoding="utf-8", errors="replace")
        if file.endswith(".sh"):
            for number, name in _called(text, roots):
                inside = name.rpartition("/")[0]
                is_package = any((root / inside / "__init__.py").is_file() for root in roots)
                place = "" if is_package else inside
                due.append((name, f"{file} line {number} runs it", place))
        else:
            for number, name in _imported(text, file, search, roots):
                due.append((name, f"{file} line {number} imports it", search))
    return found


def named(scripts: Iterable[str], root: Path) -> dict[str, str]:
    """Return the files that scripts name in their text, whatever they are, and where."""
    found: dict[str, str] = {}
    for script in scripts:
        if (root / script).is_file():
            text = (root / script).read_text(encoding="utf-8", errors="replace")
            for number, name in _relative(text):
                if (root / name).is_file():
                    found.setdefault(name, f"{script} line {number} names it")
    return found


def _called(text: str, roots: Sequence[Path]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        code = re.sub(r"(?:^|\s)#.*", "", line)
        for module in re.findall(r"\s-m\s+([\w.]+)", code):
            yield from ((number, name) for name in _module(module.split("."), "", roots, run=True))
    for number, name in _relative(text):
        for file in (name, f"{name}/__main__.py"):
            if file.endswith((".py", ".sh")) and any((root / file).is_file() for root in roots):
                yield number, file


def _relative(text: str) -> Iterator[tuple[int, str]]:
    """Yield what may be a path in a repository: of `$here/a/b`, too, a variable's name first."""
    for number, line in enumerate(text.splitlines(), 1):
        for word in re.findall(r"[\w./-]+", re.sub(r"(?:^|\s)#.*", "", line)):
            parts = word.split("/")
            for start in range(len(parts)):
                name = os.path.normpath("/".join(parts[start:]).strip("/"))
                if name != "." and not name.startswith(".."):
                    yield number, name


def _imported(
    text: str, file: str, search: str, roots: Sequence[Path]
) -> Iterator[tuple[int, str]]:
    package = file.split("/")[:-1]
    for node in ast.walk(_parse(text)):
        if isinstance(node, ast.Import):
            names, level = [alias.name for alias in node.names], 0
        elif isinstance(node, ast.ImportFrom):
            base, level = f"{node.module}." if node.module else "", node.level
            names = [f"{base}{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if level:
                places = [package[: len(package) - level + 1]]
            else:
                places = [[], search.split("/")] if search else [[]]
            for place in places:
                for found in _module(parts, "/".join(place), roots):
                    yield node.lineno, found


def _module(
    parts: Sequence[str], place: str, roots: Sequence[Path], run: bool = False
) -> Iterator[str]:
    """Yield the files that importing a module reads: its own, and those of its packages."""
    for count in range(1, len(parts) + 1):
        stem = "/".join([*([place] if place else []), *parts[:count]])
        ends = (".py", "/__init__.py", "/__main__.py") if run else (".py", "/__init__.py")
        for end in ends:
            if any((root / (stem + end)).is_file() for root in roots):
                yield stem + end
