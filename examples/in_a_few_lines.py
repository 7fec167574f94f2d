"""Code of the home page: published weights, and a network of your own."""

# --8<-- [start:lines]
import dichoseg
from dichoseg.losses import BCELoss, EdgeBCELoss
from dichoseg.objectives import DeepSupervision, WeightedSum

published = dichoseg.load_model("isnet-general-use")
mask = dichoseg.predict("photo.jpg", published)  # (H, W) in [0, 1]

data = dichoseg.FolderDataset("data/im", "data/gt")
training, validation = data.split(0.2, seed=0)
model = dichoseg.create_model("isnet", encoder="timm:resnet18", decoder="fpn", size=512)
loss = WeightedSum(
    bce=(1.0, DeepSupervision(BCELoss())),
    edge=(0.5, DeepSupervision(EdgeBCELoss())),
)
dichoseg.fit(model, training, objective=loss, val_data=validation, out="runs/a")
print(dichoseg.evaluate(model, validation))
# --8<-- [end:lines]
