"""What the inference benchmark runs: networks, weights and generated images, case by case.

`p1` and `p2` use the bundled checkpoints, the others random weights.
"""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from inference import zoo
from inference.networks import build, initialise
from inference.zoo.manifest import Record
from training.datasets.sample.landscapes import landscape
from training.datasets.sample.problems import office_image, p1_image

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Case:
    """One row of the table; `network` is what the plain script builds.

    It is module:callable:keywords, without keywords for a network of ours: the record has them.
    """

    name: str
    images: int
    record: str
    network: str
    task: str


CASES = {
    "p1": Case("P1, convnet", 2500, "p1-a", "inference.networks.convnet:ConvNet", "p1"),
    "p1-b": Case(
        "P1, ResNeXt101_64x4d",
        1000,
        "p1-b",
        'torchvision.models:resnext101_64x4d:{"num_classes": 50}',
        "p1",
    ),
    "p2": Case("P2, ResNet50 at 128", 400, "p2-c", "inference.networks.resnet:resnet50", "p2"),
    "p3": Case(
        "P3, DeepLabV3-ResNet50",
        40,
        "p3-b",
        'torchvision.models.segmentation:deeplabv3_resnet50:{"num_classes": 7, '
        '"weights_backbone": null}',
        "p3",
    ),
}
RANDOM = {
    "p1-b": ("resnext101_64x4d", 50, 100),
    "p3-b": ("deeplabv3_resnet50", 7, None),
}


def repository(root: Path, keys: list[str]) -> Path:
    """Copy what runs, with the large networks added to its zoo and without flip averaging.

    The plain script predicts each image once, and so does what it is compared with.
    """
    shutil.copytree(ROOT / "inference", root / "inference")
    shutil.copytree(ROOT / "weights", root / "weights")
    copied = root / "inference" / "zoo.json"
    for record in zoo.records(copied).values():
        zoo.add(dataclasses.replace(record, tta=False), file=copied)
    for key in {CASES[key].record for key in keys} & RANDOM.keys():
        network, classes, size = RANDOM[key]
        torch.manual_seed(0)
        made = initialise(build(network, classes))
        file = root / "weights" / f"{key}.pth"
        torch.save(made.state_dict(), file)
        template = zoo.default("p3" if size is None else "p1")
        record = Record(
            **{
                **vars(template),
                "name": key,
                "network": network,
                "arguments": {},
                "classes": classes,
                "input": {**template.input, "size": size},
                "file": file.name,
                "bytes": file.stat().st_size,
                "sha256": zoo.sha256(file),
            }
        )
        zoo.add(record, file=copied)
    return root


def draw(task: str, folder: Path, count: int) -> Path:
    """Draw a case's images; for P2 a csv beside them too."""
    source = folder / "images"
    source.mkdir(parents=True)
    random = np.random.default_rng(0)
    for i in range(count):
        if task == "p1":
            Image.fromarray(p1_image(0, "val", i % 50, i)).save(source / f"{i:04d}.png")
        elif task == "p2":
            size = tuple(random.integers(300, 501, 2).tolist())
            picture = Image.fromarray(office_image(0, "val", i % 65, i)).resize(size)
            picture.save(source / f"{i:04d}.jpg", quality=90)
        else:
            rgb, _ = landscape(1, i, "validation")
            Image.fromarray(rgb).save(source / f"{i:04d}_sat.jpg", quality=90)
    rows = [f"{i},{path.name},None" for i, path in enumerate(sorted(source.iterdir()))]
    (folder / "images.csv").write_text("\n".join(["id,filename,label", *rows, ""]))
    return source
