"""Draw contact sheets of the edge band, of augmentation and of side outputs.

`python examples/look.py --long` trains long enough for informative side outputs: a few
minutes on two cores.
"""

import sys
import tempfile
from pathlib import Path

import torch

import dichoseg

folder = Path(tempfile.mkdtemp())
length, epochs = (256, 10) if "--long" in sys.argv else (16, 1)
small = {
    "channels": [32, 32, 64, 64, 64],
    "mid_channels": [12, 12, 24, 24, 32],
    "strides": [2, 4, 8, 16, 32],
    "stem_channels": 32,
}

# --8<-- [start:augmentation]
scenes = dichoseg.SyntheticDataset(5, size=256, seed=3)  # or a FolderDataset
sheet = dichoseg.visualize.data_sheet(
    scenes,
    preprocessing=dichoseg.Preprocessing(size=256),  # or model.preprocessing
    augmentation=dichoseg.augmentations.gpu_augmentation("dis_tuning"),
    rows=3,
    draws=3,
)
sheet.save(folder / "augmentation.png")
# --8<-- [end:augmentation]

# --8<-- [start:train]
scenes = dichoseg.SyntheticDataset(length, size=128)
models = {}
decoders = {"plain": ("rsu", None), "deconv": ("deconv", {"channels": 32})}
for name, (decoder, decoder_args) in decoders.items():
    torch.manual_seed(0)
    models[name] = dichoseg.create_model(
        "isnet",
        encoder_args=small,
        decoder=decoder,
        decoder_args=decoder_args,
        preprocessing=dichoseg.Preprocessing(size=128),
    )
    dichoseg.fit(
        models[name],
        scenes,
        epochs=epochs,
        batch_size=8,
        optimization=dichoseg.Optimization(learning_rate=3e-3),
    )
# --8<-- [end:train]

# --8<-- [start:side-outputs]
# or read_image(path), read_mask(path)
image, mask, _ = dichoseg.SyntheticDataset(8, size=128, seed=7)[0]
# or for one model: side_outputs(model, image)
sheet = dichoseg.visualize.side_outputs(models, image, mask)
sheet.save(folder / "side_outputs.png")
# --8<-- [end:side-outputs]
print(f"contact sheets in {folder}")
