"""Names of checkpoints: what is refused before it can fail on another machine."""

import dataclasses

import pytest

from inference import UserError
from training.problems import RECIPES
from training.publish.names import expect_usable


def named(name, **changes):
    changes = {"file": f"{name}.pth", **changes}
    return dataclasses.replace(RECIPES["p1-a"].record(), name=name, **changes)


THERE = {
    record.name: record
    for record in (
        named("p1-a"),
        named("P2_c", task="p2"),
        named("odd", file="own.pth"),
    )
}


@pytest.mark.parametrize("name", ["p1-a", "mine", "p1-a.v2", "3", "A_b-c", "x" * 60, "console"])
def test_a_name_for_every_machine(name):
    expect_usable(named(name), THERE)


@pytest.mark.parametrize(
    "name, reason",
    [
        ("", "letters a-z"),
        ("a/b", "a name without / is needed"),
        ("..\\a", "a name without / is needed"),
        (".hidden", "letters a-z"),
        ("-x", "letters a-z"),
        ("_x", "letters a-z"),
        ("x.", "letters a-z"),
        ("a b", "letters a-z"),
        ("a\nb", "letters a-z"),
        ("a\n", "letters a-z"),
        ("..", "letters a-z"),
        ("été", "letters a-z"),
        ("p１", "letters a-z"),
        ("a:b", "letters a-z"),
        ("x" * 61, "it has 61 letters"),
        ("x" * 300, "it has 300 letters"),
        ("nul", "Windows"),
        ("COM1.v2", "Windows"),
        ("dependencies", "torch.hub takes that word"),
        ("p1_a", "would take it for p1-a"),
        ("P1-A", "would take it for p1-a"),
        ("p2-C", "would take it for P2_c"),
        ("own", "its file would be own.pth, which is odd's"),
        ("P2_c", "is a checkpoint of p2: choose another --name"),
    ],
)
def test_names_that_would_fail_somewhere(name, reason):
    with pytest.raises(UserError) as raised:
        expect_usable(named(name), THERE)
    assert reason in str(raised.value) and str(raised.value).isprintable()
    assert len(str(raised.value)) < 250
