"""Train on your own images and masks: check, fix, train, score."""

# --8<-- [start:report]
import dichoseg
from dichoseg.augmentations import cpu_augmentation, gpu_augmentation

dataset = dichoseg.FolderDataset("data/im", "data/gt", strict=False)
report = dataset.report()  # lists unpaired files, which are errors if strict=True
print(report)
# --8<-- [end:report]

# --8<-- [start:repair]
dataset = dichoseg.FolderDataset(
    "data/im",
    "data/gt",
    strict=False,
    resize_masks=True,
)
# exclude the samples that are still unusable
dataset = dataset.without(dataset.report().unusable)
training, validation = dataset.split(0.1, seed=0)
# --8<-- [end:repair]

# --8<-- [start:train]
model = dichoseg.create_model("isnet", size=512)
history = dichoseg.fit(
    model,
    training,
    val_data=validation,
    augmentation=gpu_augmentation("isnet"),
    epochs=30,
    batch_size=4,
    out="runs/first",
)
print(dichoseg.evaluate(model, validation))
# --8<-- [end:train]

# --8<-- [start:cpu-augmentation]
# size is the model's
training.transform = cpu_augmentation("dis_tuning", size=512)
dichoseg.fit(model, training, val_data=validation, epochs=30, batch_size=4, workers=4)
# --8<-- [end:cpu-augmentation]

# --8<-- [start:overfit]
trial = dichoseg.create_model("isnet", size=512)
dichoseg.training.overfit(trial, training, batches=1, epochs=50, batch_size=4)
# --8<-- [end:overfit]

# --8<-- [start:cut-outs]
# the alpha channel is the mask
cut_outs = dichoseg.FolderDataset("cut-outs", masks="alpha")
# --8<-- [end:cut-outs]
