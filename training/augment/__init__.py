"""Random augmentations, drawn per image, on the batch's device.

They work on float images (N, 3, H, W) in [0, 1], before normalisation, so that whatever clamps
does so at black and white. Masks (N, H, W) move with their images and are sampled nearest: no
class is ever blended. Nothing is changed in place.

`p` is each image's own chance to be changed. Draws come from torch's global generators, which
`fit` seeds anew for every step: from the CPU's which images a costly operation works on, so that a
GPU is never waited for, and what is put together of many numbers, which would be as many launches
there; all other values from that of the images' device.
"""
