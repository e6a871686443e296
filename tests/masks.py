"""Folders of masks for the evaluator's tests."""

import numpy as np
import pytest
from PIL import Image

import mean_iou_evaluate as evaluator
from scripts.bench.evaluator import COLOURS

ALL_CLASSES = np.array([[0, 1, 2, 3, 4, 5, 6]])
PERFECT = "".join(f"class #{i} : 1.00000\n" for i in range(6)) + "\nmean_iou: 1.000000\n\n"


def save(path, mask):
    """Write a mask of class indices (h, w), or of colours (h, w, 3)."""
    mask = np.asarray(mask)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(COLOURS[mask] if mask.ndim == 2 else mask.astype(np.uint8)).save(path)


@pytest.fixture
def folders(tmp_path):
    """Two folders of three equal masks that hold every class."""
    for name in ("0000_mask.png", "0001_mask.png", "0002_mask.png"):
        save(tmp_path / "gt" / name, ALL_CLASSES)
        save(tmp_path / "pred" / name, ALL_CLASSES)
    return tmp_path / "gt", tmp_path / "pred"


def run(folders):
    return evaluator.main(["-g", str(folders[0]), "--pred", str(folders[1])])


def empty(folder):
    for path in folder.iterdir():
        path.unlink()
