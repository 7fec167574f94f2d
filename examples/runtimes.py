"""Predict with onnxruntime instead of torch, and measure which is faster here."""

import os
import tempfile
from pathlib import Path

import numpy as np

import dichoseg
from dichoseg.inference import benchmark

folder = Path(tempfile.mkdtemp())
os.environ["DICHOSEG_HOME"] = str(folder)  # where exported files are kept
photograph = dichoseg.SyntheticDataset(1, size=128)[0].image
small = {
    "channels": [8, 16],
    "mid_channels": [4, 8],
    "strides": [2, 4],
    "stem_channels": 8,
}
model = dichoseg.create_model("isnet", encoder_args=small, size=64)
dichoseg.save_model(model, folder / "mine")

# --8<-- [start:runtime]
predictor = dichoseg.Predictor(model, runtime="onnxruntime")
mask = predictor(photograph)
# --8<-- [end:runtime]
difference = np.abs(mask - dichoseg.predict(photograph, model)).max()
print(f"onnxruntime differs from torch by {difference:.1g}")

# --8<-- [start:benchmark]
if __name__ == "__main__":  # each way runs in a process of its own
    result = benchmark(folder / "mine", repeat=2)
    print(result.text())
    best = result.best  # a Timing; another of these is in result.timings
    print(best.runtime, best.precision, f"{best.latency:.2f} s")
# --8<-- [end:benchmark]
