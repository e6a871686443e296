"""The report: one page made of what runs have left on disk. Nothing here trains.

`page.make_report` reads the runs (`groups`), their figures (`figures`), the networks (`trace`,
`describe`, `drawing`) and the author's words (`notes`), and fills `templates/`, one a problem;
`templates/notes.md.j2` lists the questions, `sections` the recipes that answer them; `pdf` prints.
"""
