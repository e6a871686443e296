"""What a command says last, as somebody sees it who started it with torchrun."""

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

LINE = (
    "error: cannot read the folder gone: No such file or directory; give the folder of the images"
)


@pytest.mark.parametrize("rank, printed", [(0, [LINE]), (1, [])])
def test_torchrun_shows_an_error_in_its_report(
    run_here, small_zoo, tmp_path, monkeypatch, rank, printed
):
    left = tmp_path / "error.json"
    for name, value in {"TORCHELASTIC_ERROR_FILE": left, "RANK": rank, "WORLD_SIZE": 1}.items():
        monkeypatch.setenv(name, str(value))
    assert run_here("classify", "gone", tmp_path / "out.csv") == (2, printed)
    failure = ProcessFailure(local_rank=rank, pid=1, exitcode=2, error_file=str(left))
    report = str(ChildFailedError("inference", {rank: failure}))
    assert f"traceback : {LINE}\n" in report


def test_a_report_that_cannot_be_left_is_printed_by_every_process(
    run_here, small_zoo, tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "gone" / "error.json"))
    monkeypatch.setenv("RANK", "1")
    assert run_here("classify", "gone", tmp_path / "out.csv") == (2, [LINE])
