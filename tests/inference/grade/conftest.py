"""Validation sets whose "images" hold their own label, and scripts of a few lines that answer."""

import re
import subprocess

import numpy as np
import pytest

from inference import landcover
from inference.grade import grade

P1_ROWS = 'for f in "$1"/*; do echo "${f##*/},$(<"$f")"; done'
P1_RIGHT = f'(echo filename,label; {P1_ROWS}) > "$2"'
P2_ROWS = '{ read; while IFS=, read -r i f l; do echo "$i,$f,$(<"$2/$f")"; done; } < "$1"'
P2_RIGHT = f'(echo id,filename,label; {P2_ROWS}) > "$3"'
P3_RIGHT = 'for f in "$1"/*; do n=${f##*/}; cat "$f" > "$2/${n%_sat.jpg}_mask.png"; done'
USER = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")


def git(folder, *arguments):
    subprocess.run(["git", *USER, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder):
    if not (folder / ".git").exists():
        git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "What is handed in")


def write_p1(root, count=8):
    folder = root / "val_50"
    folder.mkdir(parents=True)
    for i in range(count):
        (folder / f"{i * 7 % 50}_{400 + i}.png").write_text(str(i * 7 % 50))
    return root


def write_p2(root, count=5):
    folder = root / "office" / "val"
    folder.mkdir(parents=True)
    lines = ["id,filename,label"]
    for i in range(count):
        (folder / f"Alarm Clock{i}.jpg").write_text(str(i * 13))
        lines.append(f"{10 + i},Alarm Clock{i}.jpg,{i * 13}")
    (root / "office" / "val.csv").write_text("\n".join(lines) + "\n")
    return root


def write_p3(root, count=3):
    folder = root / "validation"
    folder.mkdir(parents=True)
    for i in range(count):
        mask = (np.arange(14 * (20 + i)).reshape(14, -1) // 9 % 7).astype(np.uint8)
        png = landcover.encode_png(landcover.to_colours(mask))
        (folder / f"00{i}_mask.png").write_bytes(png)
        (folder / f"00{i}_sat.jpg").write_bytes(png)
    return root


@pytest.fixture
def data(tmp_path):
    write_p1(tmp_path / "hw1_data" / "p1_data")
    write_p2(tmp_path / "hw1_data" / "p2_data")
    write_p3(tmp_path / "hw1_data" / "p3_data")
    return tmp_path / "hw1_data"


@pytest.fixture
def scripts(tmp_path):
    """A repository of right scripts, to be spoilt; its path has a space."""
    folder = tmp_path / "my repository"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "p1.pth").write_text("weights")
    for number, text in enumerate((P1_RIGHT, P2_RIGHT, P3_RIGHT), 1):
        (folder / f"hw1_{number}.sh").write_text(f"# answers for {number}\n{text}\n")
    return folder


def graded(capsys, data, scripts, **options):
    """The exit status, the cells of the table's last row, and the whole output."""
    status = grade(data, scripts=scripts, **options)
    output = capsys.readouterr().out
    table = [line for line in output.splitlines() if re.match(r"20\d\d +P\d", line)]
    rows = [re.split("  +", line) for line in table]
    assert all(row[0] == options.get("edition", "2023") for row in rows)
    assert all(row[2] == f"hw1_{row[1][1]}.sh" for row in rows)
    return status, [[row[1], *row[3:]] for row in rows], output
