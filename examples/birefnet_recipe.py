"""Training of BiRefNet as published, for DIS5K, which `data` contains.

Swin-L from ImageNet weights, at 1024 by 1024 pixels, for 500 epochs: AdamW with a
constant learning rate of 1e-4 times the square root of a quarter of the batch, flips,
rotations, changes of brightness, contrast and color, and noise. The objective is the
cross-entropy, IoU and SSIM of four maps, and the gradients of the image; in the last 40
epochs, cross-entropy is left out and IoU fades. The best weights are those with the
highest F-measure, since losses with different weights cannot be compared. Differs from
the authors' code: the augmentation is that of `"strong"`, which zooms as it rotates and
does not sharpen.
"""

import math

import dichoseg
from dichoseg.augmentations import gpu_augmentation
from dichoseg.objectives.birefnet import birefnet
from dichoseg.training import constant

BATCH_SIZE = 4  # per process
history = dichoseg.fit(
    dichoseg.create_model("birefnet", backbone="swin_l", pretrained=True),
    "data",
    objective=birefnet(task="dis5k", last_epochs=40),
    augmentation=gpu_augmentation(
        "isnet", affine=0.2, color_jitter=1.0, salt_pepper=1.0
    ),
    epochs=500,
    best="quick_max_f",
    batch_size=BATCH_SIZE,
    optimization=dichoseg.Optimization(
        learning_rate=1e-4 * math.sqrt(BATCH_SIZE / 4),
        schedule=constant,
        clip_norm=None,
    ),
    workers=4,
    out="runs/birefnet",
)
print(history[-1])
