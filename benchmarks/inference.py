"""Compare the published IS-Net in onnxruntime and in dichoseg, on one machine in one run.

    python benchmarks/inference.py isnet.onnx [--photographs FOLDER] [--repeats 5] [--threads 2] [--compile]

The file is an ONNX file of IS-Net at 1024 pixels, as background removal tools use it. Times are of one image through
the network, from the normalized input to the probability, each way in turn; ratios are of medians. The time of only the
convolutions, on the features that they get, is a lower bound. With photographs, the maps in bfloat16 are also compared
with those in float32.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import dichoseg
import dichoseg.runtime.memory
from dichoseg.data.finding import images_and_others

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("file", type=Path, help="IS-Net as ONNX")
parser.add_argument("--photographs", type=Path, help="folder to compare precisions on")
parser.add_argument("--repeats", type=int, default=5)
parser.add_argument("--threads", type=int, default=torch.get_num_threads())
parser.add_argument("--keep-memory", action="store_true", help="as dichoseg predict does")
parser.add_argument("--compile", action="store_true", help="time torch.compile as well")
options = parser.parse_args()
torch.set_num_threads(options.threads)
if options.keep_memory:
    print("memory kept" if dichoseg.runtime.memory.keep_memory() else "memory not kept: no glibc")

model = dichoseg.load_model(options.file)
size = model.preprocessing.size or 1024
net_input = torch.rand(1, 3, size, size) - 0.5
settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = options.threads
session = onnxruntime.InferenceSession(options.file, settings, providers=["CPUExecutionProvider"])
feed = {session.get_inputs()[0].name: net_input.numpy()}
answer = [session.get_outputs()[0].name]
predictors = {
    "float32": dichoseg.Predictor(model, precision="float32"),
    "auto": dichoseg.Predictor(model, precision="auto"),
}
if options.compile:
    predictors["auto, compiled"] = dichoseg.Predictor(model, precision="auto", compile=True)


def plain() -> object:
    """Run the unprepared module, with all of its heads."""
    with torch.inference_mode():
        return model(net_input).logits.sigmoid()


def prepared(predictor: dichoseg.Predictor) -> Callable[[], object]:
    """Return a function that runs the network of a predictor."""
    own_input = net_input.to(predictor.dtype)

    def run() -> object:
        with torch.inference_mode():
            return predictor.probability(own_input)

    return run


def convolutions(predictor: dichoseg.Predictor) -> Callable[[], object]:
    """Return a function that runs only the convolutions of a predictor's network."""
    calls: list[tuple[torch.nn.Module, torch.Tensor]] = []
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: calls.append((module, inputs[0])))
        for module in predictor.model.modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    prepared(predictor)()
    for hook in hooks:
        hook.remove()

    def run() -> object:
        with torch.inference_mode():
            for module, features in calls:
                module(features)
        return None

    return run


ways: dict[str, Callable[[], object]] = {"onnxruntime": lambda: session.run(answer, feed), "plain module": plain}
ways |= {f"Predictor, {name}": prepared(predictor) for name, predictor in predictors.items()}
ways["auto, only convolutions"] = convolutions(predictors["auto"])
times: dict[str, list[float]] = {name: [] for name in ways}
for _ in range(options.repeats + 1):  # the first is a warm-up
    for name, run in ways.items():
        started = time.perf_counter()
        run()
        times[name].append(time.perf_counter() - started)
medians = {name: statistics.median(seconds[1:]) for name, seconds in times.items()}
print(f"{'one image, ' + str(size) + ' pixels':26}{'seconds':>9}{'fastest':>9}{'times onnxruntime':>19}")
for name, median in medians.items():
    print(f"{name:26}{median:9.3f}{min(times[name][1:]):9.3f}{medians['onnxruntime'] / median:19.2f}")

if options.photographs:
    paths = images_and_others(options.photographs)[0][:20]
    differences, overlaps = [], []
    for path in paths:
        exact, near = (predictors[name](path) for name in ("float32", "auto"))
        differences.append(float(np.abs(exact - near).mean()))
        union = ((exact > 0.5) | (near > 0.5)).sum()
        overlaps.append(float(((exact > 0.5) & (near > 0.5)).sum() / union) if union else 1.0)
    print(
        f"auto against float32 on {len(paths)} photographs: mean difference {np.mean(differences):.5f}, largest of one"
    )
    print(f"photograph {max(differences):.5f}; IoU at 0.5 {np.mean(overlaps):.5f}, smallest {min(overlaps):.5f}")
