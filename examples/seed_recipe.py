"""Complete, full-length tuning of IS-Net that dichoseg grew out of.

    python examples/seed_recipe.py data --out runs/seed  # im and gt, or train and val
    python examples/seed_recipe.py --smoke               # seconds, on synthetic scenes

1. Train the deconv GT encoder on the masks: batches of 14, for 487 epochs or until a
   validation loss of 0.20.
2. Train the deconv network on the images for 339 epochs. The loss is the cross-entropy
   of all seven maps, the cross-entropy on the mask's edge, and the squared error
   between six features and those of the GT encoder.

Both use flips, quarter turns, crops from 1280 to 1024 pixels, elastic deformation and
photometric changes; images also get five blurred patches on the mask's border. Differs
from the tuning's own code, whose bugs are fixed here: images are RGB, not BGR; losses
take logits; the GT encoder stays frozen in eval mode; an image without foreground is
not an error.
"""

import argparse
import functools
import tempfile
from pathlib import Path

import torch

import dichoseg
from dichoseg.augmentations import gpu_augmentation
from dichoseg.data import open_folders
from dichoseg.losses import BCELoss, EdgeBCELoss
from dichoseg.objectives import DeepSupervision, IntermediateSupervision, WeightedSum
from dichoseg.training import constant

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument(
    "data", type=Path, nargs="?", help="folder with im and gt, or with train and val"
)
parser.add_argument("--out", type=Path, help="new folder for both runs")
parser.add_argument(
    "--size", type=int, default=1024, help="side of the networks' input in pixels"
)
parser.add_argument(
    "--batch-size", type=int, default=4, help="batch size of the image network"
)
parser.add_argument(
    "--workers", type=int, default=4, help="number of processes that load data"
)
parser.add_argument("--device", help="device, such as cuda")
parser.add_argument(
    "--smoke",
    action="store_true",
    help="run a few steps on synthetic scenes of 64 pixels",
)
options = parser.parse_args()
train_data: dichoseg.contracts.Samples
val_data: dichoseg.contracts.Samples
if options.smoke:
    train_data, val_data = (
        dichoseg.SyntheticDataset(6, size=80),
        dichoseg.SyntheticDataset(2, size=80, seed=1),
    )
    out = options.out or Path(tempfile.mkdtemp())
    size, workers, gt_encoder_epochs, epochs = 64, 0, 2, 1
elif options.data is None or options.out is None:
    parser.error("expected DATA and --out OUT, or --smoke")
else:
    training, validation = open_folders(options.data)
    train_data, val_data = (
        (training, validation) if validation else training.split(0.1, seed=0)
    )
    out, size, workers, gt_encoder_epochs, epochs = (
        options.out,
        options.size,
        options.workers,
        487,
        339,
    )


def create(name: str) -> dichoseg.contracts.Model:
    """Create one of the two networks for the chosen size."""
    preprocessing = dichoseg.Preprocessing(
        size=size,
        mean=(0.0,),
        source="mask" if name.endswith("gt_encoder") else "image",
    )
    return dichoseg.create_model(name, preprocessing=preprocessing)


# --8<-- [start:seed]
train = functools.partial(
    dichoseg.fit,
    train_data=train_data,
    val_data=val_data,
    augmentation=gpu_augmentation("dis_tuning"),
    optimization=dichoseg.Optimization(
        optimizer=torch.optim.Adam,
        schedule=constant,
    ),
    workers=workers,
    device=options.device,
)

gt_encoder = create("isnet_deconv_gt_encoder")
train(
    gt_encoder,
    epochs=gt_encoder_epochs,
    batch_size=min(14, len(train_data)),
    on_epoch=lambda _, row: row["val_loss"] <= 0.20,
    out=out / "gt_encoder",
)

model = create("isnet_deconv")
objective = WeightedSum(
    bce=(1.0, DeepSupervision(BCELoss())),
    edge=(1.0, DeepSupervision(EdgeBCELoss(), side_weight=0.0)),
    gt_encoder=(1.0, IntermediateSupervision(gt_encoder)),
)
history = train(
    model,
    objective=objective,
    epochs=epochs,
    batch_size=options.batch_size,
    out=out / "network",
)
# --8<-- [end:seed]
first, last = history[0]["loss"], history[-1]["loss"]
print(f"loss {first:.3f} -> {last:.3f}; scores {dichoseg.evaluate(model, val_data)}")
