"""mini-ImageNet (arXiv 1606.04080) -> p2_data/mini.

Its 64 training classes, of 600 images, are the course's 38,400. The split is that of Ravi and
Larochelle, "Optimization as a Model for Few-Shot Learning", ICLR 2017.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from inference import UserError
from inference.images import list_images
from inference.tables import read_columns
from training.datasets.public import pickles
from training.datasets.public.files import decode, for_each, write_table

SIDE = 84
CACHE = "mini-imagenet-cache-train.pkl"
TRAIN = frozenset(
    """
    n01532829 n01558993 n01704323 n01749939 n01770081 n01843383 n01910747 n02074367 n02089867
    n02091831 n02101006 n02105505 n02108089 n02108551 n02108915 n02111277 n02113712 n02120079
    n02165456 n02457408 n02606052 n02687172 n02747177 n02795169 n02823428 n02966193 n03017168
    n03047690 n03062245 n03207743 n03220513 n03337140 n03347037 n03400231 n03476684 n03527444
    n03676483 n03838899 n03854065 n03888605 n03908618 n03924679 n03998194 n04067472 n04243546
    n04251144 n04258138 n04275548 n04296562 n04389033 n04435653 n04443257 n04509417 n04515003
    n04596742 n04604644 n04612504 n06794110 n07584110 n07697537 n07747607 n09246464 n13054560
    n13133613
    """.split()
)


def fill(folder: Path, source: Path, seed: int) -> dict:
    """Write train/0.jpg, ... in a random order, and train.csv with their classes.

    Training uses no label; train.csv lets it be watched. A JPEG of 84x84 is copied as it is, all
    else is squashed to that.

    Args:
        folder: empty.
        source: any of the forms it is passed around in: train.csv beside images/ (flat, or with
            class folders); class folders, in train/ or at the top; or the pickled
            mini-imagenet-cache-train.pkl, or its folder.

    Returns:
        What DATA.json says.

    Raises:
        UserError: `source` is not the dataset, or damaged.
    """
    listed = _listed(source)
    names = sorted({name for name, _ in listed})
    order = np.random.default_rng(seed).permutation(len(listed)).tolist()
    (folder / "train").mkdir()
    files = [f"{number}.jpg" for number in range(len(order))]
    jobs = [(listed[i][1], folder / "train" / file) for file, i in zip(files, order, strict=True)]
    for_each(_write, jobs)
    labels = [names.index(listed[i][0]) for i in order]
    write_table(folder / "train.csv", zip(files, labels, strict=True))
    return {"source": f"mini-ImageNet, {len(names)} classes", "seed": seed, "classes": names}


def _listed(source: Path) -> Sequence[tuple[str, Path | np.ndarray]]:
    """Return (class, file or pixels (H, W, 3)) of every training image."""
    cache = source / CACHE if source.is_dir() else source
    if cache.is_file():
        return _from_cache(cache)
    if (source / "train.csv").is_file():
        return _from_table(source / "train.csv", source / "images")
    for folder in (source / "train", source / "images", source):
        classes = sorted(path for path in folder.glob("n[0-9]*") if path.is_dir())
        if classes:
            train = [one for one in classes if one.name in TRAIN]
            return [(one.name, path) for one in train or classes for path in list_images(one)]
    raise UserError(
        f"no mini-ImageNet in {source}: give a folder with train.csv and images/, one with class "
        f"folders (n01532829, ...), or {CACHE}"
    )


def _from_table(table: Path, images: Path) -> list[tuple[str, Path]]:
    rows = []
    for number, (label, name) in read_columns(table, ("label", "filename")):
        if not label or not name:
            raise UserError(f"line {number} of {table} lacks a filename or a label: complete it")
        rows.append((label, name))
    nested = rows and (images / rows[0][0] / rows[0][1]).is_file()
    found = [(name, images / name / file if nested else images / file) for name, file in rows]
    for _, path in found:
        if not path.is_file():
            raise UserError(f"no {path}, which {table} lists: unpack the images there")
    if not found:
        raise UserError(f"{table} lists no image: is it complete?")
    return found


def _from_cache(cache: Path) -> list[tuple[str, np.ndarray]]:
    try:
        content = pickles.read(cache.read_bytes(), cache)
        pixels, classes = content[b"image_data"], content[b"class_dict"]
        names = {name: name.decode() if isinstance(name, bytes) else name for name in classes}
        found = [(names[name], pixels[i]) for name in classes for i in classes[name]]
        right = pixels.dtype == np.uint8 and pixels.ndim == 4 and pixels.shape[3] == 3
    except OSError as error:
        raise UserError(f"cannot read {cache}: {error.strerror}; fetch it again") from None
    except (KeyError, TypeError, IndexError, AttributeError, UnicodeDecodeError) as error:
        raise UserError(f"{cache} is no mini-ImageNet: {error!r}; is it {CACHE}?") from None
    if not right or not found:
        raise UserError(f"{cache} holds no RGB images: is it {CACHE}?")
    return found


def _write(image: Path | np.ndarray, to: Path) -> None:
    if isinstance(image, Path):
        pixels = decode(image)
        if pixels.shape[:2] == (SIDE, SIDE) and image.suffix.lower() in (".jpg", ".jpeg"):
            to.write_bytes(image.read_bytes())
            return
        image = pixels
    picture = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    picture.save(to, quality=95)
