"""Train a GT encoder on masks, then supervise an image network's features with it."""

import dichoseg
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision, IntermediateSupervision, WeightedSum

small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}
model = dichoseg.create_model(
    "isnet", encoder_args=small, preprocessing=dichoseg.Preprocessing(size=64)
)
data = dichoseg.SyntheticDataset(8, size=64)

# --8<-- [start:gt-encoder]
# its input is the mask
gt_encoder = dichoseg.fit_gt_encoder(model, data, epochs=2, batch_size=4)

objective = WeightedSum(
    bce=(1.0, DeepSupervision(BCELoss())),
    gt_encoder=(1.0, IntermediateSupervision(gt_encoder)),
)
history = dichoseg.fit(model, data, objective=objective, epochs=2, batch_size=4)
# --8<-- [end:gt-encoder]
print({name: round(value, 3) for name, value in history[-1].items()})
