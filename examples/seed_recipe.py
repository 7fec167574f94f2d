"""Complete, full-length tuning of IS-Net that dichoseg grew out of.

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

# --8<-- [start:seed]
import functools

import torch

import dichoseg
from dichoseg.augmentations import gpu_augmentation
from dichoseg.losses import BCELoss, EdgeBCELoss
from dichoseg.objectives import DeepSupervision, IntermediateSupervision, WeightedSum
from dichoseg.training import constant

train_data, val_data = dichoseg.FolderDataset("data/im", "data/gt").split(0.1, seed=0)
train = functools.partial(
    dichoseg.fit,
    train_data=train_data,
    val_data=val_data,
    augmentation=gpu_augmentation("dis_tuning"),
    optimization=dichoseg.Optimization(
        optimizer=torch.optim.Adam,
        schedule=constant,
    ),
    workers=4,
)

gt_encoder = dichoseg.create_model("isnet_deconv_gt_encoder")
train(
    gt_encoder,
    epochs=487,
    batch_size=14,
    on_epoch=lambda _, row: row["val_loss"] <= 0.20,
    out="runs/seed/gt_encoder",
)

model = dichoseg.create_model("isnet_deconv")
objective = WeightedSum(
    bce=(1.0, DeepSupervision(BCELoss())),
    edge=(1.0, DeepSupervision(EdgeBCELoss(), side_weight=0.0)),
    gt_encoder=(1.0, IntermediateSupervision(gt_encoder)),
)
train(model, objective=objective, epochs=339, batch_size=4, out="runs/seed/network")
# --8<-- [end:seed]
