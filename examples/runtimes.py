"""Predict with onnxruntime instead of torch, and measure which is faster here."""

# --8<-- [start:runtime]
import dichoseg
from dichoseg.inference import benchmark

model = dichoseg.load_model("isnet-general-use")
predictor = dichoseg.Predictor(model, runtime="onnxruntime")
mask = predictor("photo.jpg")
# --8<-- [end:runtime]

# --8<-- [start:benchmark]
if __name__ == "__main__":  # each way runs in a process of its own
    result = benchmark("isnet-general-use", repeat=5)
    print(result.text())
    best = result.best  # a Timing; another of these is in result.timings
    print(best.runtime, best.precision, f"{best.latency:.2f} s")
# --8<-- [end:benchmark]
