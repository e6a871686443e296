"""The README's picture, from what a quickstart has left."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference import landcover

SCRIPT = Path(__file__).parents[1] / "scripts/predictions_picture.py"


@pytest.fixture
def left(tmp_path):
    """Return the data and the answers of a tiny quickstart: of each problem one is wrong."""
    random, data, out = np.random.default_rng(0), tmp_path / "data", tmp_path / "out"
    p1, office = data / "p1_data/val_50", data / "p2_data/office"
    p3, masks = data / "p3_data/validation", out / "p3"
    for folder in (p1, office / "val", p3, masks):
        folder.mkdir(parents=True)
    p2 = [{"id": i, "filename": f"{i}.jpg", "label": i} for i in range(3)]
    for i in range(3):
        noise = random.integers(0, 256, (200, 300, 3), dtype=np.uint8)
        Image.fromarray(noise[:32, :32]).save(p1 / f"{i}_7.png")
        Image.fromarray(noise).save(office / "val" / f"{i}.jpg")
        Image.fromarray(noise[:64, :64]).save(p3 / f"000{i}_sat.jpg")
        truth = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64) % 6
        for folder, mask in ((p3, truth), (masks, np.where(i == 1, 6, truth).astype(np.uint8))):
            (folder / f"000{i}_mask.png").write_bytes(landcover.encode_mask(mask))
    write(office / "val.csv", p2)
    write(out / "p1.csv", [{"filename": f"{i}_7.png", "label": min(i, 1)} for i in range(3)])
    write(out / "p2.csv", [{**row, "label": min(row["id"], 1)} for row in p2])
    return data, out


def write(file, rows):
    with file.open("w", newline="") as text:
        table = csv.DictWriter(text, rows[0].keys())
        table.writeheader()
        table.writerows(rows)


def test_a_picture_of_answers_and_mistakes_that_a_readme_can_carry(left, tmp_path):
    file = tmp_path / "docs/picture.png"
    run = subprocess.run([sys.executable, SCRIPT, *left, file], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert file.stat().st_size < 300_000
    with Image.open(file) as image:
        picture = np.asarray(image.convert("RGB")).astype(int)
    assert picture.shape[1] == 1660
    red = (picture[..., 0] - picture[..., 1] > 120) & (picture[..., 0] - picture[..., 2] > 120)
    green = (picture[..., 1] - picture[..., 0] > 80) & (picture[..., 1] - picture[..., 2] > 60)
    labels = slice(208, 238)  # below P1's images
    assert red[labels].any() and green[labels].any()
    assert np.abs(picture[:30] - 255).max() < 4 and np.abs(picture[:, :30] - 255).max() < 4
