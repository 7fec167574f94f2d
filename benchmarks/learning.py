"""Scores of networks after the same training time from random weights, and an overfitting test on 16 images.

    python benchmarks/learning.py DATA --networks isnet birefnet_lite --minutes 15 --out FOLDER
    python benchmarks/learning.py DATA --networks swin+deconv --overfit 16 --minutes 5 --out FOLDER

DATA holds images and masks, with train and val for the first command. Each network trains with its own objective in a
separate process with one thread, all of `--networks` at the same time. Minutes count the CPU time of the steps, so that
other load on the machine does not change the result. Images are resized once and kept in memory; the learning rate is
constant, and the last weights are scored. With `--overfit N`, training ends at `quick_max_f` above 0.99 on the N
images, which are then scored. FOLDER gets a JSON file with the curve of each network; `learning.png` shows all.
"""

import argparse
import concurrent.futures
import dataclasses
import itertools
import json
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

import dichoseg
from dichoseg.augmentations import gpu_augmentation
from dichoseg.contracts import Model, Objective, Sample, Samples
from dichoseg.data import open_folders
from dichoseg.decoders import BilateralReferenceDecoder, DeconvDecoder, PyramidDecoder
from dichoseg.encoders import ImageReference, RSUEncoder, SwinEncoder, TimmEncoder
from dichoseg.losses import BCELoss
from dichoseg.metrics import OnlineMetrics
from dichoseg.models import Segmenter
from dichoseg.objectives import DeepSupervision, IntermediateSupervision, WeightedSum
from dichoseg.objectives.birefnet import birefnet
from dichoseg.objectives.inspyrenet import inspyrenet
from dichoseg.objectives.multi_view import MultiViewSupervision
from dichoseg.runtime.memory import keep_memory
from dichoseg.training import Batches, adamw, fit_gt_encoder

ENOUGH = 0.99
POINTS = 10
"""Number of points of a curve."""
SHOWN = 40
"""Number of images on which each point is measured."""
METRICS = ("mae", "max_f", "weighted_f", "s_measure", "mba")
SMALL = {"channels": (64,) * 5, "mid_channels": (16,) * 5, "strides": (2, 4, 8, 16, 32)}


class Arm(NamedTuple):
    """One network and its training settings."""

    make: Callable[[int], Model]
    objective: Callable[[Model, Samples], Objective | None]
    learning_rate: float = 3e-4
    batch_size: int = 8


def small_encoder() -> RSUEncoder:
    """Create an encoder of U²-Net's small widths, after IS-Net's strided convolution."""
    return RSUEncoder(**SMALL)


def bilateral(size: int) -> Model:
    """Create a timm backbone with BiRefNet's decoder, which also gets the image."""
    encoder = ImageReference(TimmEncoder("convnext_atto"))
    return Segmenter(encoder, BilateralReferenceDecoder(encoder.feature_info))


def swin_deconv(size: int) -> Model:
    """Create Swin-T with a plain deconvolution decoder."""
    encoder = SwinEncoder("tiny")
    return Segmenter(encoder, DeconvDecoder(encoder.feature_info))


def small_pyramid(size: int) -> Model:
    """Create a small RSU encoder with InSPyReNet's decoder."""
    encoder = small_encoder()
    return Segmenter(encoder, PyramidDecoder(encoder.feature_info, width=32, base_size=size))


def default(model: Model, data: Samples) -> None:
    """Return None, for the default objective of `fit`."""


def with_gt_encoder(model: Model, data: Samples) -> Objective:
    """Train a GT encoder; return cross-entropy and supervision of the decoder's features by it."""
    gt_encoder = fit_gt_encoder(model, data, epochs=20, batch_size=8)
    return WeightedSum(
        bce=(1.0, DeepSupervision(BCELoss())),
        gt_encoder=(1.0, IntermediateSupervision(gt_encoder)),
    )


ARMS = {
    "isnet": Arm(lambda size: dichoseg.create_model("isnet", size=size), default, 1e-3),
    "birefnet_lite": Arm(
        lambda size: dichoseg.create_model("birefnet_lite", size=size), lambda model, data: birefnet(task="general")
    ),
    "pyramid": Arm(small_pyramid, lambda model, data: inspyrenet(), 1e-3),
    "inspyrenet": Arm(
        lambda size: dichoseg.create_model("inspyrenet", backbone="res2net50", base_size=size),
        lambda model, data: inspyrenet(),
    ),
    "mvanet": Arm(
        lambda size: dichoseg.create_model("mvanet", size=size), lambda model, data: MultiViewSupervision(), 1e-4, 4
    ),
    "convnext+bilateral": Arm(bilateral, with_gt_encoder, 1e-3),
    "swin+deconv": Arm(swin_deconv, default),
}


def in_memory(data: Samples, model: Model, count: int) -> list[Sample]:
    """Return samples at the model's size, so that training does not wait for files."""
    samples = []
    for index in range(count):
        image, mask, *_ = data[index]
        image = model.preprocessing.resize(image[None])[0]
        mask = torch.nn.functional.interpolate(mask[None], size=image.shape[-2:], mode="area")[0]
        samples.append(Sample(image, mask, str(index)))
    return samples


def train(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Train one network until the time is up or it overfits the images; return its scores and its curve."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_memory()
    arm = ARMS[name]
    model = arm.make(options["size"])
    model.preprocessing = dataclasses.replace(model.preprocessing, size=options["size"])
    training, validation = open_folders(options["data"])
    train_data = in_memory(training, model, options["overfit"] or len(training))
    val_data = train_data if options["overfit"] or validation is None else in_memory(validation, model, len(validation))
    objective = arm.objective(model, train_data) or DeepSupervision(BCELoss())
    augmentation = None if options["overfit"] else gpu_augmentation("isnet")
    batches = Batches(train_data, model, batch_size=arm.batch_size, augmentation=augmentation)
    shown = Batches(val_data[:SHOWN], model, batch_size=arm.batch_size)
    optimizer = adamw(list(model.parameters()), lr=arm.learning_rate)
    curve: list[dict[str, float]] = []
    spent, images = 0.0, 0
    for batch in (batch for epoch in itertools.count(1) for batch in batches.epoch(epoch)):
        started = time.process_time()
        model.train()
        with batch.seeded():
            objective(model(batch.image), batch.target).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        spent += time.process_time() - started
        images += len(batch.image)
        if spent >= 60 * options["minutes"] * (len(curve) + 1) / POINTS:
            curve.append({"minutes": spent / 60, "images": images, **quick_scores(model, shown)})
            known = bool(options["overfit"]) and curve[-1]["quick_max_f"] > ENOUGH
            if known or len(curve) == POINTS:
                break
    scores = dichoseg.evaluate(model, val_data, metrics=METRICS)
    result = {"name": name, "images": images, "minutes": spent / 60, "scores": dict(scores), "curve": curve}
    (options["out"] / f"{name}.json").write_text(json.dumps(result), encoding="utf-8")
    return result


@torch.no_grad()
def quick_scores(model: Model, batches: Batches) -> dict[str, float]:
    """Return the scores of validation in `fit`."""
    metrics = OnlineMetrics()
    for batch in batches.in_order():
        metrics.update(model.eval()(batch.image).logits, batch.mask)
    return metrics.compute()


def draw(folder: Path) -> None:
    """Draw the curves of all networks in a folder."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        curve = result["curve"]
        axes.plot([row["minutes"] for row in curve], [row["quick_max_f"] for row in curve], label=result["name"])
    axes.set(xlabel="minutes of one core", ylabel="quick_max_f on validation images")
    axes.legend()
    figure.savefig(folder / "learning.png", dpi=110, bbox_inches="tight")


def main() -> None:
    """Train all networks at the same time, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--networks", nargs="+", choices=ARMS, required=True, metavar="NETWORK", help=", ".join(ARMS))
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--overfit", type=int, default=0, metavar="N", help="overfit the first N images")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--out", type=Path, required=True)
    options = vars(parser.parse_args())
    names = options.pop("networks")
    options["out"].mkdir(parents=True, exist_ok=True)
    print(f"{'':20}{'images':>9}{'minutes':>9}" + "".join(f"{metric:>13}" for metric in METRICS))
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(len(names), mp_context=spawn) as pool:
        for done in concurrent.futures.as_completed([pool.submit(train, name, options) for name in names]):
            result = done.result()
            scores = "".join(f"{result['scores'][metric]:13.4f}" for metric in METRICS)
            print(f"{result['name']:20}{result['images']:9}{result['minutes']:9.1f}{scores}", flush=True)
    draw(options["out"])


if __name__ == "__main__":
    main()
