"""Predict masks of photographs that are much larger than the network's input."""

# --8<-- [start:sizes]
import dichoseg
from dichoseg.data import pixel_limit
from dichoseg.photographs import predict_files

dataset = dichoseg.FolderDataset("data/im", "data/gt")
for size in (1024, 1536, 2048):
    model = dichoseg.load_model("isnet-general-use", size=size)
    scores = dichoseg.evaluate(model, dataset, metrics=("mae", "max_f", "mba"))
    print(size, {name: round(score, 4) for name, score in scores.items()})
# --8<-- [end:sizes]

# --8<-- [start:sharpen]
model = dichoseg.load_model("isnet-general-use")
predictor = dichoseg.Predictor(model, sharpen=True)
mask = predictor("photo.jpg")  # (H, W) in [0, 1], at the photograph's own size
# --8<-- [end:sharpen]

# --8<-- [start:folder]
with pixel_limit(500_000_000):  # for files that you trust
    done = predict_files(predictor, ["photographs"], "masks", threads=1)
print(done.text())
# --8<-- [end:folder]
