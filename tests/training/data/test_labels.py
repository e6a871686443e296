"""Labels that names or a csv tell."""

from pathlib import Path

import numpy as np
import pytest

from inference import UserError
from training.data.labels import check_classes, from_csv, from_names


def read(folder, content):
    """Read a table of these bytes."""
    (folder / "train.csv").write_bytes(content)
    return from_csv(folder / "train.csv", folder / "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,a.jpg,1\n1,b.jpg,None\n", "line 3 of .*train.csv should have .* 'None'"),
        ("0,a.jpg,1\n\n1,b.jpg\n", "line 4 of .*train.csv should have"),
        ("0,a.jpg,2.0\n", "line 2 of .*'2.0'"),
        ("0,a.jpg,-1\n", "line 2 of"),
        ("0,,1\n", "line 2 of .*should have a filename"),
        (f"0,a.jpg,{10**20}\n", "line 2 of"),
        ('0,"a.jpg,1\n1,b.jpg,2\n', "line 2 of .* opens a quote"),
        ("0,a\0.jpg,1\n", "line 2 holds a NUL"),
        ("", "train.csv lists no image: is it complete"),
    ],
)
def test_a_row_that_is_wrong_is_named_by_its_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, f"id,filename,label\n{text}".encode())


def test_a_table_as_a_spreadsheet_saves_it(tmp_path):
    text = "\ufeffid;filename;label\r\n0;a.jpg;1\r\n1;b.jpg; 2\r\n"
    paths, labels = read(tmp_path, text.encode("utf-16-le"))
    assert [path.name for path in paths] == ["a.jpg", "b.jpg"] and labels.tolist() == [1, 2]
    assert paths[0].parent == tmp_path / "train" and labels.dtype == np.int64


def test_a_table_that_is_missing_asks_whether_data_is_right(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*train.csv: .*is --data right\?"):
        from_csv(tmp_path / "train.csv", tmp_path)


def test_names_tell_classes(tmp_path, draw):
    for name in ("3_0", "12_345", "0_7"):
        draw(tmp_path / f"{name}.png", (4, 4))
    paths, labels = from_names(tmp_path)
    assert {path.stem: int(label) for path, label in zip(paths, labels)} == {
        "0_7": 0,
        "12_345": 12,
        "3_0": 3,
    }


@pytest.mark.parametrize("name", ["cat", "3", "3_", "_3", "3_0_1", "-3_0", f"{10**20}_0", "٣_0"])
def test_a_name_without_a_class_is_named(tmp_path, draw, name):
    draw(tmp_path / f"{name}.png", (4, 4))
    with pytest.raises(UserError, match=r"has no class in its name: it should be like 12_345\.png"):
        from_names(tmp_path)


def test_classes_are_those_of_the_recipe():
    check_classes(np.array([0, 1, 2, 1]), 3, Path("here"))
    with pytest.raises(UserError, match="labels in here reach 2, classes=2 allows less"):
        check_classes(np.array([0, 1, 2]), 2, Path("here"))
    with pytest.raises(UserError, match=r"no image of class 1 in here \(2 have none\)"):
        check_classes(np.array([0, 3, 3]), 4, Path("here"))
