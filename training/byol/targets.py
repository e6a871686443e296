"""What a prediction is compared with: an average of the online network, or that network itself."""

from __future__ import annotations

from dataclasses import dataclass

from training.engine.values import expect_share, expect_word, named

NORMS = {"batch": "the batch", "running": "running statistics"}


@dataclass(frozen=True)
class Momentum:
    """An average of the online network, moved after each step (arXiv 2006.07733).

    Attributes:
        tau: its decay at first; 1 at the end. The authors took .99 for 300 epochs of ImageNet and
            .996 for 1000: the fewer steps, the lower.
        norm: what its BatchNorm normalises by: the batch, as the authors', or the online network's
            running statistics.
    """

    tau: float = 0.996
    norm: str = "batch"

    def __post_init__(self) -> None:
        expect_share(self, "tau")
        expect_word(self, "norm", tuple(NORMS))

    def describe(self) -> str:
        """Return the target in words."""
        norm = f"its BN normalises by {NORMS[self.norm]}"
        return f"the online network’s average, decay {self.tau:g} rising to 1; {norm}"


@dataclass(frozen=True)
class Online:
    """The online network itself, without a gradient: SimSiam (arXiv 2011.10566)."""

    def describe(self) -> str:
        return "the online network itself, without a gradient (SimSiam)"


TARGETS = named(Momentum, Online)
