"""A share of the labels, and epochs that go through few images several times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.data.cache import Batches


def part(labels: np.ndarray, indices: Sequence[int], fraction: float, seed: int) -> np.ndarray:
    """Chooses a share of the images of each class, at least one: sorted indices.

    The choice hangs on the labels, the indices and the seed alone, whatever is trained on it, and
    a larger fraction contains a smaller one.

    Args:
        labels: of all images, (N,).
        indices: of the images to choose from.
        fraction: in (0, 1]; 1 leaves everything.
    """
    indices = np.asarray(indices)
    random = np.random.default_rng([seed, len(labels)])
    chosen = []
    for label in np.unique(labels[indices]):
        own = random.permutation(indices[labels[indices] == label])
        chosen.append(own[: max(1, round(fraction * len(own)))])
    return np.sort(np.concatenate(chosen))


class Repeated(Batches):
    """Batches of an epoch that goes through the images `repeat` times, in a new order each time.

    An image is in a batch twice at most.
    """

    def __init__(self, *arguments, repeat: int, **more):
        super().__init__(*arguments, **more)
        self.repeat = repeat

    def __len__(self) -> int:
        return self.repeat * len(self.indices) // self.batch_size

    def parts(self) -> list[np.ndarray]:
        """Gives the indices of this process's part of each batch."""
        orders = [
            np.random.default_rng([self.seed, self.epoch, turn]).permutation(self.indices)
            for turn in range(self.repeat)
        ]
        order = np.concatenate(orders)[: len(self) * self.batch_size]
        return [batch[self.rank :: self.world] for batch in np.split(order, len(self))]
