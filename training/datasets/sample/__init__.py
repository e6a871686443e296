"""A generated `hw1_data/` in the course's layout, to try everything without the course's data.

    write.py       which files there are; writes them over all cores, whole or not at all
    problems.py    the picture of one (problem, split, class, index)
    styles.py      the four styles of the office pictures, the photographic one also for the others
    scene.py       backgrounds, clutter, light: what surrounds an object
    objects.py     object classes: compositions of parts, drawn from a seed, told apart by design
    shapes.py      outlines of parts, and their rasterisation with smooth edges and patterns
    landscapes.py  land seen from above, with its mask of land-cover classes: wild land by
                   landscape_textures.py, worked land by landscape_parcels.py

A picture depends on (seed, problem, split, class, index) alone, so the small scale is a strict
subset of the full one and no picture of one split ever appears in another.
"""
