"""Training of BiRefNet as published, for DIS5K.

    python examples/birefnet_recipe.py DIS5K --out runs/birefnet  # DIS-TR and DIS-VD
    python examples/birefnet_recipe.py --smoke                    # on synthetic scenes

Swin-L from ImageNet weights, at 1024 by 1024 pixels, for 500 epochs: AdamW with a
constant learning rate of 1e-4 times the square root of a quarter of the batch, flips,
rotations, changes of brightness, contrast and color, and noise. The objective is the
cross-entropy, IoU and SSIM of four maps, and the gradients of the image; in the last 40
epochs, cross-entropy is left out and IoU fades. The best weights are those with the
highest F-measure, since losses with different weights cannot be compared. Differs from
the authors' code: the augmentation is that of `"strong"`, which zooms as it rotates and
does not sharpen.
"""

import argparse
import math
import tempfile
from pathlib import Path

import dichoseg
from dichoseg.augmentations import gpu_augmentation
from dichoseg.data import open_folders
from dichoseg.objectives.birefnet import birefnet
from dichoseg.training import constant

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("data", type=Path, nargs="?", help="folder with DIS-TR and DIS-VD")
parser.add_argument("--out", type=Path, help="new folder for the run")
parser.add_argument("--batch-size", type=int, default=4, help="batch size, per process")
parser.add_argument("--workers", type=int, default=4, help="processes that load data")
parser.add_argument(
    "--smoke", action="store_true", help="two steps on scenes, with a small backbone"
)
options = parser.parse_args()
train_data: dichoseg.contracts.Samples
val_data: dichoseg.contracts.Samples | None
if options.smoke:
    train_data = dichoseg.SyntheticDataset(2, size=64)
    val_data = dichoseg.SyntheticDataset(1, size=64, seed=1)
    out, batch_size, workers = Path(tempfile.mkdtemp()) / "run", 2, 0
    epochs, last_epochs = 2, 1
    model = dichoseg.create_model("birefnet", backbone="pvt_v2_b0", size=64)
elif options.data is None or options.out is None:
    parser.error("expected DATA and --out OUT, or --smoke")
else:
    train_data, val_data = open_folders(options.data)
    out, batch_size, workers = options.out, options.batch_size, options.workers
    epochs, last_epochs = 500, 40
    # --8<-- [start:model]
    model = dichoseg.create_model("birefnet", backbone="swin_l", pretrained=True)
    # --8<-- [end:model]

# --8<-- [start:fit]
history = dichoseg.fit(
    model,
    train_data,
    val_data=val_data,
    objective=birefnet(task="dis5k", last_epochs=last_epochs),
    augmentation=gpu_augmentation(
        "isnet", affine=0.2, color_jitter=1.0, salt_pepper=1.0
    ),
    epochs=epochs,
    best="quick_max_f",
    batch_size=batch_size,
    optimization=dichoseg.Optimization(
        learning_rate=1e-4 * math.sqrt(batch_size / 4),
        schedule=constant,
        clip_norm=None,
    ),
    workers=workers,
    out=out,
)
# --8<-- [end:fit]
print(history[-1])
