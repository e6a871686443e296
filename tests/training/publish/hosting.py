"""What the tests of hosting do and look at."""

from inference import zoo
from inference.zoo.download import download
from training.__main__ import main


def state_of(place):
    """Return what hosting may change: the zoo, its files and pages."""
    return {
        path: path.read_bytes()
        for folder in ("inference/zoo.json", "docs/zoo.md", "README.md", "weights")
        for path in ([place.root / folder] + sorted((place.root / folder).glob("*")))
        if path.is_file()
    }


def publish(capsys, *words):
    """Run `publish` in this process; return its exit status and what it said."""
    status = main(["publish", *map(str, words)])
    return (status, *capsys.readouterr())


def refusal(capsys, place, *words):
    """Run `publish`, which must fail with one line and leave the zoo as it was; return the line."""
    before = state_of(place)
    status, out, err = publish(capsys, *words)
    assert status == 2 and out == "" and err.count("\n") == 1 and err.startswith("error: "), err
    assert state_of(place) == before
    return err


def fetches(place, name="p1-small"):
    """Whether a clone without the weights gets the right ones from the record's urls."""
    (place.root / "weights" / f"{name}.pth").unlink()
    download([name], lambda line: None)
    zoo.check(zoo.record(name))
    return True
