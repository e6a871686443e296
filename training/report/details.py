"""A recipe in words: every field that matters, so that nothing is typed by hand."""

from __future__ import annotations

from collections.abc import Sequence

from training.byol.recipes import Recipe as Byol
from training.classification.recipes import Recipe as Classifier
from training.engine.recipe import IMAGENET_MEAN, IMAGENET_STD, Recipe
from training.report.markup import Html, code, join, table
from training.segmentation.recipes import Recipe as Segmenter

STARTS = {
    "he": "He’s start",
    "torch": "PyTorch’s own start",
    "torchvision": "torchvision’s start",
}
PRETRAINED = {
    "": "a pre-trained backbone’s file",
    "imagenet": "ImageNet’s weights",
    "coco": "COCO’s weights",
    "coco_trunk": "COCO’s weights, but for the head",
}
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "lars": "LARS"}
CHOICES = {
    "held_out": "the best on {share} of train, held out",
    "val": "the best on the validation set, which flatters its score",
    "last": "the last, nothing is chosen",
}
LOSSES = {"ce": "cross-entropy", "focal": "focal loss", "ce_dice": "cross-entropy and Dice"}


def compare(recipes: Sequence[tuple[str, Recipe]], name: str) -> Html:
    """Gives a table of recipes side by side.

    Args:
        recipes: what stands above a column, and the recipe.
        name: of the table.
    """
    columns = [rows(recipe) for _, recipe in recipes]
    heads = ["", *(head for head, _ in recipes)]
    labels = dict.fromkeys(label for column in columns for label in column)
    lines = [[label, *(column.get(label, "–") for column in columns)] for label in labels]
    return table(heads, lines, name, class_="details")


def views(task: str) -> str:
    """Says over what a prediction is averaged, if it is."""
    return "over eight flips and turns" if task == "p3" else "with the mirror image’s"


def rows(recipe: Recipe) -> dict[str, object]:
    """Describes a recipe: what is said by what it is said of."""
    special = {Classifier: _classifier, Byol: _byol, Segmenter: _segmenter}[type(recipe)](recipe)
    graded = {
        "Averaged weights": f"decay {recipe.ema:g} a step" if recipe.ema else "no",
        "Prediction": f"the mean {views(recipe.task)}" if recipe.tta else "of the image alone",
    }
    return {
        "Network": _network(recipe),
        "Starts from": _start(recipe),
        **special,
        "Normalisation": _normalisation(recipe),
        "Optimiser": _optimiser(recipe),
        "Learning rate": _rate(recipe),
        "Batch, length": _length(recipe),
        "Epoch chosen": _choice(recipe),
        **({} if isinstance(recipe, Byol) else graded),
        "Precision": {"auto": "bf16 where the machine has it"}.get(
            recipe.precision, recipe.precision
        ),
    }


def _network(recipe: Recipe) -> Html:
    given = ", ".join(f"{key} = {value}" for key, value in recipe.arguments.items())
    given = f" ({given})" if given else ""
    return join([code(recipe.network), f"{given}, {recipe.classes} outputs"])


def _start(recipe: Recipe) -> str:
    rest = STARTS[recipe.initialise]
    if recipe.pretrained == "none":
        return f"nothing: {rest}"
    return f"{PRETRAINED.get(recipe.pretrained, recipe.pretrained)}; the rest: {rest}"


def _normalisation(recipe: Recipe) -> str:
    if (tuple(recipe.mean), tuple(recipe.std)) == (IMAGENET_MEAN, IMAGENET_STD):
        return "by ImageNet’s mean and deviation"
    if not any(recipe.mean) and set(recipe.std) == {1.0}:
        return "none"
    return f"mean {_listed(recipe.mean)}, deviation {_listed(recipe.std)}"


def _optimiser(recipe: Recipe) -> str:
    parts = [OPTIMIZERS[recipe.optimizer]]
    if recipe.optimizer in ("sgd", "lars"):
        nesterov = recipe.nesterov and recipe.optimizer == "sgd"
        parts.append(f"momentum {recipe.momentum:g}" + " (Nesterov)" * nesterov)
    kept = "" if recipe.decay_all else ", not on norms and biases"
    return ", ".join(parts) + f"; weight decay {recipe.weight_decay:g}{kept}"


def _rate(recipe: Recipe) -> str:
    period = f"{recipe.period} {'epochs' if recipe.period_unit == 'epoch' else 'steps'}"
    said = {
        "warm_cosine": f"rising over {_percent(recipe.warmup)} of the steps, then a cosine to "
        f"{recipe.lr_min:g}",
        "step": f"times {recipe.gamma:g} every {period}",
        "cosine_restart": f"a cosine to {recipe.lr_min:g} and back, {period} each way",
        "constant": "constant",
    }[recipe.schedule]
    parts = [f"{recipe.lr:g}", said]
    if recipe.head_lr != 1:
        parts.append(f"the classifier’s times {recipe.head_lr:g}")
    if recipe.stage_factor() != 1:
        parts.append(f"times {recipe.stage_factor():g} from each stage to the one before")
    return "; ".join(parts)


def _length(recipe: Recipe) -> str:
    stopped = f", stopped after {recipe.patience} without a gain" if recipe.patience else ""
    return f"{recipe.batch_size} images, {recipe.epochs} epochs{stopped}"


def _choice(recipe: Recipe) -> str:
    said = CHOICES[recipe.select].format(share=_percent(recipe.held_out))
    if recipe.select == "last" and recipe.held_out:
        said += f"; {_percent(recipe.held_out)} of train are measured"
    return said


def _classifier(recipe: Classifier) -> dict[str, object]:
    size = f"{recipe.size} × {recipe.size}"
    if recipe.early:
        size += f"; {recipe.early_size} in the first {_percent(recipe.early)} of the epochs"
    if recipe.cache_size != recipe.size:
        size += f", cropped from {recipe.cache_size}"
    loss = "cross-entropy"
    if recipe.label_smoothing:
        loss += f", labels smoothed by {recipe.label_smoothing:g}"
    trained = "the classifier alone" if recipe.frozen else "all layers"
    if recipe.fraction < 1 or recipe.repeat > 1:
        trained += f", on {_percent(recipe.fraction)} of the labels, {recipe.repeat} × an epoch"
    return {
        "Input": size,
        "Augmentation": _lines(_varied(recipe)),
        "Loss": loss,
        "Trained": trained,
    }


def _varied(recipe: Classifier) -> list[str]:
    """Lists the random changes of an image, each drawn for it alone."""
    said = {
        "shift": "shift by up to {:g} pixels",
        "crop": "random crop of at least {:.0%} of the area",
        "degrees": "turned by up to {:g}° with it",
        "rotate": "rotation by up to {:g}°",
        "flip": "mirrored, chance {:g}",
        "trivial": "TrivialAugment, strengths up to {:g} of its own",
        "jitter": "brightness, contrast, saturation by {:g}",
        "grey": "grey, chance {:g}",
        "blur": "Gaussian blur, kernel {:g}, sigma 0.1 to 2",
        "cutmix": "CutMix, chance {:g}",
        "mixup": "mixup, chance {:g}",
        "cutout": "a square of {:.0%} of the side covered",
    }
    return [
        words.format(getattr(recipe, key)) for key, words in said.items() if getattr(recipe, key)
    ]


def _byol(recipe: Byol) -> dict[str, object]:
    low, high = recipe.area
    brightness, contrast, saturation, hue = recipe.jitter
    views = [
        f"crop of {low:.0%} to {high:.0%} of the area",
        f"mirrored, chance {recipe.flip:g}",
        f"brightness, contrast, saturation, hue by {brightness:g}, {contrast:g}, {saturation:g}, "
        f"{hue:g}, chance {recipe.jitter_chance:g}",
        f"grey, chance {recipe.grey:g}",
        f"blur, chance {recipe.blur[0]:g} in one view, {recipe.blur[1]:g} in the other",
        f"solarised, chance {recipe.solarise[0]:g} and {recipe.solarise[1]:g}",
    ]
    if recipe.views == "byol_pytorch":
        views = [
            "byol_pytorch’s own, drawn once for a batch",
            f"before them mirrored, chance {recipe.flip:g}",
        ]
    online = recipe.target == "online"
    norm = {"batch": "the batch", "running": "running statistics"}[recipe.target_norm]
    target = (
        "the online network itself, without a gradient (SimSiam)"
        if online
        else (
            f"the online network’s average, decay {recipe.tau:g} rising to 1; its BN normalises by "
            f"{norm}"
        )
    )
    heads = "three layers (SimSiam’s)" if recipe.projector == "simsiam" else "two layers"
    return {
        "Input": f"{recipe.size} × {recipe.size}, from images kept at {recipe.cache_size}",
        "Augmentation": _lines(views),
        "Loss": "2 − 2 cos of each view’s prediction and the other’s projection, both ways",
        "Target": target,
        "Heads": f"projector of {heads}, predictor of two: {recipe.hidden} hidden, "
        f"{recipe.projection} out",
        "Watched": f"k-NN accuracy every {recipe.watch} epochs; stopped where the projections’ "
        f"spread falls below {recipe.collapse:g}",
    }


def _segmenter(recipe: Segmenter) -> dict[str, object]:
    varied = []
    if recipe.crop:
        low, high = recipe.scale
        varied.append(f"crops of {low:g} to {high:g} times their side in the tile")
    if recipe.turn:
        varied.append("one of eight flips and quarter turns")
    if recipe.jitter:
        varied.append(f"brightness, contrast, saturation by {recipe.jitter:g}")
    loss = LOSSES[recipe.loss]
    if recipe.loss == "focal":
        loss += f", exponent {recipe.focusing:g}"
    if recipe.class_weights:
        loss += f", classes weighed {_listed(recipe.class_weights)}"
    loss += "; Unknown is a class" if recipe.unknown == "class" else "; Unknown does not count"
    if recipe.auxiliary:
        loss += f"; plus {recipe.auxiliary:g} times the auxiliary head’s"
    size = f"crops of {recipe.crop} × {recipe.crop}" if recipe.crop else "whole tiles"
    return {"Input": size, "Augmentation": _lines(varied), "Loss": loss}


def _lines(said: Sequence[str]) -> object:
    return join(said, Html("<br>")) if said else "none"


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
