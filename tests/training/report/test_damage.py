"""A damaged file of one run leaves that run out, and costs the others nothing."""

import json
import os
from pathlib import Path

import pytest

from tests.training.report.conftest import (
    P1_NUMBERS,
    P1_PICTURES,
    P3_NUMBERS,
    P3_PICTURES,
    made,
    scored,
    write_figures,
    write_run,
)

HEAD = "epoch,loss,accuracy\n"
TABLES = {
    "a word": HEAD + "0,abc,0.1\n",
    "git's marks": "<<<<<<< HEAD\nepoch,loss\n0,1.0\n=======\n",
    "a NUL": HEAD + "0,1.0,\0\n",
    "a lacking value": HEAD + "0,1.0\n",
    "a value too many": HEAD + "0,1.0,2.0,3.0\n",
    "no column epoch": "loss\n1.0\n",
    "a column twice": "epoch,loss,loss\n0,1.0,1.0\n",
    "a negative epoch": HEAD + "-1,1.0,0.5\n",
    "an epoch twice": HEAD + "0,1.0,0.5\n0,1.0,0.5\n",
    "an epoch that is none": HEAD + "nan,1.0,0.5\n",
    "an open quote": HEAD + '0,"1.0,0.5\n',
    "bytes": b"\xff\xfe\x00\x80" * 9,
}
RECORDS = {
    "a list": "[]",
    "null": "null",
    "a number": "3",
    "half": '{"recipe": {',
    "nothing": "",
    "deep": "[" * 100_000,
    "a huge number": '{"seed": ' + "9" * 10_000 + "}",
    "bytes": b"\xff\xfe\x00\x80",
}


@pytest.fixture
def root(tmp_path):
    """Return a folder of two runs, of which one is to be damaged."""
    for seed, name in enumerate(("good", "odd")):
        write_run(tmp_path / "runs" / name, "p1-a", scored(0.5), seed=seed)
    return tmp_path / "runs"


def write(file, content):
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


def is_left_out(root, name="odd"):
    """Return whether a page has the good run alone, and one line names the other."""
    lines = []
    page = made(root.parent / "report", root, lines.append)
    assert "<code>good</code>" in page
    named = len(lines) == 1 and name in lines[0] and f"Left out: {root / name}" in page
    return named and "\n" not in lines[0] and f"<code>{name}</code>" not in page


@pytest.mark.parametrize("case", TABLES)
def test_a_damaged_table_of_epochs(root, case):
    write(root / "odd" / "metrics.csv", TABLES[case])
    assert is_left_out(root)


@pytest.mark.parametrize("name", ["result.json", "data.json", "recipe.json"])
@pytest.mark.parametrize("case", RECORDS)
def test_a_damaged_record(root, name, case):
    write(root / "odd" / name, RECORDS[case])
    if name == "recipe.json":  # which is read of a run that has not ended
        (root / "odd" / "result.json").unlink()
    assert is_left_out(root)


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": []},
        {"scores": {"val": "0.5"}},
        {"scores": {"val": True}},
        {"scores": {"val": float("inf")}},
        {"scores": {"val": 10**400}},
        {"scores": {"val": -0.5}},
        {"minutes": float("inf")},
        {"scores": {"val": 0.5, "best_epoch": "last"}},
        {"scores": {"val": 0.5, "images": [1]}},
        {"minutes": "1.5"},
        {"device": None},
        {"processes": 2.5},
        {"trained_on": "many"},
        {"command": ["python"]},
        {"data": 3},
        {"recipe": None},
    ],
)
def test_a_result_of_another_shape(root, changes):
    file = root / "odd" / "result.json"
    write(file, json.dumps({**json.loads(file.read_text()), **changes}))
    assert is_left_out(root)


@pytest.mark.parametrize(
    "changes",
    [
        {"problem": "p9"},
        {"problem": ["p1"]},
        {"task": "p1"},
        {"epochs": "ten"},
        {"epochs": 1.5},
        {"mean": None},
        {"augment": None},
        {"augment": [{"kind": "Flop"}]},
        {"seed": True},
        {"optimizer": {}},
        {"schedule": "cosine"},
    ],
)
def test_a_recipe_of_another_shape(root, changes):
    file = root / "odd" / "result.json"
    result = json.loads(file.read_text())
    result["recipe"].update(changes)
    write(file, json.dumps(result))
    assert is_left_out(root)


def test_a_network_that_cannot_be_built_is_said_to_be_of_another_version(root):
    for name in ("good", "odd"):
        file = root / name / "result.json"
        result = json.loads(file.read_text())
        result["recipe"]["arguments"] = {"widths": "wide"}
        write(file, json.dumps(result))
    page = made(root.parent / "report", root)
    assert "is of another version of this program" in page


NUMBERS = {
    "none": {"pca_variance": None, "knn": None, "epochs": None, "confused": None, "iou": None},
    "lists": {"pca_variance": [], "knn": [], "epochs": [3], "confused": [3], "iou": [1]},
    "words": {"pca_variance": ["a"], "knn": "a", "epochs": "a", "confused": "a", "iou": "a"},
    "inner words": {
        "epochs": [{"epoch": 1, "knn_accuracy": "a"}],
        "confused": [{"true": 1, "predicted": 2, "share": "a"}],
        "iou": {"Water": "a"},
    },
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_of_another_shape_are_not_said(root, case):
    write_figures(root / "good" / "figures", {**P1_NUMBERS, **NUMBERS[case]}, P1_PICTURES)
    land = write_run(root / "land", "p3-lite", scored(0.5))
    write_figures(land / "figures", {**P3_NUMBERS, **NUMBERS[case]}, P3_PICTURES)
    page = made(root.parent / "report", root)
    assert page.count('<img src="figures/good/') == len(P1_PICTURES)
    assert page.count('<img src="figures/land/') == len(P3_PICTURES)
    assert "IoU by class" not in page and "Most often" not in page


@pytest.mark.parametrize("notes", [None, "a word", [3], {"a": "b"}])
def test_notes_of_another_shape_are_left_out(root, notes):
    folder = root / "good" / "figures"
    whole = {**write_figures(folder, P1_NUMBERS, P1_PICTURES), "notes": notes}
    (folder / "figures.json").write_text(json.dumps(whole))
    page = made(root.parent / "report", root)
    assert page.count('<img src="figures/good/') == len(P1_PICTURES) and "a word" not in page


def test_a_run_whose_data_cannot_be_looked_for_keeps_its_place(root):
    (root / "good" / "best.pth").touch()
    file = root / "good" / "result.json"
    write(file, json.dumps({**json.loads(file.read_text()), "data": f"/{'x' * 300}/p1_data"}))
    assert "is not here: name it with --data" in made(root.parent / "report", root)


@pytest.mark.parametrize("named", [None, ["pca"], {"pca": "../x.png"}, {"pca": 3}, {"pca": "/x"}])
def test_figures_that_are_not_beside_their_record_are_not_taken(root, named):
    write_figures(root / "good" / "figures", P1_NUMBERS, ("pca",))
    (root / "good" / "x.png").write_bytes(b"x")
    (root / "good" / "figures" / "figures.json").write_text(json.dumps({"figures": named}))
    assert "has no best.pth" in made(root.parent / "report", root)


@pytest.mark.parametrize("name", ["table.csv", "differences.csv", "table.md"])
@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"", b"\0", b"\xff\xfe\xfd", b'"'])
def test_a_damaged_table_of_settings(root, name, content):
    table, lines = root / "p2-compare", []
    write_run(table / "p2-a-s0", "p2-a", scored(0.4))
    (table / "table.csv").write_text(
        "setting,recipe,pre-training,fine-tuning,accuracy,sd,seeds,low,high\n"
        "A,p2-a,none,all,0.4,,1,0.353,0.448\n"
    )
    (table / name).write_bytes(content)
    page = made(root.parent / "report", root, lines.append)
    if name != "table.md" or content[:1] == b"\xff":
        assert len(lines) == 1 and str(table) in lines[0] and "Left out: cannot read" in page
        assert "python -m training compare" in page
    else:
        assert not lines and ".353 to .448" in page


def test_a_folder_whose_name_is_no_utf8(root, tmp_path):
    odd = os.fsdecode(b"\xb8\xea#")
    os.rename(root / "odd", root / odd)
    write_figures(root / odd / "figures", P1_NUMBERS, ("pca",))
    os.rename(root / "good", tmp_path / "elsewhere")
    out = tmp_path / odd
    page = made(out, root)
    assert 'src="figures/%B8%EA%23/pca.png"' in page
    assert (out / "figures" / odd / "pca.png").is_file()


def test_a_link_that_leads_nowhere_and_a_file_in_place_of_a_folder(root):
    (root / "gone").symlink_to(root / "nowhere")
    (root / "file").write_text("no run")
    (root / "good" / "figures").write_text("no folder")
    assert "<code>good</code>" in made(Path(root.parent / "report"), root)
