"""DeepGlobe land cover (arXiv 1805.06561, https://deepglobe.org) -> p3_data.

Its 803 labelled scenes are 2448x2448; the two sets without public masks are of no use here. A
scene is cut into 4x4 tiles, spread evenly over it with gaps of 133 pixels. All tiles of a scene go
into one set, since neighbours look alike: with its tiles in both, validation would measure memory.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from inference import UserError, landcover
from inference.images import list_images, size_of
from training.datasets.public.files import decode, for_each

TILE = 512  # pixels
COUNTS = {"train": 2000, "validation": 257}  # the course's
VAL_SHARE = 257 / 2257
FOLDERS = (".", "train", "land-train")  # the last is the challenge's own


def fill(folder: Path, source: Path, seed: int, whole: bool) -> dict:
    """Write train/ and validation/: xxxx_sat.jpg, and xxxx_mask.png beside it.

    Args:
        folder: empty.
        source: holds xxx_sat.jpg and xxx_mask.png, or the folder train/ that does.
        whole: take every tile, in place of the course's 2,000 and 257.

    Returns:
        What DATA.json says.

    Raises:
        UserError: `source` is not the dataset, or an image or mask in it is damaged.
    """
    scenes = _scenes(source)
    random = np.random.default_rng(seed)
    order = [scenes[i] for i in random.permutation(len(scenes))]
    held = max(1, round(len(scenes) * VAL_SHARE))
    for part, those in (("validation", order[:held]), ("train", order[held:])):
        (folder / part).mkdir()
        tiles = _in_turn([_tiles(scene, random) for scene in those])
        tiles = tiles if whole else tiles[: COUNTS[part]]
        by_scene: dict[Path, list] = {}
        for number, (scene, corner) in enumerate(tiles):
            by_scene.setdefault(scene, []).append((corner, folder / part / f"{number:04d}_sat.jpg"))
        for_each(_cut, list(by_scene.items()))
    return {"source": "DeepGlobe land cover", "seed": seed, "classes": list(landcover.CLASSES)}


def _scenes(source: Path) -> list[Path]:
    """List the satellite images, each of which has its mask."""
    for folder in FOLDERS:
        if (source / folder).is_dir() and any((source / folder).glob("*_sat.jpg")):
            scenes = [p for p in list_images(source / folder) if p.name.endswith("_sat.jpg")]
            break
    else:
        raise UserError(
            f"no DeepGlobe land cover in {source}: give the folder with train/, or with xxx_sat.jpg"
        )
    for scene in scenes:
        if not _mask_of(scene).is_file():
            raise UserError(
                f"no {_mask_of(scene).name} beside {scene}: only the training set has masks; give "
                "its folder, complete"
            )
    if len(scenes) < 2:
        raise UserError(f"one scene in {source}, and training and validation need one each")
    return scenes


def _mask_of(scene: Path) -> Path:
    return scene.with_name(landcover.mask_name(scene.name))


def _tiles(scene: Path, random: np.random.Generator) -> list[tuple[Path, tuple[int, int]]]:
    """Return (scene, (top, left)) of its tiles, in a random order."""
    height, width = size_of(scene) or decode(scene).shape[:2]  # the second says what is wrong
    if min(width, height) < TILE:
        raise UserError(f"{scene} is {width} x {height} pixels, less than a tile of {TILE}")
    tops, lefts = (
        np.linspace(0, side - TILE, side // TILE).astype(int).tolist() for side in (height, width)
    )
    corners = [(top, left) for top in tops for left in lefts]
    return [(scene, corners[i]) for i in random.permutation(len(corners))]


def _in_turn(lists: list[list]) -> list:
    """Take the first of every list, then the second of every one, and so on."""
    longest = max(map(len, lists))
    return [one[i] for i in range(longest) for one in lists if i < len(one)]


def _cut(scene: Path, tiles: list[tuple[tuple[int, int], Path]]) -> None:
    """Write tiles of a scene and of its mask."""
    pixels, colours = decode(scene), decode(_mask_of(scene))
    if pixels.shape != colours.shape:
        raise UserError(f"{scene} and {_mask_of(scene).name} differ in size: fetch them again")
    classes = landcover.to_indices(colours)
    for (top, left), file in tiles:
        window = slice(top, top + TILE), slice(left, left + TILE)
        # 4:4:4, so that what was compressed once loses little the second time.
        Image.fromarray(pixels[window]).save(file, quality=95, subsampling=0)
        mask = landcover.encode_png(landcover.to_colours(classes[window]))
        file.with_name(landcover.mask_name(file.name)).write_bytes(mask)
