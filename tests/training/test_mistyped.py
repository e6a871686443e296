"""Names that are nearly right, on the command line: one line says which was meant."""

import pytest

from training.__main__ import main

WORDS = {
    "p1-a": ["fit", "p1a", "--data", "."],
    "p3-b-lite": ["fit", "p3-b-light", "--data", "."],
    "epochs": ["fit", "p1-a", "--data", ".", "epoch=3"],
    "cutmix.p": ["fit", "p1-a", "--data", ".", "cutmix.prob=0.1"],
    "optimizer.lr": ["fit", "p1-a", "--data", ".", "optimiser.lr=0.1"],
    "AdamW": ["fit", "p1-a", "--data", ".", "optimizer=AdanW"],
    "weight_decay": ["fit", "p1-a", "--data", ".", "optimizer=AdamW(weightdecay=0.1)"],
    "TrivialAugment": ["fit", "p1-a", "--data", ".", "augment=Flip(),TrivalAugment()"],
    "torchvision": ["fit", "p1-a", "--data", ".", "init=torch-vision"],
    "true": ["fit", "p1-a", "--data", ".", "tta=True"],
    "p2-c": ["compare", "p2c", "--data", "."],
    "seed": ["compare", "p2-a", "--data", ".", "seeds=3"],
    "p3-small": ["publish", "p3-smal"],
    "p2-small": ["export", "p2_small", "a.onnx"],
    "cifar100": ["import-data", "cifar-100", ".", "out"],
    "Real World": ["import-data", "office-home", ".", "out", "--domain", "RealWorld"],
}


@pytest.mark.parametrize("meant", WORDS)
def test_a_mistyped_name_is_one_line_that_says_which_was_meant(
    small_zoo, tmp_path, monkeypatch, capsys, meant
):
    monkeypatch.chdir(tmp_path)
    assert main(WORDS[meant]) == 2
    out, err = capsys.readouterr()
    assert err.endswith(f"; did you mean '{meant}'?\n") and err.startswith("error: ")
    assert out == "" and err.count("\n") == 1 and list(tmp_path.iterdir()) == []


OPTIONS = {
    "did you mean '--data'?": ["fit", "p1-a", "--date", "p1_data"],
    "did you mean '--backbone-sl'?": ["compare", "--data", ".", "--backbone-slx=a.pth"],
    "fields of a recipe have no dashes: epochs=3": ["fit", "p1-a", "--data", ".", "--epochs", "3"],
    "; there are: --out, --data, ": ["report", "runs", "--all"],
}


@pytest.mark.parametrize("end", OPTIONS)
def test_an_option_that_is_none_lists_those_there_are(capsys, end):
    with pytest.raises(SystemExit) as stop:
        main(OPTIONS[end])
    assert stop.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert ": error: no option '--" in said and "; there are: --" in said and end in said


@pytest.mark.parametrize("flag", ["--data", "--dat"])
def test_the_beginning_of_an_option_is_enough(tmp_path, capsys, flag):
    assert main(["fit", "p1-a", flag, str(tmp_path / "none"), "--out", str(tmp_path / "a")]) == 2
    assert f"no folder {tmp_path / 'none'}" in capsys.readouterr().err


def test_a_mistyped_command_lists_them_and_says_which_was_meant(capsys):
    with pytest.raises(SystemExit) as end:
        main(["publsh", "p1-a"])
    assert end.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "no command 'publsh'; there are: fit, " in said
    assert said.endswith("recipes; did you mean 'publish'?")
