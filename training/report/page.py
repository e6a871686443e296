"""The page: cover, the answers in order, what is behind them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from training.report import appendix, notes, p1, p2, p3, runs, scores
from training.report.markup import Html, code, join, paragraph, table, tag
from training.report.parts import Sources
from training.report.questions import PROBLEMS, QUESTIONS, Question
from training.report.runs import Found

STYLE = Path(__file__).with_name("style.css")
TITLE = "DLCV homework 1: report"
SMALL = "P3, for a CPU"
SUMMARY = (
    ("P1, model A", "p1-a", "p1-a-report"),
    ("P1, model B", "p1-b", "p1-b-report"),
    ("P2, setting C", "p2-c", "p2-c-report"),
    ("P3, model A", "p3-a", "p3-a-report"),
    ("P3, model B", "p3-b", "p3-b-report"),
    (SMALL, "p3-lite"),
)
BEHIND = (("runs", "All runs"), ("again", "The same again"), ("zoo", "The zoo"))


class Author(NamedTuple):
    """Who made the runs, and what they have to say: HTML by question, see `notes`."""

    name: str
    student: str
    notes: dict[str, Html]


def make(sources: Sources, author: Author, command: str) -> str:
    """Gives the page as one HTML text; its pictures lie beside it.

    Args:
        command: what makes it again.
    """
    found = sources.found
    answers = {**p1.answers(sources), **p2.answers(sources), **p3.answers(sources)}
    body = [_cover(found, author), _contents()]
    for problem, title in PROBLEMS.items():
        body.append(tag("h2", f"{problem}: {title}", id=problem))
        for question in QUESTIONS:
            if question.number.startswith(problem):
                body.append(_section(question, answers[question.number], author))
    body.append(tag("h2", "Behind the numbers", id="behind"))
    behind = (appendix.all_runs(found), appendix.again(found, command), appendix.zoo())
    for (anchor, title), content in zip(BEHIND, behind, strict=True):
        body.append(tag("section", join([tag("h3", title, id=anchor), content])))
    head = join(
        [
            Html('<meta charset="utf-8">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            Html('<link rel="icon" href="data:,">'),
            tag("title", f"{TITLE}{', ' + author.name if author.name else ''}"),
            tag("style", Html(STYLE.read_text(encoding="utf-8"))),
        ]
    )
    page = tag("html", join([tag("head", head), tag("body", join(body, "\n"))]), lang="en")
    return f"<!doctype html>\n{page}\n"


def _cover(found: Found, author: Author) -> Html:
    who = ", ".join(part for part in (author.name, author.student) if part)
    ended = sorted(str(entry.result.get("finished", ""))[:10] for entry in found.finished())
    lines = [tag("h1", TITLE)]
    if who:
        lines.append(paragraph(who, class_="byline"))
    count = len(ended)
    if count:
        said = f"{count} finished run{'s' * (count > 1)}, the last of {ended[-1]}"
        lines.append(paragraph(said, class_="byline"))
    lines.append(author.notes.get(notes.COVER, Html("")))
    lines.append(_summary(found))
    return tag("header", join(lines))


def _summary(found: Found) -> Html:
    rows = []
    for called, *names in SUMMARY:
        group = found.first(*names)
        if called == SMALL and not group:
            continue
        metric = "mIoU" if called.startswith("P3") else "accuracy"
        problem = scores.PROBLEMS[scores.RECIPES[names[0]].task]
        name = code(group.recipe.name) if group else code(names[0])
        learnt = runs.data_in_words(group.entries[0]) if group else "–"
        rows.append((called, name, metric, scores.said(group), learnt, scores.baselines(problem)))
    head = ("", "recipe", "on val", "score", "trained on", "the course’s baselines")
    return table(head, rows, "The scores")


def _contents() -> Html:
    blocks = []
    for problem, title in PROBLEMS.items():
        links = [
            _link(q.number, f"{q.number[-1]}  {q.title}")
            for q in QUESTIONS
            if q.number.startswith(problem)
        ]
        blocks.append(tag("div", join([tag("strong", f"{problem}: {title}"), *links])))
    links = [_link(anchor, title) for anchor, title in BEHIND]
    blocks.append(tag("div", join([tag("strong", "Behind the numbers"), *links])))
    return tag("nav", join(blocks), aria_label="Contents")


def _link(anchor: str, title: str) -> Html:
    return tag("a", title, href=f"#{anchor}")


def _section(question: Question, answer: Html, author: Author) -> Html:
    number = tag("span", question.number, class_="no")
    title = tag("h3", join([number, tag("span", question.title)]), id=question.number)
    words = author.notes.get(question.number)
    if not words and question.place:
        said = f"The author’s words go here: {question.place} (--notes, heading {question.number})."
        words = paragraph(said, class_="place")
    return tag("section", join([title, answer, words or ""]))
