"""From a run to a checkpoint that can be deployed, and its record in the zoo.

Convolution and linear weights are kept in fp16 and norm layers in fp32, auxiliary heads are
dropped, and the file's predictions are compared with the run's. The validation set is predicted in
the precisions that this machine is fast in, and each one's score and how many of its labels
(pixels) equal fp32's are recorded: `--precision auto` goes by that. Another machine's are added by
`rescore`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from inference import UserError, files, zoo
from inference.networks import load_into
from inference.zoo import checkpoint, urls
from inference.zoo.listing import source
from training.engine.problem import Problem
from training.engine.run_folder import Run
from training.publish import class_names, host, names, scores, zoo_page


def publish(
    run: Run,
    name: str | None,
    data: Path | None,
    links: list[str],
    default: bool,
    tta: bool = True,
    classes: Path | None = None,
    hosts: Sequence[str] = (),
) -> None:
    """Make `weights/NAME.pth` of a run's `best.pth`, and its record.

    Without `tta` the record answers with one view of an image even where the recipe averages over
    several, and its scores are those of one view: a fraction of the time for some of the accuracy.

    Args:
        links: where the file will be, as a browser or a record calls it.
        classes: a file with the names of the classes, one a line; None takes what the data says.
        hosts: where to upload the file, as `host.host_at` reads it.

    Raises:
        UserError: the run has not ended, or no script answers with it; the data is missing;
            weights are not finite, or rounding to fp16 changed the predictions; the name would
            fail somewhere, or is another's; nothing can be fetched from a link; the file cannot be
            hosted; a file cannot be written. Then nothing is published.
    """
    problem, recipe, weights = run.problem, run.recipe, run.expect_weights()
    data = _expect_scored(run, data)
    record = dataclasses.replace(
        recipe.record(name),
        folder=zoo.ZOO.parent.parent / "weights",
        tta=recipe.tta and tta,
        urls=_places(links),
        names=class_names.of(problem, data, recipe.classes, classes),
    )
    _expect_publishable(record)
    places = [host.host_at(target) for target in hosts]
    record, content = _deployable(record, weights)
    if name is None:
        _expect_new(record)
    with files.scratch(run.folder) as scratch:
        file = scratch / record.file
        files.write_whole(file, content)
        record, same = scores.of_run(run, record, data, file)
        with host.everywhere(record, file, places) as hosted:
            _write(host.with_urls(record, hosted), content, default, same, hosted)


def _expect_scored(run: Run, data: Path | None) -> Path:
    """Return the data that a run is to be scored on; refuse a run that cannot be scored."""
    if run.problem.evaluate is None:
        raise UserError(
            f"{run.recipe.name} is pre-training, and no graded script uses its weights: fine-tune "
            "its best.pth (pretrained=FILE) and publish that run"
        )
    if not run.finished:
        raise UserError(f"{run.folder} has not ended: its command goes on where it was stopped")
    data = data or run.data
    if data is None:
        raise UserError(f"{run.folder} does not say where its data was: add --data DIR")
    return data


def _write(
    record: zoo.Record, content: bytes, default: bool, same: float, hosted: Sequence[str]
) -> None:
    """Write a checkpoint's file, its record and the pages, and say so."""
    with files.locked(zoo.ZOO.parent):  # one file and one record, whoever publishes meanwhile
        _expect_publishable(record)
        old = zoo.records().get(record.name)
        if old and old.sha256 == record.sha256:  # where it was hosted it still is
            there = dataclasses.replace(record, urls=old.urls)
            record = host.with_urls(there, record.urls)
        with _uninterrupted(f"{record.name} is published all the same"):
            with files.staged(zoo.path(record), content):
                zoo.add(record, default)
            _print_pages()
            size = f"{record.bytes / 1e6:.1f} MB"
            print(f"{zoo.path(record)}: {size}, {same:.2%} of predictions equal the run's")
            _show(record)
            _say_what_was_replaced(old, record)
            _say_what_follows(record, default)
            host.say(record, hosted)


def host_again(name: str, targets: Sequence[str]) -> None:
    """Upload the file of a published checkpoint, and write where it is into its record.

    Args:
        targets: as `hosts` of `publish`.

    Raises:
        UserError: no such checkpoint, its file is missing or changed, or it cannot be hosted; the
            zoo is as it was.
    """
    record = zoo.record(name)
    zoo.check(record)
    files.check_writable(zoo.ZOO)
    places = [host.host_at(target) for target in targets]
    with host.everywhere(record, zoo.path(record), places) as hosted:
        _amend(record, lambda now: host.with_urls(now, hosted))
    host.say(record, hosted)


def name_classes(name: str, classes: Path) -> None:
    """Write the names of its classes, a file's lines, into the record of a published checkpoint.

    Raises:
        UserError: no such checkpoint, or names that will not do.
    """
    record = zoo.record(name)
    words = class_names.read(classes, record.classes)
    _amend(record, lambda now: dataclasses.replace(now, names=words))
    print(f"{name}: {record.classes} classes, {words[0]} to {words[-1]}")


def rescore(name: str, data: Path | None, problems: Mapping[str, Problem]) -> None:
    """Measure a published checkpoint's fast precisions on this machine too.

    Raises:
        UserError: no such checkpoint, no data given, or the file is not as published.
    """
    record = zoo.record(name)
    if data is None:
        folder = problems[record.task].folder
        raise UserError(f"say which validation set to score on: --data hw1_data/{folder}")
    zoo.check(record)
    files.check_writable(zoo.ZOO)
    problem, weights = problems[record.task], zoo.path(record)
    assert problem.evaluate is not None  # the zoo has what scripts answer with
    exact = problem.evaluate(record, data, weights, "fp32", "auto")
    measured = scores.of_file(problem, record, data, exact, weights)
    # Other machines may have added theirs meanwhile.
    _show(_amend(record, lambda now: scores.added_to(now, measured)))


def _amend(record: zoo.Record, change: Callable[[zoo.Record], zoo.Record]) -> zoo.Record:
    """Change what the zoo says of a checkpoint by now, unless it has another file by now.

    Returns:
        What it says then.
    """
    with files.locked(zoo.ZOO.parent):
        now = zoo.record(record.name)
        if now.sha256 != record.sha256:
            raise UserError(f"{record.name} was published anew meanwhile: do it again")
        with _uninterrupted(f"the record of {record.name} is written all the same"):
            changed = change(now)
            zoo.add(changed)
            _print_pages()
    return changed


@contextlib.contextmanager
def _uninterrupted(line: str) -> Iterator[None]:
    """Delay Ctrl-C to the end of a block that writes several files.

    Raises:
        KeyboardInterrupt: with `line`, if there was a Ctrl-C.
    """
    came: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    # Python may set a handler in the main thread alone, and a background job ignores Ctrl-C.
    ours = callable(usual) and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, usual)
    if came:
        raise KeyboardInterrupt(line)


def _expect_new(record: zoo.Record) -> None:
    """Refuse to replace another checkpoint by a recipe's name, which nobody has said."""
    old = zoo.records().get(record.name)
    if old and old.sha256 != record.sha256:
        raise UserError(
            f"{record.name} is in the zoo already ({zoo_page.score(old)}): add --name for another "
            f"name, or --name {record.name} to replace it"
        )


def _say_what_was_replaced(old: zoo.Record | None, record: zoo.Record) -> None:
    if old is None or old.sha256 == record.sha256:
        return
    line = f"note: {record.name} was another checkpoint until now ({zoo_page.score(old)})"
    if old.urls:
        line += f", hosted at {old.urls[0]}: host the new one (--host)"
    print(files.in_one_line(line), file=sys.stderr)


def _say_what_follows(record: zoo.Record, default: bool) -> None:
    if default:
        print(f"{record.name} is what the scripts answer {record.task} with from now on")
    if source(record) == "no url":
        print(
            f"note: only this machine has {record.file}, since git ignores it and no --url says "
            "where it is; before you hand it in, host it: docs/hosting.md",
            file=sys.stderr,
        )


def _places(links: list[str]) -> list[str]:
    """Return what can be fetched for each link, and say what became of it."""
    found = []
    for link in links:
        place = urls.direct(link)
        if place != link:
            print(files.in_one_line(f"note: --url {link} is recorded as {place}"), file=sys.stderr)
        found.append(place)
    return list(dict.fromkeys(found))


def _expect_publishable(record: zoo.Record) -> None:
    """Refuse what would spoil the zoo or cannot be written, before anything is."""
    names.expect_usable(record, zoo.records())
    for file in (zoo.path(record), zoo.ZOO):
        files.check_writable(file)


def _print_pages() -> None:
    """Write the zoo's tables anew; if that fails, only note it: the checkpoint is published."""
    if not (zoo_page.ROOT / "docs").is_dir():  # a copy of the code alone, and no checkout
        return
    try:
        zoo_page.refresh()
    except UserError as error:
        line = f"note: {error}; then print it anew: python -m training report"
        print(files.in_one_line(line), file=sys.stderr)


def _show(record: zoo.Record) -> None:
    said = record.scores
    print(f"{record.name}: {said['metric']} {said['fp32']} on {said['data']} in fp32")
    for precision, fast in said["fast"].items():
        print(
            f"    {precision}: {fast['score']}, {fast['agreement']:.3%} of predictions as in fp32"
        )


def _deployable(record: zoo.Record, weights: Path) -> tuple[zoo.Record, bytes]:
    """Return the record with the size and hash of a file of rounded weights, and that file.

    Raises:
        UserError: the weights cannot be read, are not finite or too large for fp16.
    """
    try:
        with weights.open("rb") as stream:
            state = checkpoint.state_dict(stream, weights)
    except OSError as error:
        raise UserError(f"cannot read {weights}: {error.strerror or error}") from error
    checkpoint.expect_finite(state, weights)
    network = load_into(record.network, record.classes, record.arguments, state)
    exact = {
        f"{name}.{key}"
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._NormBase | nn.LayerNorm)
        for key in module.state_dict()
    }
    rounded = {
        key: value.half() if value.is_floating_point() and key not in exact else value
        for key, value in state.items()
        if not key.startswith("aux_classifier.")
    }
    for key, value in rounded.items():
        if not torch.isfinite(value).all():
            raise UserError(f"{weights}: {key} has values that fp16 cannot hold")
    content = io.BytesIO()
    torch.save(rounded, content)
    data = content.getvalue()
    arguments = {key: value for key, value in record.arguments.items() if key != "aux"}
    digest = hashlib.sha256(data).hexdigest()
    return dataclasses.replace(record, arguments=arguments, bytes=len(data), sha256=digest), data
