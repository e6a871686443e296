"""The recipes of P1.

`p1-a-report` and `p1-b-report` are the original report's, kept as the baseline: no normalisation,
a cosine of ten epochs that swings back and forth, 5 % of train held out, stopped after 25 epochs
without a gain, PyTorch's own start.
NOTE: precision is auto, bf16 where the machine is fast in it; the original's was fp32.

The others are ours.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from training.augment.augmentations import (
    CutMix,
    Flip,
    GaussianBlur,
    Grayscale,
    MixUp,
    RandomResizedCrop,
    Rotate,
    Shift,
    TrivialAugment,
)
from training.classification import data as classifier_data
from training.classification.losses import CrossEntropy
from training.classification.recipe import ClassificationRecipe
from training.data.labels import Labelled, from_names
from training.engine.claim import Claim
from training.engine.optimizers import SGD, AdamW, Muon
from training.engine.schedules import CosineCycle, Step, WarmupCosine
from training.engine.selection import HeldOut, LastEpoch

_recipe = partial(ClassificationRecipe, problem="p1", classes=50)
_report = partial(
    _recipe,
    init="torch",
    mean=(0.0, 0.0, 0.0),  # pixels as they are, in [0, 1]
    std=(1.0, 1.0, 1.0),
    epochs=100,
    batch_size=64,
    select_epoch_by=HeldOut(0.05, patience=25),
    ema=0.0,
)

RECIPES = {
    # Small and long, half of it at three quarters of the size. No image is held out: the last
    # epoch, when the rate has come down, needs no choice.
    "p1-a": _recipe(
        name="p1-a",
        network="convnet",
        epochs=240,
        batch_size=128,
        optimizer=SGD(lr=0.1, weight_decay=5e-4),
        schedule=WarmupCosine(0.1),
        select_epoch_by=LastEpoch(),
        tta=True,
        small_size=24,
        small_until=0.5,
        augment=(Shift(4), Flip(), TrivialAugment(1.0), CutMix(0.5)),
        loss=CrossEntropy(0.1),
    ),
    # p1-a for an hour of one core. Orthogonal steps learn more in few epochs, with batches twice as
    # large too; augmentation is weaker, since no image is seen often.
    "p1-a-lite": _recipe(
        name="p1-a-lite",
        network="convnet",
        epochs=26,
        batch_size=256,
        optimizer=Muon(lr=0.04, rest_lr=0.14),
        schedule=WarmupCosine(0.1),
        select_epoch_by=LastEpoch(),
        ema=0.99,
        tta=True,
        small_size=24,
        small_until=0.7,
        augment=(Shift(4), Flip(), TrivialAugment(0.5), CutMix(0.5)),
        loss=CrossEntropy(0.1),
    ),
    # 12.4 GFLOP an image forward: for a GPU. arguments={"divide":4} makes it 0.8.
    "p1-a-report": _report(
        name="p1-a-report",
        network="report_cnn",
        optimizer=AdamW(lr=5e-4, weight_decay=0.01, decay_norm_and_bias=True),
        schedule=CosineCycle(period=10, lr_min=2.5e-5),
        size=64,
        augment=(Flip(), Rotate(30.0)),
    ),
    # ImageNet's weights (torchvision's), every layer trained, the early ones slowly.
    "p1-b": _recipe(
        name="p1-b",
        network="resnext101_64x4d",
        pretrained="imagenet",
        epochs=30,
        batch_size=64,
        optimizer=AdamW(lr=1e-3, weight_decay=0.05, layer_decay=0.4),
        schedule=WarmupCosine(0.1),
        ema=0.9995,
        tta=True,
        size=128,
        augment=(
            RandomResizedCrop(0.4, cache=32),
            Flip(),
            TrivialAugment(0.5),
            CutMix(0.5),
            MixUp(0.2),
        ),
        loss=CrossEntropy(0.1),
    ),
    # EfficientNet-Lite0 from ImageNet's weights, for CPUs: a 24th of ResNeXt101's parameters and
    # a fiftieth of its arithmetic. The stem and the first three stages, which see edges alike in
    # every picture, stay as they came: a step takes half as long, and an epoch teaches more.
    "p1-b-lite": _recipe(
        name="p1-b-lite",
        network="efficientnet_lite0",
        pretrained="imagenet",
        # What its weights are used to: (x - 127) / 128 of pixels from 0 to 255
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        epochs=17,
        batch_size=64,
        optimizer=AdamW(lr=1e-3, weight_decay=0.05, layer_decay=0.85),
        schedule=WarmupCosine(0.1),
        select_epoch_by=LastEpoch(),
        ema=0.998,
        tta=True,
        frozen_stages=3,
        size=192,
        small_size=128,
        small_until=0.5,
        augment=(
            RandomResizedCrop(0.5, cache=32),
            Flip(),
            TrivialAugment(0.3),
            CutMix(0.3),
            MixUp(0.1),
        ),
        loss=CrossEntropy(0.1),
    ),
    "p1-b-report": _report(
        name="p1-b-report",
        network="resnext101_64x4d",
        pretrained="imagenet",
        optimizer=AdamW(lr=7.5e-5, weight_decay=0.01, decay_norm_and_bias=True),
        schedule=Step(period=10, gamma=0.1),
        size=100,
        augment=(Flip(), Rotate(30.0), Grayscale(0.2), GaussianBlur(3)),
    ),
}

CIFAR50 = "CIFAR-100: its first 50 classes, 22,500 + 2,500 images"
CIFAR10 = "CIFAR-10: 10 classes, 4,500 + 500 images"
BUSY_CORE = "one core of an AMD EPYC (Zen 4), other work beside"
AMX = "one core of an Intel Xeon with AMX, other work beside"
H100, CORE = (
    "one H100 that several runs shared",
    "one core of an AMD EPYC (Zen 5), other work beside",
)
CLAIMS = {
    "p1-a": [
        Claim(0.796, CIFAR50, BUSY_CORE, 78.6, changes="epochs=40 save_every=2"),
        Claim(0.858, CIFAR10, H100, 1.9, sd=0.013, n=3, changes="classes=10"),
    ],
    "p1-a-lite": [
        # The third took 62.6 minutes of a core of an Intel Xeon without AMX.
        Claim(0.796, CIFAR50, f"{CORE}; one of the three on an Intel Xeon", 26.0, sd=0.003, n=3),
        Claim(
            0.826,
            CIFAR50,
            AMX,
            93.1,
            changes="epochs=72 small_until=0.6 "
            "augment=Shift(4),Flip(),TrivialAugment(0.7),CutMix(0.5)",
        ),
        Claim(
            0.834,
            f"{CIFAR50}, from the weights of the run above",
            CORE,
            34.6,
            changes="epochs=26 small_until=0 lr=0.02 rest_lr=0.07 "
            "pretrained=runs/p1-a-lite-s0/best.pth "
            "augment=Shift(4),Flip(),TrivialAugment(0.7),CutMix(0.5)",
        ),
    ],
    "p1-b-lite": [
        Claim(0.884, CIFAR50, AMX, 102.1),
        Claim(
            0.868,
            CIFAR50,
            BUSY_CORE,
            64.9,
            changes="frozen_stages=0 size=128 small_size=96 small_until=0.6",
        ),
    ],
    "p1-a-report": [
        Claim(0.514, CIFAR50, CORE, 27.8, changes='epochs=10 arguments={"divide":4}'),
        Claim(0.685, CIFAR10, CORE, 90, sd=0.018, n=3, changes='classes=10 arguments={"divide":4}'),
    ],
}


def read(data: Path, part: str) -> Labelled:
    """List the images of `train_50` or `val_50`, whose names tell the class: `{class}_{id}.png`.

    Raises:
        UserError: the layout is not the course's.
    """
    return from_names(data / f"{part}_50")


batches = partial(classifier_data.batches, read)
files = partial(classifier_data.files, read)
evaluate = partial(classifier_data.evaluate, read)
words = partial(classifier_data.words, read)
