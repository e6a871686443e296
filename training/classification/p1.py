"""The recipes of P1.

`p1-a-report` and `p1-b-report` are the original report's, kept as the baseline: no normalisation,
a cosine of ten epochs that swings back and forth, 5 % of train held out, stopped after 25 epochs
without a gain, PyTorch's own start.
NOTE: precision is auto, bf16 where the machine is fast in it; the original's was fp32.

The others are ours.
"""

from __future__ import annotations

from training.classification.recipe import Recipe

P1 = {
    # Small and long, half of it at three quarters of the size. No image is held out: the last
    # epoch, when the rate has come down, needs no choice.
    "p1-a": Recipe(
        name="p1-a",
        task="p1",
        network="convnet",
        classes=50,
        epochs=240,
        batch_size=128,
        lr=0.1,
        warmup=0.1,
        weight_decay=5e-4,
        select="last",
        held_out=0.0,
        tta=True,
        early_size=24,
        early=0.5,
        shift=4,
        trivial=1.0,
        cutmix=0.5,
        label_smoothing=0.1,
    ),
    # 12.4 GFLOP an image forward: for a GPU. arguments={"divide":4} makes it 0.8.
    "p1-a-report": Recipe(
        name="p1-a-report",
        task="p1",
        network="report_cnn",
        classes=50,
        initialise="torch",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        epochs=100,
        patience=25,
        batch_size=64,
        optimizer="adamw",
        lr=5e-4,
        lr_min=2.5e-5,
        schedule="cosine_restart",
        period=10,
        weight_decay=0.01,
        decay_all=True,
        ema=0.0,
        size=64,
        cache_size=64,
        rotate=30.0,
    ),
    # ImageNet's weights (torchvision's), every layer trained, the early ones slowly.
    "p1-b": Recipe(
        name="p1-b",
        task="p1",
        network="resnext101_64x4d",
        classes=50,
        pretrained="imagenet",
        epochs=30,
        batch_size=64,
        optimizer="adamw",
        lr=1e-3,
        layer_decay=0.4,
        warmup=0.1,
        weight_decay=0.05,
        ema=0.9995,
        tta=True,
        size=128,
        cache_size=32,
        crop=0.4,
        trivial=0.5,
        cutmix=0.5,
        mixup=0.2,
        label_smoothing=0.1,
    ),
    "p1-b-report": Recipe(
        name="p1-b-report",
        task="p1",
        network="resnext101_64x4d",
        classes=50,
        initialise="torch",
        pretrained="imagenet",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        epochs=100,
        patience=25,
        batch_size=64,
        optimizer="adamw",
        lr=7.5e-5,
        schedule="step",
        period=10,
        gamma=0.1,
        weight_decay=0.01,
        decay_all=True,
        ema=0.0,
        size=100,
        cache_size=100,
        rotate=30.0,
        grey=0.2,
        blur=3,
    ),
}
