"""A damaged file of one run leaves that run out, and costs the others nothing."""

import json
import os

import numpy as np
import pytest

from inference import UserError
from tests.training.report.conftest import P1_NUMBERS, scored, write_figures, write_run
from training import keep
from training.classification import answers
from training.finished import Damaged, read_columns, read_json
from training.recipe import recipe_of
from training.report import __main__ as command
from training.report import runs, zoo_page

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
def root(tmp_path, monkeypatch):
    """Give a folder of two runs, of which one is to be damaged."""
    monkeypatch.setattr(zoo_page, "refresh", list)
    for seed, name in enumerate(("good", "odd")):
        write_run(tmp_path / "runs" / name, "p1-a", scored(0.5), seed=seed)
    return tmp_path / "runs"


def write(file, content):
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


def is_left_out(root, capsys, name="odd"):
    """Make a page, and whether it has the good run alone and one line names the other."""
    out = root.parent / "report"
    assert command.main([str(root), "--out", str(out), "--data", str(root.parent)]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "note: left out" in line]
    page = (out / "index.html").read_text()
    assert "<code>good</code>" in page
    return len(said) == 1 and name in said[0] and f"<code>{name}</code>" not in page


@pytest.mark.parametrize("case", TABLES)
def test_a_damaged_table_of_epochs(root, capsys, case):
    write(root / "odd" / "metrics.csv", TABLES[case])
    with pytest.raises(Damaged, match=r"metrics\.csv"):
        read_columns(root / "odd" / "metrics.csv")
    assert is_left_out(root, capsys)
    with pytest.raises(UserError, match=r"metrics\.csv"):  # the command that would go on, too
        keep.add_row(root / "odd" / "metrics.csv", {"epoch": 5, "loss": 1.0})


@pytest.mark.parametrize("name", ["result.json", "data.json", "recipe.json"])
@pytest.mark.parametrize("case", RECORDS)
def test_a_damaged_record(root, capsys, name, case):
    write(root / "odd" / name, RECORDS[case])
    if name == "recipe.json":  # which is read of a run that has not ended
        (root / "odd" / "result.json").unlink()
    with pytest.raises(UserError, match=name):
        read_json(root / "odd" / name)
    assert is_left_out(root, capsys)


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": []},
        {"scores": {"val": "0.5"}},
        {"scores": {"val": True}},
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
def test_a_result_of_another_shape(root, capsys, changes):
    file = root / "odd" / "result.json"
    write(file, json.dumps({**json.loads(file.read_text()), **changes}))
    assert is_left_out(root, capsys)
    with pytest.raises(UserError, match=r"result\.json"):
        answers.finished(root / "odd")


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "p9"},
        {"task": ["p1"]},
        {"epochs": "ten"},
        {"epochs": 1.5},
        {"mean": None},
        {"mean": [0.5]},
        {"mean": ["a", "b", "c"]},
        {"arguments": []},
        {"flip": None},
        {"seed": True},
        {"optimizer": {}},
    ],
)
def test_a_recipe_of_another_shape(root, capsys, changes):
    file = root / "odd" / "result.json"
    result = json.loads(file.read_text())
    result["recipe"].update(changes)
    write(file, json.dumps(result))
    with pytest.raises(UserError, match=r"recipe is of another version|three numbers"):
        recipe_of(result["recipe"])
    assert is_left_out(root, capsys)


def test_a_network_that_cannot_be_built_is_said_to_be_of_another_version(root, capsys):
    for name in ("good", "odd"):
        file = root / name / "result.json"
        result = json.loads(file.read_text())
        result["recipe"]["arguments"] = {"widths": "wide"}
        write(file, json.dumps(result))
    assert command.main([str(root), "--out", str(root / "r")]) == 0
    assert "is of another version of this program" in (root / "r" / "index.html").read_text()


NUMBERS = {
    "another": {"figures": {"pca": "pca.png"}},
    "a list": {**P1_NUMBERS, "epochs": [3]},
    "words": {**P1_NUMBERS, "pca_variance": ["a"]},
    "a path": {**P1_NUMBERS, "figures": {"pca": "../../../x.png"}},
    "a null": {**P1_NUMBERS, "figures": None},
}


@pytest.mark.parametrize("case", NUMBERS)
def test_damaged_numbers_of_figures(root, capsys, case):
    write_figures(root / "good" / "figures", P1_NUMBERS, ("pca",))
    file = root / "good" / "figures" / "figures.json"
    write(file, json.dumps({**json.loads(file.read_text()), **NUMBERS[case]}))
    if case == "another":
        write(file, json.dumps(NUMBERS[case]))
    assert command.main([str(root), "--out", str(root / "r")]) == 0
    assert "has no best.pth" in (root / "r" / "index.html").read_text()


@pytest.mark.parametrize("name", ["table.csv", "differences.csv", "table.md"])
@pytest.mark.parametrize("text", [b"a,b\n1,2\n", b"\0", b"\xff\xfe\xfd", b'"'])
def test_a_damaged_table_of_settings(root, capsys, name, text):
    table = root / "p2-table"
    table.mkdir()
    (table / "table.csv").write_text(
        "setting,recipe,pre-training,fine-tuning,accuracy,sd,seeds,low,high\n"
        "A,p2-a,none,all,0.4,,1,0.353,0.448\n"
    )
    (table / name).write_bytes(text)
    found = runs.find(root)
    if name != "table.md" or text == b"\xff\xfe\xfd":
        assert not found.tables and "p2-table" in found.problems[0]
    assert command.main([str(root), "--out", str(root / "r")]) == 0


def test_a_folder_whose_name_is_no_utf8(root, tmp_path, capsys):
    odd = os.fsdecode(b"\xb8\xea#")
    os.rename(root / "odd", root / odd)
    write_figures(root / odd / "figures", P1_NUMBERS, ("pca",))
    os.rename(root / "good", tmp_path / "elsewhere")
    out = tmp_path / odd
    assert command.main([str(root), "--out", str(out)]) == 0
    page = (out / "index.html").read_bytes().decode("utf-8")
    assert 'src="figures/%B8%EA%23/pca.png"' in page
    assert (out / "figures" / odd / "pca.png").is_file()
    assert capsys.readouterr().out.encode().endswith(b"/index.html\n")


def test_one_damaged_epoch_costs_no_other_picture(tmp_path, monkeypatch):
    from training.classification import features, figures

    labels, taken = np.arange(8) % 2, []

    class Classifier:
        def __init__(self, recipe, weights):
            if weights.name == "epoch-0001.pth":
                raise UserError(f"{weights} is not a checkpoint")
            taken.append(weights.name)

        def features(self, pixels):
            return np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)

    monkeypatch.setattr(features, "Classifier", Classifier)
    folder = write_run(tmp_path / "run", "p1-a", scored(0.5), classes=2, epochs=2)
    for name in ("best.pth", "epoch-0001.pth"):
        (folder / name).touch()
    run = figures.read_run(folder, tmp_path)
    val = figures.Validation([], np.zeros((8, 2, 2, 3), np.uint8), labels, ["0", "1"])
    _, numbers, notes = figures._features(run, val)
    assert taken == ["best.pth"] and len(numbers["epochs"]) == 1
    assert notes == [f"left out {folder / 'epoch-0001.pth'} is not a checkpoint"]
