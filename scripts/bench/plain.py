"""The plain script: what students hand in, without its bugs. What inference is measured against.

    python scripts/bench/plain.py p1 SIZE NETWORK WEIGHTS IMG_DIR OUT.csv
    python scripts/bench/plain.py p2 SIZE NETWORK WEIGHTS IMG_DIR OUT.csv CSV
    python scripts/bench/plain.py p3 512  NETWORK WEIGHTS IMG_DIR OUT_DIR

NETWORK is module:callable (or module:callable:json-keywords) on PYTHONPATH that builds the network;
its output is logits, or a dict with "out". NORM=1 in the environment normalises with ImageNet's
mean and deviation; LIMIT=n takes the first n images. fp32, contiguous memory, one process, batches
of 32 / 32 / 5, colouring class by class, imageio: on purpose.
"""

import csv
import importlib
import json
import os
import sys

import imageio.v2 as imageio
import numpy as np
import torch
import torchvision.transforms as T
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

COLOURS = {
    0: (0, 255, 255),
    1: (255, 255, 0),
    2: (255, 0, 255),
    3: (0, 255, 0),
    4: (0, 0, 255),
    5: (255, 255, 255),
    6: (0, 0, 0),
}


class Images(Dataset):
    def __init__(self, files, transform):
        self.files, self.transform = files, transform

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return self.transform(Image.open(self.files[i]).convert("RGB"))


def build(spec, weights, device):
    module, name, *keywords = spec.split(":", 2)
    network = getattr(importlib.import_module(module), name)(
        **(json.loads(keywords[0]) if keywords else {})
    )
    network.load_state_dict(torch.load(weights, map_location=device), strict=False)
    return network.to(device).eval()


def write_masks(prediction, files, out):
    for mask, file in zip(prediction, files, strict=True):
        picture = np.zeros((*mask.shape, 3), np.uint8)
        for index, colour in COLOURS.items():
            picture[mask == index] = colour
        name = os.path.basename(file).replace("_sat.jpg", "_mask.png")
        imageio.imwrite(os.path.join(out, name), picture)


def write_labels(labels, files, rows, out):
    """Write a csv; `rows` are those of P2's, whose ids go first, or None."""
    with open(out, "w", newline="") as f:
        w = csv.writer(f)
        w.writerow((["id"] if rows else []) + ["filename", "label"])
        for i, (name, label) in enumerate(zip(files, labels, strict=True)):
            w.writerow(([rows[i]["id"]] if rows else []) + [os.path.basename(name), label])


def list_images(task, source, limit):
    """Return the files, and the rows of P2's csv or None."""
    if task == "p2":
        rows = list(csv.DictReader(open(sys.argv[7])))[:limit]
        return [os.path.join(source, r["filename"]) for r in rows], rows
    end = "_sat.jpg" if task == "p3" else ".png"
    files = sorted(os.path.join(source, f) for f in os.listdir(source) if f.endswith(end))
    return files[:limit], None


def main():
    task, size, spec, weights, source, out = sys.argv[1:7]
    size, limit = int(size), int(os.environ.get("LIMIT", 10**9))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    steps = ([] if task == "p3" else [T.Resize((size, size))]) + [T.ToTensor()]
    if os.environ.get("NORM"):
        steps.append(T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    files, rows = list_images(task, source, limit)
    images = Images(files, T.Compose(steps))
    loader = DataLoader(images, batch_size=5 if task == "p3" else 32, num_workers=0)
    network, labels, done = build(spec, weights, device), [], 0
    with torch.no_grad():
        for batch in tqdm(loader):
            logits = network(batch.to(device))
            logits = logits["out"] if isinstance(logits, dict) else logits
            prediction = logits.argmax(1).cpu().numpy()
            if task == "p3":
                write_masks(prediction, files[done : done + len(prediction)], out)
                done += len(prediction)
            else:
                labels += prediction.tolist()
    if task != "p3":
        write_labels(labels, files, rows, out)


if __name__ == "__main__":
    main()
