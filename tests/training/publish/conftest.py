"""What the tests of publishing share."""

import shutil

import pytest

from inference import zoo
from training.publish import zoo_page


@pytest.fixture
def authors(repository, monkeypatch):
    """Return a repository of its own with printed pages, whose zoo this process uses."""
    shutil.copy(zoo_page.ROOT / "README.md", repository.root)
    (repository.root / "docs").mkdir()
    monkeypatch.setattr(zoo, "ZOO", repository.zoo)
    monkeypatch.setattr(zoo_page, "ROOT", repository.root)
    zoo_page.refresh()
    return repository
