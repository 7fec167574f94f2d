"""What `sharpen` does for photographs that are larger than the network's input, in scores and in time.

    python benchmarks/sharpening.py MODEL IMAGES MASKS --size 192 [--count 100] [--threads 2]

Photographs with masks are mostly small, so the network's input is made smaller than they are. Scored against the masks
are the map of the whole photograph, the same sharpened, and that of a network input as large as the photograph, where
the network takes one (`--size` in `dichoseg predict`): what sharpening is to be measured by.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import torch

import dichoseg
from dichoseg.data.folder import FolderDataset
from dichoseg.inference.predictor import to_uint8
from dichoseg.metrics import Evaluator

METRICS = ("mae", "max_f", "weighted_f", "mba", "boundary_iou", "hce")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("images", type=Path)
parser.add_argument("masks", type=Path)
parser.add_argument("--size", type=int, required=True, help="side of the network's input, in pixels")
parser.add_argument("--count", type=int, default=100)
parser.add_argument("--threads", type=int, default=torch.get_num_threads())
options = parser.parse_args()
torch.set_num_threads(options.threads)

dataset = FolderDataset(options.images, options.masks)
count = min(options.count, len(dataset))
model = dichoseg.load_model(options.model)


def at_size(size: int, *, sharpen: bool) -> dichoseg.Predictor:
    """A predictor of another input size."""
    model.preprocessing = dataclasses.replace(model.preprocessing, size=size)
    return dichoseg.Predictor(model, sharpen=sharpen)


longest = max(max(dataset[index].image.shape) for index in range(count))
larger = round(longest / 32) * 32
ways = {
    f"{options.size} pixels": at_size(options.size, sharpen=False),
    f"{options.size} pixels, sharpened": at_size(options.size, sharpen=True),
    f"{larger} pixels": at_size(larger, sharpen=False),
}
print(f"{count} photographs, {longest} pixels at most")
print(f"{'':26}" + "".join(f"{name:>14}" for name in METRICS) + f"{'seconds':>14}")
for name, predictor in ways.items():
    evaluator = Evaluator(metrics=METRICS)
    seconds = 0.0
    for index in range(count):
        image, mask, *_ = dataset[index]
        started = time.perf_counter()
        probability = predictor(image)
        seconds += time.perf_counter() - started
        evaluator.update(to_uint8(probability), (mask[0] > 128 / 255).numpy())
    scores = evaluator.compute()
    print(f"{name:26}" + "".join(f"{scores[metric]:14.4f}" for metric in METRICS) + f"{seconds / count:14.3f}")
