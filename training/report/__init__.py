"""The report: one page made of what runs have left on disk. Nothing here trains.

`page.make_report` reads the runs (`groups`), their figures (`figures`), the networks (`trace`,
`describe`, `drawing`) and the author's words (`notes`), and fills `templates/`, one a problem;
`sections` lists the questions and the recipes that answer them.
"""
