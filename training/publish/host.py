"""A checkpoint's file put where graders can fetch it, and fetched back as one of them would.

    python -m training publish p1-a --host hf:USER/REPO
    python -m training publish p1-a --host gh:OWNER/REPO@TAG
    python -m training publish p1-a --host file:/shared/folder

Nothing that others may be fetching is replaced: Hugging Face keeps every commit, and the url names
the one; in a release and in a folder, another file of the same name stays, and the line says so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import subprocess
import sys
import urllib.parse
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from inference import UserError, files, zoo
from inference.zoo.download import fetch
from inference.zoo.transfer import Failed, RetryPolicy
from training.publish import zoo_page

FORMS = "hf:USER/REPO, gh:OWNER/REPO@TAG (a release) or file:FOLDER"
GITHUB = "https://github.com"
NOTES = "Checkpoints, for hw1_download.sh to fetch"
LARGEST_ASSET = 2 << 30  # bytes of a release's file, which have to be fewer


@dataclasses.dataclass(frozen=True)
class Host:
    """A place that files are uploaded to; its name and the right to write there were checked.

    Attributes:
        target: as the user called it.
        upload: (record, its file) -> the url under which anybody may fetch it.
        hint: what to do where the uploaded file cannot be fetched.
    """

    target: str
    upload: Callable[[zoo.Record, Path], str]
    hint: str


def host_at(target: str) -> Host:
    """Return the host that `--host` names; nothing is uploaded yet.

    Raises:
        UserError: it names none, what uploads there is not installed or not logged in, or the user
            may not write there.
    """
    kind, _, rest = target.partition(":")
    if kind in ("gdrive", "drive") or "drive.google.com" in target:
        raise UserError(
            f"--host {target}: to Google Drive you upload by hand, and name the link with --url; "
            "docs/hosting.md"
        )
    return HOSTS.get(kind, _nowhere)(target, rest)


@contextlib.contextmanager
def everywhere(record: zoo.Record, file: Path, hosts: Sequence[Host]) -> Iterator[list[str]]:
    """Upload a record's file to each host, fetch it back from there, and yield the urls.

    The caller's block writes the urls down. If an upload or the block fails or is interrupted, the
    error's message lists what was uploaded by then.

    Raises:
        UserError: a host would not take it, or what came back is not the record's bytes and sha256.
    """
    found: list[str] = []
    try:
        for host in hosts:
            if sys.stderr.isatty():
                print(f"uploading {file.name} to {host.target} ...", file=sys.stderr)
            found.append(host.upload(record, file))
            _fetch_back(record, found[-1], host.hint)
        yield found
    except UserError as error:
        raise UserError(f"{error}{_left(found)}") from error
    except KeyboardInterrupt as stop:
        if stop.args or not hosts:  # what is there was said, or nothing is
            raise
        begun = "".join(f"; {host.target} may have it" for host in hosts[len(found) :][:1])
        raise KeyboardInterrupt(f"zoo.json is as it was{_left(found)}{begun}") from None


def with_urls(record: zoo.Record, found: Sequence[str]) -> zoo.Record:
    """Return a record with more urls; of two commits of one file the later one."""
    kept = [url for url in record.urls if _whatever_commit(url) not in map(_whatever_commit, found)]
    return dataclasses.replace(record, urls=list(dict.fromkeys([*kept, *found])))


def say(record: zoo.Record, found: Sequence[str]) -> None:
    """Say where a record's file is hosted, and what is left to do."""
    for url in found:
        print(f"{record.name} is hosted, and was fetched without a login from {url}")
    if found:
        here = all(url.startswith("file:") for url in found)
        whose = "the download of whoever sees that folder" if here else "everybody's download"
        print(f"commit inference/zoo.json, docs/zoo.md and README.md, and {whose} has it")


def _left(found: Sequence[str]) -> str:
    return f"; uploaded all the same: {', '.join(found)}" if found else ""


def _whatever_commit(url: str) -> str:
    return re.sub(r"/resolve/[^/]+/", "/resolve/", url)


def _fetch_back(record: zoo.Record, url: str, hint: str) -> None:
    """Raise a UserError unless the record's file can be fetched without a login."""
    with files.scratch() as empty:
        try:
            fetch(dataclasses.replace(record, folder=empty), [url], RetryPolicy())
        except Failed as reason:
            raise UserError(f"nobody could fetch {record.file} back: {reason}; {hint}") from None


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")


def _nowhere(target: str, rest: str) -> Host:
    raise UserError(f"--host {target!r} is no place to put a file: {FORMS}; docs/hosting.md")


# ---- a folder


def _folder(target: str, rest: str) -> Host:
    url = urllib.parse.urlsplit(target)
    path = urllib.parse.unquote(url.path) if rest[:2] == "//" else rest
    if url.netloc not in ("", "localhost") or not path.strip() or not path.isprintable():
        return _nowhere(target, rest)
    folder = Path(os.path.abspath(os.path.expanduser(path)))
    files.check_folder(folder)

    def upload(record: zoo.Record, file: Path) -> str:
        there = dataclasses.replace(record, folder=folder)
        problem = zoo.problem_of(there)
        if problem and problem[0] == "unreadable":
            raise UserError(f"{problem[1]}, or choose another folder")
        if problem and problem[0] != "missing":
            raise UserError(
                f"{zoo.path(there)} is another file, which somebody may be fetching: choose "
                "another folder, or delete it"
            )
        if problem:
            files.write_whole(zoo.path(there), file.read_bytes())
        return f"file:{zoo.path(there)}"

    return Host(target, upload, "make it readable")


# ---- a release on GitHub


def _github(target: str, rest: str) -> Host:
    match = re.fullmatch(r"([\w.-]+/[\w.-]+)@([\w@][\w.@/+-]*)", rest, re.ASCII)
    if not match:
        return _nowhere(target, rest)
    repository, tag = match.groups()
    there = f"github.com/{repository}"
    found = json.loads(_gh("repo", "view", there, "--json", "isPrivate,viewerPermission"))
    if found["isPrivate"]:
        raise UserError(f"{repository} is private, so graders could not fetch: make it public")
    if found["viewerPermission"] not in ("ADMIN", "MAINTAIN", "WRITE"):
        raise UserError(f"your login may not write to {repository} on GitHub: ask its owner")

    def upload(record: zoo.Record, file: Path) -> str:
        if record.bytes >= LARGEST_ASSET:
            raise UserError(
                f"{file.name} has {record.bytes / 1e9:.1f} GB, and GitHub takes files below 2 GiB: "
                "host it elsewhere, as with --host hf:USER/REPO"
            )
        words = (tag, file.name, "--repo", there)
        if _gh("release", "view", tag, "--repo", there, but="release not found"):
            # A file that is there already is ours or is not: fetching it back says which.
            _gh("release", "upload", *words, but="already exists", cwd=file.parent)
        else:
            _gh("release", "create", *words, "--title", tag, "--notes", NOTES, cwd=file.parent)
        return f"{GITHUB}/{repository}/releases/download/{_quoted(tag)}/{_quoted(file.name)}"

    hint = (
        "publish the release if it is a draft; if it has another file of that name, choose a new "
        f"tag, or: gh release delete-asset {tag} FILE --repo {repository}"
    )
    return Host(target, upload, hint)


def _gh(*words: str, but: str | None = None, cwd: Path | None = None) -> str:
    """Run GitHub's program, which has the user's login.

    Args:
        but: part of an error's text; a failure with this text raises nothing.
        cwd: where the files are that the words name.

    Returns:
        What it printed, or "done" if it printed nothing; "" after a failure that `but` allows.

    Raises:
        UserError: it is not installed or not logged in, or it says why it failed.
    """
    try:
        done = subprocess.run(
            ["gh", *words],
            cwd=cwd,
            env={**os.environ, "GH_PROMPT_DISABLED": "1", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    except OSError as error:
        raise UserError(
            f"cannot run gh, GitHub's program ({error.strerror}): get it from "
            "https://cli.github.com, then: gh auth login"
        ) from None
    said = " ".join(done.stderr.split())
    if done.returncode == 0:
        return done.stdout or "done"
    if but is not None and but in said:
        return ""
    if done.returncode == 4 or "gh auth login" in said:
        raise UserError("gh is not logged in to GitHub: gh auth login")
    if "Could not resolve to a Repository" in said:
        raise UserError(
            f"no repository {words[2]}: make it first (gh repo create), or mend the name"
        )
    if re.search("HTTP 40[34]", said):
        said += "; may your login write there? gh auth refresh --scopes repo"
    raise UserError(f"gh {' '.join(words[:2])} failed: {said[-300:] or done.returncode}")


# ---- a repository on Hugging Face


def _hugging_face(target: str, rest: str) -> Host:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", rest, re.ASCII):
        return _nowhere(target, rest)
    try:
        from huggingface_hub import CommitOperationAdd, HfApi, errors, utils
    except ImportError:
        raise UserError('no huggingface_hub here: pip install -e ".[hf]"') from None
    utils.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        utils.disable_progress_bars()
    api = HfApi()
    with _in_one_line(rest):
        utils.validate_repo_id(rest)
        api.whoami()

    def upload(record: zoo.Record, file: Path) -> str:
        with _in_one_line(rest), files.scratch() as cache:
            api.create_repo(rest, exist_ok=True)
            try:
                there = api.hf_hub_download(rest, "README.md", cache_dir=cache)
                page = Path(there).read_text("utf-8")
            except errors.RemoteEntryNotFoundError:  # not where it is out of reach
                page = ""
        contents = (record.file, file), ("README.md", _card(record, page).encode())
        message = f"{record.name}: {zoo_page.score(record)}"
        with _in_one_line(rest):
            added = [CommitOperationAdd(name, content) for name, content in contents]
            commit = api.create_commit(rest, added, commit_message=message)
        return f"{api.endpoint}/{rest}/resolve/{commit.oid}/{_quoted(record.file)}"

    return Host(target, upload, "if the repository is private, make it public in its settings")


@contextlib.contextmanager
def _in_one_line(repository: str) -> Iterator[None]:
    """Say in one line what huggingface_hub, httpx and Xet raise, each classes of its own."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the page that somebody wrote
            yield
    except UserError:
        raise
    except Exception as raised:
        # What went wrong with an upload stands behind "Error while uploading".
        error = (isinstance(raised, RuntimeError) and raised.__cause__) or raised
        status = getattr(getattr(error, "response", None), "status_code", None)
        said = " ".join(str(getattr(error, "server_message", None) or error).split())[:300]
        if type(error).__name__ == "LocalTokenNotFoundError" or status == 401:
            said = "you are not logged in: hf auth login, with a token that may write"
        elif status in (403, 404):
            said = f"your token may not write to {repository}, or nobody has that name ({said})"
        elif status is None and type(error).__module__.startswith("httpx"):
            said = f"it cannot be reached ({said}): try again when the network is back"
        elif status == 413:
            said = f"it is too large there ({said})"
        raise UserError(f"Hugging Face: {said or type(error).__name__}") from raised


def _card(record: zoo.Record, page: str) -> str:
    """Return a repository's README.md with what the record says between two marks in it.

    Args:
        page: what it says now, of which the rest stays; or nothing.
    """
    size = f"resized to {record.size}×{record.size}" if record.size else "of any size"
    begin, end = f"<!-- {record.name} -->", f"<!-- /{record.name} -->"
    ours = f"""{begin}
{zoo_page.section(dataclasses.replace(record, urls=[]))}
- score: {zoo_page.score(record)}
- input: RGB in [0, 1], {size}, less the mean {record.mean}, divided by the deviation {record.std}
- licence: MIT, as the code has; the data that it was trained on has terms of its own

A bare state dict; with the code of this project:

```python
import torch
from inference.networks import load_into

state = torch.load("{record.file}", map_location="cpu", weights_only=True)
network = load_into("{record.network}", {record.classes}, {record.arguments}, state)
```
{end}"""
    if not page.strip():
        kind = "image-segmentation" if record.task == "p3" else "image-classification"
        return f"---\nlicense: mit\npipeline_tag: {kind}\n---\n\n# Checkpoints\n\n{ours}\n"
    stop = page.find(end)
    start = page.rfind(begin, 0, stop) if stop >= 0 else -1
    if start >= 0:
        return f"{page[:start]}{ours}{page[stop + len(end) :]}"
    return f"{page.rstrip()}\n\n{ours}\n"  # a mark without its end is somebody's text


HOSTS = {"file": _folder, "gh": _github, "hf": _hugging_face}
