"""The recipes of P2: the settings A to E, and the supervised backbone.

    A  no pre-training          all of it trained
    B  supervised backbone      all of it trained
    C  self-supervised backbone all of it trained
    D  as B                     backbone frozen
    E  as C                     backbone frozen

One budget and one classifier, of two layers with a BatchNorm between, for all five: epochs, batch
size, augmentation, smoothing, optimiser, schedule, average, mirrored prediction and the
classifier's rate are the same. The backbone's rate alone differs, since what starts at random has
to go further than what is nearly there:

    A     1e-3, as the classifier's
    B, C  .8 of that in the last stage, .8^2 in the one before, ... .8^5 before the first
    D, E  none

A linear layer alone would make D and E hang on the scale of their features, which pre-training
leaves as it comes: on features of one frozen backbone, times .1 and times 10, it reached .395 and
.568 on val, this classifier .581 and .561 (one run each, 60 epochs, no augmentation).

Nothing is held out and nothing chosen: it is the last epoch's weights that count, and val is
measured along the way for the curve alone. B to E start from `pretrained=FILE`.

For a tenth of the labels: `fraction=0.1 repeat=5`, ten images in a hundred, seen five times an
epoch, which makes half as many steps as all labels do. At one seed every setting has the same
images.

`p2-*-report` is the original's fine-tuning: ResNet50's own layer of 1000 outputs, which its BYOL
never trained, before a classifier of three layers; a rate that falls to a tenth after every ten
epochs; stopped after 50 epochs without a gain on val, which also chooses the epoch, so that its
scores flatter.
NOTE: precision is auto, and frozen is frozen; the original's was fp32, and the statistics of its
frozen backbone's BatchNorm moved.
"""

from __future__ import annotations

from dataclasses import replace

from training.classification.recipe import Recipe

A = Recipe(
    name="p2-a",
    task="p2",
    network="resnet50",
    arguments={"head": [512]},
    classes=65,
    epochs=60,
    batch_size=64,
    optimizer="adamw",
    lr=1e-3,
    warmup=0.1,
    weight_decay=0.05,
    ema=0.99,  # of about 100 steps: there are but 1,440 in 60 epochs of 1,550 images
    select="last",
    held_out=0.0,
    tta=True,
    size=128,
    cache_size=160,
    crop=0.3,
    jitter=0.4,
    cutmix=0.3,
    label_smoothing=0.1,
)
TUNED = {"pretrained": "", "layer_decay": 0.8}
FROZEN = {"pretrained": "", "frozen": True}

A_REPORT = Recipe(
    name="p2-a-report",
    task="p2",
    network="resnet50",
    arguments={"logits": 1000, "head": [512, 128]},
    classes=65,
    initialise="torch",
    epochs=200,
    patience=50,
    batch_size=64,
    optimizer="adam",
    lr=3e-4,
    schedule="step",
    period=10,
    gamma=0.1,
    weight_decay=5e-4,
    decay_all=True,
    ema=0.0,
    select="val",
    held_out=0.0,
    size=128,
    cache_size=128,
    rotate=30.0,
    grey=0.2,
)

P2 = {
    "p2-a": A,
    "p2-b": replace(A, name="p2-b", **TUNED),
    "p2-c": replace(A, name="p2-c", **TUNED),
    "p2-d": replace(A, name="p2-d", **FROZEN),
    "p2-e": replace(A, name="p2-e", **FROZEN),
    "p2-a-report": A_REPORT,
    "p2-b-report": replace(A_REPORT, name="p2-b-report", pretrained=""),
    "p2-c-report": replace(A_REPORT, name="p2-c-report", pretrained=""),
    "p2-d-report": replace(A_REPORT, name="p2-d-report", pretrained="", frozen=True),
    "p2-e-report": replace(A_REPORT, name="p2-e-report", pretrained="", frozen=True),
    # A backbone for B and D from the labels of `mini`, where there are some: what
    # `pretrained=runs/p2-supervised-s0/best.pth` takes, the classifier left out. 5 % of train is
    # measured. No label smoothing and no mixtures: they raise the accuracy here and lower that of
    # frozen features elsewhere (arXiv 2010.16402).
    "p2-supervised": Recipe(
        name="p2-supervised",
        task="mini",
        network="resnet50",
        classes=64,
        epochs=100,
        batch_size=128,
        optimizer="adamw",
        lr=1e-3,
        warmup=0.1,
        weight_decay=0.05,
        select="last",
        held_out=0.05,
        size=128,
        cache_size=160,
        crop=0.2,
        jitter=0.4,
        grey=0.1,
    ),
}
