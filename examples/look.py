"""Draw contact sheets of the edge band, of augmentation and of side outputs.

It trains two small networks on synthetic scenes, a few minutes on two cores.
"""

# --8<-- [start:augmentation]
import torch

import dichoseg
from dichoseg.augmentations import gpu_augmentation

data = dichoseg.FolderDataset("data/im", "data/gt")
sheet = dichoseg.visualize.data_sheet(
    data,
    preprocessing=dichoseg.Preprocessing(size=512),  # or model.preprocessing
    augmentation=gpu_augmentation("dis_tuning"),
    rows=3,
    draws=3,
)
sheet.save("augmentation.png")
# --8<-- [end:augmentation]

# --8<-- [start:train]
small = {
    "channels": [32, 32, 64, 64, 64],
    "mid_channels": [12, 12, 24, 24, 32],
    "strides": [2, 4, 8, 16, 32],
    "stem_channels": 32,
}
scenes = dichoseg.SyntheticDataset(256, size=128)
models = {}
for name, decoder in (("plain", "rsu"), ("deconv", "deconv(channels=32)")):
    torch.manual_seed(0)
    models[name] = dichoseg.create_model(
        "isnet", encoder_args=small, decoder=decoder, size=128
    )
    dichoseg.fit(
        models[name],
        scenes,
        epochs=10,
        batch_size=8,
        optimization=dichoseg.Optimization(learning_rate=3e-3),
    )
# --8<-- [end:train]

# --8<-- [start:side-outputs]
# or read_image(path), read_mask(path)
image, mask, _ = dichoseg.SyntheticDataset(8, size=128, seed=7)[0]
# or for one model: side_outputs(model, image)
sheet = dichoseg.visualize.side_outputs(models, image, mask)
sheet.save("side_outputs.png")
# --8<-- [end:side-outputs]
