"""Imported data is there whole or not at all, and says what it is."""

import json

import pytest

from inference import UserError
from training.__main__ import main
from training.datasets.public import mini_imagenet
from training.datasets.public.place import place
from training.problems import PROBLEMS
from training.publish import scores


def write(folder):
    (folder / "train_50").mkdir()
    (folder / "train_50" / "0_0.png").write_bytes(b"")
    return {"source": "a dataset"}


def test_nothing_is_left_of_what_failed(tmp_path):
    def interrupted(folder):
        write(folder)
        raise KeyboardInterrupt

    def full(folder):
        write(folder)
        raise OSError(28, "No space left on device")

    def forbidden(folder):
        raise PermissionError(13, "Permission denied", str(folder.parent))

    with pytest.raises(UserError, match=r"cannot write .*p1_data .Permission denied.: choose"):
        place(tmp_path / "new/out", "p1_data", forbidden)
    with pytest.raises(KeyboardInterrupt):
        place(tmp_path / "new/out", "p2_data/office", interrupted)
    with pytest.raises(UserError, match=r"p1_data .No space left on device.: choose"):
        place(tmp_path / "new/out", "p1_data", full)
    assert not any(tmp_path.iterdir())


def test_what_is_there_is_never_overwritten(tmp_path):
    assert place(tmp_path, "p1_data", write).endswith("a dataset; images: train_50 1")
    with pytest.raises(UserError, match="p1_data exists and holds a dataset: delete it or"):
        place(tmp_path, "p1_data", write)
    place(tmp_path, "p3_data", write)  # another part of the same hw1_data
    (tmp_path / "p2_data/mini").mkdir(parents=True)
    with pytest.raises(UserError, match="mini exists and holds something else"):
        place(tmp_path, "p2_data/mini", write)
    assert {path.name for path in tmp_path.iterdir()} == {"p1_data", "p2_data", "p3_data"}


def test_generated_data_is_not_mixed_with_it(tmp_path):
    (tmp_path / "SAMPLE_DATA.json").write_text("{}")
    with pytest.raises(UserError, match="holds generated sample data, not to be mixed"):
        place(tmp_path, "p1_data", write)


def test_a_checkpoint_says_what_it_was_trained_on(tmp_path):
    for part in ("p1_data", "p2_data/office", "p2_data/mini", "p3_data"):
        place(tmp_path, part, lambda folder, part=part: {**write(folder), "source": part})
    p1, p2, p3 = (PROBLEMS[name] for name in ("p1", "p2", "p3"))
    assert scores.described(p1, tmp_path / "p1_data", 10) == "p1_data"
    assert scores.described(p2, tmp_path / "p2_data", 65) == "p2_data/office"
    assert scores.described(p3, tmp_path / "p3_data", 7) == "p3_data"
    (tmp_path / "p1_data/DATA.json").write_text(json.dumps([]))
    assert scores.described(p1, tmp_path / "p1_data", 50) == "course data"


def test_the_command_line(tmp_path, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(mini_imagenet, "fill", interrupt)
    assert main(["import-data", "mini-imagenet", str(tmp_path), str(tmp_path / "out")]) == 130
    assert "nothing was written" in capsys.readouterr().err and not any(tmp_path.iterdir())
    for wrong in (["imagenet", "a", "b"], ["cifar10", "a", "b", "--half", "1"]):
        assert main(["import-data", *wrong]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("error: no dataset 'imagenet'; there are: cifar10, cifar100, ")
    assert said[1] == "error: cifar10 takes no --half; it takes --all"
    assert main(["import-data", "office-home", "a", "b", "--domain", "Sketch"]) == 2
    assert "--domain Sketch: there are Art, " in capsys.readouterr().err
    with pytest.raises(SystemExit) as error:
        main(["import-data", "cifar10", "a", "b", "--seed", "-1"])
    assert error.value.code == 2


def test_the_help_says_what_each_dataset_is_read_from(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["import-data", "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert "cifar-100-python.tar.gz" in told and "OfficeHomeDataset_10072016" in told
    assert max(map(len, told.splitlines())) < 100
