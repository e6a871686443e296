"""What is read of a run's folder."""

import pytest

from inference import UserError
from training.engine.run_folder import read_metrics


@pytest.mark.parametrize("best", ["inf", "-inf", "nan", "1e400", "0.5", "3", "-1", ""])
def test_a_best_epoch_that_is_none_is_a_damaged_file(tmp_path, best):
    table = tmp_path / "metrics.csv"
    table.write_text(f"epoch,loss,best_epoch\n1,2.0,1\n2,1.0,{best}\n")
    with pytest.raises(UserError, match=r"metrics.csv is damaged: a best_epoch is no epoch of it"):
        read_metrics(table)


@pytest.mark.parametrize("best", ["nan", "0.5", ""])
def test_so_is_one_of_an_older_version(tmp_path, best):
    table = tmp_path / "metrics.csv"
    table.write_text(f"epoch,loss,best_epoch\n0,2.0,0\n1,1.0,{best}\n")
    with pytest.raises(UserError, match=r"cannot read .*metrics.csv: .*; mend or remove it"):
        read_metrics(table)


def test_a_table_of_an_older_version_which_counts_from_0_is_the_same(tmp_path):
    head, older, newer = "epoch,loss,best_epoch\n", "0,2.0,0\n1,1.0,0\n", "1,2.0,1\n2,1.0,1\n"
    for rows in (older, newer):
        (tmp_path / "metrics.csv").write_text(head + rows)
        found = read_metrics(tmp_path / "metrics.csv")
        assert found == {"epoch": [1, 2], "loss": [2.0, 1.0], "best_epoch": [1, 1]}


def test_no_epoch_need_be_the_best(tmp_path):
    table = tmp_path / "metrics.csv"
    table.write_text("epoch,loss,best_epoch\n0,2.0,-1\n1,1.0,1\n")
    assert read_metrics(table)["best_epoch"] == [0, 2]
