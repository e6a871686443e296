"""A checkpoint of the zoo for use from Python: `inference.load`."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable

import numpy as np

from inference import UserError, images, predict, zoo


def load(name: str, weights: Path | str | None = None, **settings) -> Model:
    """Load a checkpoint, verified and ready to predict.

        net = inference.load("p1-a", device="cpu")
        labels = net.predict(["0000.png", "0001.png"])

    Args:
        name: of the record; `python3 -m inference list` shows them.
        weights: your own state dict for its network, in place of its file.
        **settings: device, precision, tta, as on the command line; batch_size, of images that are
            predicted at a time, in place of what was measured to be fast.

    Raises:
        UserError: no such checkpoint, its file is missing or damaged; no such device or precision.
    """
    weights = None if weights is None else Path(weights)
    return Model(zoo.record(name), predict.Settings(model=name, weights=weights, **settings))


class Model:
    """A network with all that a prediction needs.

    Attributes:
        record: its record in the zoo.
        names: of the classes, in the order of their numbers; none where nobody knows them.
        network: the `torch.nn.Module`, in eval mode, on its device, in its precision; on a CPU
            its layers may be fused, for predictions alone. `zoo.load` gives it as it was trained.
    """

    def __init__(self, record: zoo.Record, settings: predict.Settings) -> None:
        self.record = record
        self.names = predict.class_names(record, settings)
        self._runner = predict.load_runner(record, settings)
        self.network = self._runner.network

    def predict(
        self, paths: Iterable[Path | str], names: bool = False
    ) -> list[int] | list[str] | list[np.ndarray]:
        """Read images and predict them, in their order; of a damaged one what can be decoded.

        Args:
            names: answer with the classes' names in place of their numbers.

        Returns:
            Classes; of a segmentation network masks, uint8 (H, W), class indices 0-6.

        Raises:
            UserError: an image cannot be read, or `paths` is a single one; no names are known,
                or a mask's are asked for.
        """
        if names:
            self._expect_names()
        if isinstance(paths, (str, Path)):  # a word's letters would be looked for as files
            raise UserError(f"predict takes a list of images: give [{str(paths)!r}]")
        listed = [Path(path) for path in paths]
        pixels = predict.read(listed, self.record, damaged=True)
        found = []
        for path, classes in predict.forward(zip(listed, pixels), self._runner, self.record):
            if isinstance(classes, Exception):
                why = images.reason(classes)
                raise UserError(f"cannot read {path}: {why}; mend it, or leave it out")
            found.append(classes if self.record.task == "p3" else int(classes))
        return [self.names[label] for label in found] if names else found

    def _expect_names(self) -> None:
        name = self.record.name
        if self.record.task == "p3":
            raise UserError(
                f"{name} answers with masks, whose pixels are numbers: leave out names=True; its "
                "`names` says what they mean"
            )
        if not self.names:
            what = "own weights say" if self.record.names else f"record of {name} says"
            raise UserError(
                f"the {what} no names of classes: leave out names=True, or publish with --names"
            )
