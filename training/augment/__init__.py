"""Random augmentations, drawn per image, on the batch's device.

They work on float images (N, 3, H, W) in [0, 1], before normalisation, so that whatever clamps
does so at black and white. Masks (N, H, W) move with their images and are sampled nearest: no
class is ever blended. Nothing is changed in place.

`p` is the chance of each image to be changed. Draws come from torch's global generators, which
`fit` seeds anew for every step. Two kinds of draws are made on the CPU: which images a costly
operation changes, since reading that from a GPU would mean to wait for it; and what is computed of
many small numbers, since each would be a launch on the GPU. All other values are drawn on the
images' device.
"""
