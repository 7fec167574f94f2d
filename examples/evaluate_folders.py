"""Score one folder of predictions as papers do, two side by side, and a model."""

# --8<-- [start:evaluate]
import dichoseg
from dichoseg.evaluation import compare_folders

scores = dichoseg.evaluate_folders("predictions/a", "data/gt")
print({name: round(score, 3) for name, score in scores.items()})

predictions = {"first": "predictions/a", "second": "predictions/b"}
comparison = compare_folders(predictions, "data/gt")
print(comparison.text())
comparison.write("scores")  # the same files as --out
# --8<-- [end:evaluate]

# --8<-- [start:model]
model = dichoseg.load_model("isnet-general-use")
print(dichoseg.evaluate(model, "data"))
# --8<-- [end:model]
