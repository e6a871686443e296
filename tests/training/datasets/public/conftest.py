"""What the tests of all datasets share."""

import pytest

from training.__main__ import main


@pytest.fixture
def refusal(capsys):
    """Return a function that runs a command which must fail with one line, that it returns."""

    def refusal(*arguments):
        assert main(["import-data", *map(str, arguments)]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), lines
        return lines[0]

    return refusal
