"""What is said of a name that is nearly right."""

import pytest

from inference.__main__ import main
from inference.spelling import did_you_mean, listed


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("epoch", "epochs"),
        ("batchsize", "batch_size"),
        ("EPOCHS", "epochs"),
        ("adamw", "AdamW"),
        ("real world", "Real World"),
    ],
)
def test_a_name_that_is_near_is_meant(word, meant):
    known = ["keep_epochs", "batch_size", "epochs", "AdamW", "Real World"]
    assert did_you_mean(word, known) == f"; did you mean '{meant}'?"


def test_nothing_is_guessed_where_nothing_is_near():
    assert did_you_mean("zebra", ["epochs", "lr"]) == did_you_mean("a", []) == ""
    assert listed("zebra", ["epochs", "lr"]) == "epochs, lr"


def test_a_name_may_be_meant_that_is_not_listed():
    assert listed("optimizr.lr", ["lr"], ["optimizer.lr"]) == "lr; did you mean 'optimizer.lr'?"


def test_a_mistyped_checkpoint_is_one_line_that_says_which_was_meant(small_zoo, tmp_path, capsys):
    words = ["classify", str(tmp_path), str(tmp_path / "a.csv"), "--model", "p1-smal"]
    assert main(words) == 2 and not (tmp_path / "a.csv").exists()
    _, err = capsys.readouterr()
    assert err.endswith("p3-small; did you mean 'p1-small'?\n") and err.count("\n") == 1
