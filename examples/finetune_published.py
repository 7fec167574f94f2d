"""Fine-tune published weights, including ONNX files, on your own images and masks.

    python examples/finetune_published.py isnet-general-use data --out runs/fine
    python examples/finetune_published.py --smoke  # seconds, on synthetic scenes

`data` contains train and val. The script scores the network on data/val at its own
size, trains it on up to --images images of data/train at a smaller size, averages the
last weights with the published ones, and scores it again at its own size. The
validation images are not used to select anything.
"""

import argparse
import copy
import dataclasses
import logging
import tempfile
from pathlib import Path

import torch
from torch.utils.data import Subset

import dichoseg
from dichoseg.augmentations import Compose, RandomBlurPatches, gpu_augmentation
from dichoseg.data import open_folders
from dichoseg.losses import BCELoss, EdgeBCELoss
from dichoseg.objectives import DeepSupervision, WeightedSum
from dichoseg.training import calibrate_batch_norm, freeze_batch_norm, is_uncalibrated

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument(
    "weights",
    nargs="?",
    help="name of published weights, .onnx, .pth, .ckpt, .safetensors, or saved model",
)
parser.add_argument(
    "data", type=Path, nargs="?", help="folder with train and val, each with im and gt"
)
parser.add_argument("--out", type=Path, help="new folder for the run")
parser.add_argument(
    "--name", default="isnet", help="name of the network of the weights"
)
parser.add_argument("--images", type=int, default=200, help="number of training images")
parser.add_argument(
    "--size", type=int, default=384, help="side of the training images in pixels"
)
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--learning-rate", type=float, default=3e-5)
parser.add_argument(
    "--freeze-batch-norm",
    action="store_true",
    help="freeze batch norm instead of calibrating it",
)
parser.add_argument(
    "--smoke",
    action="store_true",
    help="run one step on synthetic scenes, from a new network's weights",
)
options = parser.parse_args()
logging.basicConfig(format="%(message)s", level=logging.INFO)
train_data: dichoseg.contracts.Samples
val_data: dichoseg.contracts.Samples
preprocessing = None
if options.smoke:
    train_data, val_data = (
        dichoseg.SyntheticDataset(4, size=64),
        dichoseg.SyntheticDataset(2, size=64, seed=1),
    )
    options.weights, options.out = (
        Path(tempfile.mkdtemp()) / "isnet.pth",
        Path(tempfile.mkdtemp()) / "run",
    )
    torch.save(dichoseg.create_model("isnet").state_dict(), options.weights)
    options.size, options.epochs, preprocessing = 64, 1, dichoseg.Preprocessing(size=96)
elif not (options.weights and options.data and options.out):
    parser.error("expected WEIGHTS, DATA and --out OUT, or --smoke")
else:
    training, validation = open_folders(options.data)
    if validation is None:
        parser.error(f"{options.data} has no val folder")
    step = max(1, len(training) // options.images)
    train_data, val_data = (
        Subset(training, range(len(training))[::step][: options.images]),
        validation,
    )

# --8<-- [start:load]
model = dichoseg.create_model(
    options.name,
    weights=options.weights,
    preprocessing=preprocessing,
)
own = model.preprocessing  # the published size and normalization
# --8<-- [end:load]
before = dichoseg.evaluate(model, val_data, metrics=("fast",), progress=True)

# --8<-- [start:calibrate]
model.preprocessing = smaller = dataclasses.replace(own, size=options.size)
if options.freeze_batch_norm:
    freeze_batch_norm(model)
elif is_uncalibrated(model):  # an ONNX file folds batch norm into the convolutions
    spread = range(0, len(train_data), max(1, len(train_data) // 16))
    images = torch.cat([smaller.resize(train_data[index][0][None]) for index in spread])
    calibrate_batch_norm(model, smaller.normalize(images))  # the maps do not change
# --8<-- [end:calibrate]

# --8<-- [start:train]
published = copy.deepcopy(model.state_dict())
dichoseg.fit(
    model,
    train_data,
    objective=WeightedSum(
        bce=(1.0, DeepSupervision(BCELoss())),
        edge=(0.5, DeepSupervision(EdgeBCELoss(), side_weight=0.0)),
    ),
    augmentation=Compose(gpu_augmentation("isnet"), RandomBlurPatches()),
    optimization=dichoseg.Optimization(learning_rate=options.learning_rate),
    epochs=options.epochs,
    batch_size=8 if len(train_data) >= 8 else 2,
    out=options.out,
)
# --8<-- [end:train]

# --8<-- [start:average]
averaged = {
    name: (published[name] + value) / 2 if value.is_floating_point() else value
    for name, value in model.state_dict().items()
}
model.load_state_dict(averaged)
model.preprocessing = own
after = dichoseg.evaluate(model, val_data, metrics=("fast",), progress=True)
dichoseg.save_model(model, options.out / "fine-tuned")
# --8<-- [end:average]
for name in ("max_f", "mae"):
    print(f"{name:6} {before[name]:.4f} -> {after[name]:.4f}")
