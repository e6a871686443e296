"""A page to look predictions through: one html file that needs no network, the least sure first.

Images are read once more for it, only those that it shows, so that predicting keeps none of them.
"""

from __future__ import annotations

import io
from base64 import b64encode
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Sequence

import numpy as np
from PIL import Image

from inference import files, images, landcover, salvage, zoo

SIDE = 128  # pixels of a picture's longer side
TILE_SIDE = 192  # of a satellite image's
LOSSLESS = 48 * 48  # up to so many pixels a PNG is as small as a JPEG
BINS = 10

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2024; margin: 0 auto; max-width: 1500px;
  padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: .2rem 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 1.6rem 0 .5rem; }
p { margin: .3rem 0; max-width: 75ch; overflow-wrap: anywhere; }
.quiet { color: #5a636c; font-size: .85rem; }
.grid { display: grid; gap: .7rem; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
.grid.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
figure { border: 1px solid #d5dade; border-radius: 6px; margin: 0; overflow: hidden; }
figure.bad { border-color: #b3261e; }
.pictures { background: #eef1f3; display: flex; gap: 2px; }
.pictures > * { aspect-ratio: 1; flex: 1; min-width: 0; object-fit: contain; width: 100%; }
.pictures > span { align-items: center; color: #5a636c; display: flex; font-size: .85rem;
  justify-content: center; padding: .5rem; text-align: center; }
img.small { image-rendering: pixelated; }
figcaption { padding: .4rem .55rem .5rem; overflow-wrap: anywhere; }
figcaption b { display: block; line-height: 1.25; }
figcaption b span { float: right; font-weight: normal; margin-left: .4rem; }
.bar { background: #e3e7ea; border-radius: 3px; display: flex; height: 6px; margin: .3rem 0;
  overflow: hidden; }
.bar i { background: #2f6db5; display: block; }
.bar.classes { border: 1px solid #aab2b9; height: 9px; }
.bins { align-items: end; display: flex; gap: 3px; height: 110px; max-width: 34rem; }
.bins div { display: flex; flex: 1; flex-direction: column; font-size: .75rem; height: 100%;
  justify-content: end; text-align: center; }
.bins i { background: #2f6db5; display: block; min-height: 1px; }
.counts { columns: 15rem; column-gap: 2.5rem; font-size: .85rem; margin: .5rem 0;
  max-width: 75rem; padding: 0; }
.counts li { align-items: center; break-inside: avoid; display: flex; gap: .5rem;
  list-style: none; }
.counts span { flex: 0 0 9rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.counts .bar { flex: 1; margin: 0; }
.counts em { flex: 0 0 3.6rem; font-style: normal; text-align: right; }
.key { border: 1px solid #777; display: inline-block; height: .75em; margin-right: .35em;
  width: .75em; }
summary { cursor: pointer; }
"""


class Subject(NamedTuple):
    """What a page is of.

    weights: the user's own file, in the place of the record's, or None.
    tta: whether predictions are averages over views.
    names: of the classes; none where nobody knows them.
    fill: whether images that cannot be read get masks.
    """

    record: zoo.Record
    weights: Path | None
    tta: bool
    names: Sequence[str]
    fill: bool


class Picture(NamedTuple):
    """A small picture of a file: its html, and what is wrong with the file, or nothing."""

    html: str
    fault: str = ""


def write_classes(
    out: Path,
    subject: Subject,
    paths: Sequence[Path],
    labels: Sequence[int],
    probabilities: np.ndarray,
    limit: int,
) -> None:
    """Write the page of a classifier's answers.

    Args:
        paths: N images.
        labels: their classes.
        probabilities: (N, classes) in [0, 1], nan of an image that could not be read.
        limit: how many images are shown.

    Raises:
        UserError: it cannot be written.
    """
    confidence = probabilities.max(1)
    order = _least_sure_first(confidence, limit)
    readable = np.asarray(labels)[~np.isnan(confidence)]
    counts = np.bincount(readable, minlength=probabilities.shape[1])
    names = subject.names or [f"class {label}" for label in range(len(counts))]

    def caption(i: int) -> str:
        ranked = np.argsort(-probabilities[i], kind="stable")
        rest = [label for label in ranked if label != labels[i]][:2]
        others = (_share(names[k], probabilities[i, k]) for k in rest)
        return (
            f"<b><span>{_percent(confidence[i])}</span>{escape(names[labels[i]])}</b>"
            f"{_bar(confidence[i])}<div class=quiet>then {', '.join(others)}</div>"
        )

    def unread(i: int) -> str:
        return "no label (-1)" if labels[i] < 0 else f"{escape(names[labels[i]])}, filled in"

    body = [
        *_head(subject, paths, confidence, order),
        *_histogram(confidence, "Confidence: the greatest of the classes' probabilities (softmax)"),
        f"<details><summary>Images by answer: {np.count_nonzero(counts)} of {len(counts)} classes "
        "occur</summary>",
        *_bars(_numbered(subject, names), counts, [f"{count:,}" for count in counts]),
        "</details><h2>Images, the least confident first</h2><div class=grid>",
    ]
    thumbnail = partial(_thumbnail, side=SIDE)
    body += _figures(paths, confidence, order, thumbnail, caption, unread)
    _write(out, subject, body)


def write_masks(
    out: Path,
    subject: Subject,
    paths: Sequence[Path],
    folder: Path,
    measures: np.ndarray,
    limit: int,
) -> None:
    """Write the page of a segmentation network's masks.

    Args:
        paths: N images.
        folder: holds their masks.
        measures: (N, 1 + classes): the mean probability of an image's pixels' classes, and each
            class's share of the pixels, in [0, 1]; nan of an image that could not be read.
        limit: how many images are shown.

    Raises:
        UserError: it cannot be written.
    """
    confidence, shares = measures[:, 0], measures[:, 1:]
    order = _least_sure_first(confidence, limit)
    readable = shares[~np.isnan(confidence)]
    mean = readable.mean(0) if len(readable) else np.zeros(shares.shape[1])
    names = subject.names or [f"class {label}" for label in range(shares.shape[1])]

    def caption(i: int) -> str:
        return _mask_caption(confidence[i], shares[i], names)

    def unread(i: int) -> str:
        return "a mask all Unknown, filled in" if subject.fill else "no mask"

    def tile(path: Path) -> Picture:
        return _tile(path, None if path in without else folder / landcover.mask_name(path.name))

    # An earlier run may have left one there.
    without = set() if subject.fill else {paths[i] for i in order if np.isnan(confidence[i])}
    swatches = [f'<i class=key style="{_colour(k)}"></i>' for k in range(len(names))]
    body = [
        *_head(subject, paths, confidence, order),
        *_histogram(
            confidence,
            "Confidence of a mask: the mean over its pixels of their class's probability (softmax)",
        ),
        "<details open><summary>Classes, by their mean share of the masks</summary>",
        *_bars(names, mean, list(map(_percent, mean)), swatches),
        '</details><h2>Images, the least confident first</h2><div class="grid wide">',
    ]
    body += _figures(paths, confidence, order, tile, caption, unread)
    _write(out, subject, body)


def _mask_caption(confidence: float, shares: np.ndarray, names: Sequence[str]) -> str:
    """Return what is said of a mask: its classes' shares (C,), the largest first."""
    most = [k for k in np.argsort(-shares, kind="stable") if shares[k] > 0]
    listed = ", ".join(_share(names[k], shares[k]) for k in most if shares[k] >= 5e-4)
    parts = (f'<i style="{_colour(k)}; width: {100 * shares[k]:.2f}%"></i>' for k in most)
    return (
        f"<b><span>{_percent(confidence)}</span>{escape(names[most[0]])}</b>"
        f'<div class="bar classes">{"".join(parts)}</div><div class=quiet>{listed}</div>'
    )


# ---- the parts of a page


def _least_sure_first(confidence: np.ndarray, limit: int) -> list[int]:
    """Return which images are shown: those that could not be read before all others."""
    return np.argsort(np.where(np.isnan(confidence), -1, confidence), kind="stable")[
        :limit
    ].tolist()


def _head(
    subject: Subject, paths: Sequence[Path], confidence: np.ndarray, order: list[int]
) -> Iterator[str]:
    record, total = subject.record, len(paths)
    yield f"<h1>{escape(_title(subject))}</h1>"
    what = f"{record.network}, {record.classes} classes"
    if subject.weights is not None:
        what += f", with the weights {files.in_words(subject.weights)}"
    else:
        what += f", trained on {record.trained_on or 'unknown data'}"
        if "fp32" in record.scores:
            scores = {"metric": "score", "data": "unknown data", "images": 0, **record.scores}
            what += f"; {scores['metric']} {scores['fp32']:.4f} on {scores['data']}"
            what += f", {scores['images']:,} images" if scores["images"] else ""
    if subject.tta:
        what += "; answers are averages over flipped or turned views"
    folder = files.in_words(paths[0].parent)
    yield f"<p>{_count(total, 'image')} of {escape(folder)}</p><p class=quiet>{escape(what)}</p>"
    unread = int(np.isnan(confidence).sum())
    if unread:
        yield f"<p><b>{_count(unread, 'image')} could not be read</b> (shown first).</p>"
    left = total - len(order)
    if left:
        last = confidence[order[-1]]
        surer = "" if np.isnan(last) else f", of {_percent(last)} confidence or more"
        yield (
            f"<p>Shown are {len(order):,} images; <b>{left:,} are left out</b>{surer}: "
            "<code>--html-limit</code> sets how many there are.</p>"
        )


def _histogram(confidence: np.ndarray, title: str) -> Iterator[str]:
    known = confidence[~np.isnan(confidence)]
    counts, _ = np.histogram(np.clip(known, 0, 1), BINS, (0, 1))
    most = max(1, counts.max())
    yield f"<h2>How sure the network is</h2><p class=quiet>{title}.</p><div class=bins>"
    for k, count in enumerate(counts):
        bar = f'<i style="height: {70 * count / most:.1f}%"></i>'
        yield f"<div>{count:,}{bar}{100 * k // BINS}</div>"
    yield f"</div><p class=quiet>images by confidence, in per cent from the number up, {BINS} bins"
    if len(known):
        yield f"; the median is {_percent(float(np.median(known)))}"
    yield "</p>"


def _bars(
    names: Sequence[str], values: np.ndarray, texts: Sequence[str], swatches: Sequence[str] = ()
) -> Iterator[str]:
    """Yield a list of names with bars as long as their values, relative to the greatest."""
    most = max(1e-9, float(max(values)))
    yield "<ul class=counts>"
    for k, (name, value, text) in enumerate(zip(names, values, texts)):
        key = swatches[k] if swatches else ""
        yield f'<li><span title="{escape(name)}">{key}{escape(name)}</span>{_bar(value / most)}'
        yield f"<em>{text}</em></li>"
    yield "</ul>"


def _figures(
    paths: Sequence[Path],
    confidence: np.ndarray,
    order: Sequence[int],
    picture: Callable[[Path], Picture],
    caption: Callable[[int], str],
    unread: Callable[[int], str],
) -> Iterator[str]:
    """Yield a figure for every image of `order`."""
    shown = [paths[i] for i in order]
    drawn: Iterator[Any] = images.read_ahead(shown, picture, ahead=4, threads=2)
    for i, found in zip(order, drawn):
        bad = np.isnan(confidence[i])
        if isinstance(found, Exception):
            found = Picture("<span>no picture</span>", images.reason(found))
        words = f"<b>cannot be read</b><div>{unread(i)}</div>" if bad else caption(i)
        fault = found.fault if bad or not found.fault else f"damaged: {found.fault}"
        lines = [files.in_words(line) for line in (fault, paths[i].name) if line]
        below = "".join(f"<div class=quiet>{escape(line)}</div>" for line in lines)
        yield (
            f"<figure{' class=bad' if bad else ''}><div class=pictures>{found.html}</div>"
            f"<figcaption>{words}{below}</figcaption></figure>\n"
        )


def _write(out: Path, subject: Subject, body: Iterable[str]) -> None:
    text = (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
        '<meta name=viewport content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(_title(subject))}</title>\n<style>{STYLE}</style>\n{''.join(body)}</div>\n"
    )
    files.write_whole(out, text.encode("utf-8", "replace"))


# ---- pictures


def _thumbnail(path: Path, side: int) -> Picture:
    """Return a small picture of an image, or of what a damaged one still holds.

    Raises:
        Exception: it cannot be read.
    """
    found, fault = salvage.read(path), ""
    if isinstance(found, salvage.Salvaged):
        found, fault = found
    image = Image.fromarray(found)
    image.thumbnail((side, side))
    options: dict = {"format": "PNG"}
    if image.width * image.height > LOSSLESS:
        options = {"format": "JPEG", "quality": 80}
    return Picture(_img(image, escape(files.in_words(path.name)), **options), fault)


def _tile(path: Path, mask_path: Path | None) -> Picture:
    """Return small pictures of a satellite image and of its mask, side by side."""
    drawn = "<span>no mask here</span>"
    mask = images.attempt(_mask, mask_path) if mask_path else None
    if isinstance(mask, Image.Image):  # else it is another host's
        drawn = _img(mask, "its mask", format="PNG", optimize=True)
    return _beside(images.attempt(partial(_thumbnail, path, TILE_SIDE)), drawn)


def _mask(path: Path) -> Image.Image:
    image = Image.fromarray(landcover.to_indices(np.asarray(images.read_rgb(path))))
    scale = min(1, TILE_SIDE / max(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.NEAREST)
    image.putpalette(landcover.COLOURS.tobytes())
    return image


def _beside(picture: Any, drawn: str) -> Picture:
    if isinstance(picture, Exception):
        return Picture(f"<span>no picture</span>{drawn}", images.reason(picture))
    return picture._replace(html=picture.html + drawn)


def _img(image: Image.Image, alt: str, **options) -> str:
    content = io.BytesIO()
    image.save(content, **options)
    data = b64encode(content.getvalue()).decode()
    small = " class=small" if max(image.size) < SIDE or options["format"] == "PNG" else ""
    return f'<img{small} alt="{alt}" src="data:image/{options["format"].lower()};base64,{data}">'


# ---- words


def _title(subject: Subject) -> str:
    named = "your own weights" if subject.weights is not None else subject.record.name
    return f"What {named} answers"


def _numbered(subject: Subject, names: Sequence[str]) -> Sequence[str]:
    """Return names with the numbers that the csv has in their place."""
    return [f"{label} {name}" for label, name in enumerate(names)] if subject.names else names


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _share(name: str, share: float) -> str:
    return f"{escape(name)}\N{NO-BREAK SPACE}{_percent(share)}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _bar(share: float) -> str:
    return f'<div class=bar><i style="width: {100 * share:.1f}%"></i></div>'


def _colour(label: int) -> str:
    return "background: rgb({}, {}, {})".format(*landcover.COLOURS[label])
