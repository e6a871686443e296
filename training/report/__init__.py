"""The report: one page made of what runs have left on disk, and the zoo's printed tables.

`questions` lists what the page answers; `p1`, `p2` and `p3` answer, from `runs` (what is there),
`scores`, `details` (recipes in words), `trace` and `drawing` (networks) and `figures`; `page` puts
it together, with the author's `notes`. `zoo_page` prints docs/zoo.md and the README's table.
Nothing here trains.
"""
