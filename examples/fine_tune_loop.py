"""Plan, train, look at the worst images, correct, train on, compare."""

# --8<-- [start:plan]
import dichoseg
from dichoseg.evaluation import write_worst

proposal = dichoseg.propose("data", weights="u2netp-pth")
print(proposal)
model, arguments = proposal.build()
dichoseg.fit(model, "data", out="runs/planned", **arguments)
# --8<-- [end:plan]

# --8<-- [start:train]
training = dichoseg.FolderDataset("data/train/im", "data/train/gt")
validation = dichoseg.FolderDataset("data/val/im", "data/val/gt")
model = dichoseg.load_model("u2netp-pth")
dichoseg.fit(
    model,
    training,
    val_data=validation,
    base="average",
    epochs=10,
    batch_size=8,
    optimization=dichoseg.Optimization(learning_rate=1e-4),
    out="runs/first",
)

scores = dichoseg.evaluate(model, validation, metrics=("fast",))
for image_scores in scores.worst_first("mae")[:3]:
    print(image_scores["name"], image_scores["mae"])
# worst.csv and worst.jpg
write_worst(model, validation, scores, "runs/first")
# --8<-- [end:train]

# --8<-- [start:more]
corrected = dichoseg.FolderDataset("corrected/im", "corrected/gt")
# lists images that are in both sets: leave them out
print(corrected.report(other=validation))
model = dichoseg.load_model("runs/first")  # the best weights
dichoseg.fit(
    model,
    training.with_pairs(corrected),  # replaces pairs of the same name
    val_data=validation,
    base="average",
    epochs=4,
    batch_size=8,
    optimization=dichoseg.Optimization(learning_rate=3e-5),
    out="runs/second",
)
# --8<-- [end:more]

# --8<-- [start:compare]
for run in ("runs/first", "runs/second"):
    for side in (256, 320, 512):
        model = dichoseg.load_model(run, size=side)
        scores = dichoseg.evaluate(model, validation, metrics=("mae", "max_f"))
        print(run, side, scores)
# --8<-- [end:compare]
