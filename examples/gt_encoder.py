"""Train a GT encoder on masks, then supervise an image network's features with it."""

# --8<-- [start:gt-encoder]
import dichoseg
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision, IntermediateSupervision, WeightedSum

data = dichoseg.FolderDataset("data/im", "data/gt")
training, validation = data.split(0.1, seed=0)
model = dichoseg.create_model("isnet", size=512)

# its input is the mask
gt_encoder = dichoseg.fit_gt_encoder(model, training, epochs=10, batch_size=8)

objective = WeightedSum(
    bce=(1.0, DeepSupervision(BCELoss())),
    gt_encoder=(1.0, IntermediateSupervision(gt_encoder)),
)
dichoseg.fit(
    model,
    training,
    val_data=validation,
    objective=objective,
    epochs=30,
    batch_size=4,
    out="runs/supervised",
)
# --8<-- [end:gt-encoder]
