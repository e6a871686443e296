"""What the page answers, in the order of the original report."""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    """A question by its number (`P1.1`), and the place for the author's words on it.

    Attributes:
        place: what the author might say; empty where numbers say it all.
    """

    number: str
    title: str
    place: str = ""


PROBLEMS = {
    "P1": "Image classification",
    "P2": "Self-supervised pre-training",
    "P3": "Land-cover segmentation",
}
QUESTIONS = (
    Question("P1.1", "The network of model A"),
    Question("P1.2", "The accuracy of both models on the validation set"),
    Question("P1.3", "How model A was trained", "why it was trained this way"),
    Question("P1.4", "Model B, and how it differs from A", "what makes the difference"),
    Question("P1.5", "PCA of model A’s second-last layer", "what the picture shows"),
    Question("P1.6", "t-SNE of the same layer at three epochs", "what changes from first to last"),
    Question("P1.7", "Beyond: learning curves, confusions, mistakes"),
    Question("P2.1", "How the backbone was pre-trained", "the method, and why"),
    Question("P2.2", "Five ways to fine-tune, compared", "an analysis of the five settings"),
    Question("P2.3", "Beyond: how the pre-training went, and what is mistaken"),
    Question("P3.1", "The network of model A, VGG16-FCN32s"),
    Question("P3.2", "The network of model B, and the difference", "what the difference does"),
    Question("P3.3", "The mIoU of both models on the validation set"),
    Question("P3.4", "Predicted masks in the course of training", "what the masks show"),
    Question("P3.5", "Beyond: each class, confusions, the worst tiles"),
)
BY_NUMBER = {question.number: question for question in QUESTIONS}
