"""Load a file of published weights, and convert it to a saved model."""

# --8<-- [start:load]
import dichoseg
from dichoseg.weights import convert_weights

model = dichoseg.load_model("isnet-general-use.pth")
mask = dichoseg.predict("photo.jpg", model)  # (H, W) in [0, 1]
# --8<-- [end:load]

# --8<-- [start:convert]
convert_weights("isnet-general-use.onnx", "general")
model = dichoseg.load_model("general")
# --8<-- [end:convert]
