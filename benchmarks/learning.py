"""What networks learn in the same time from random weights, and whether each can learn 16 images by heart.

    python benchmarks/learning.py DATA --networks isnet birefnet_lite --minutes 15 --out FOLDER
    python benchmarks/learning.py DATA --networks swin+deconv --overfit 16 --minutes 5 --out FOLDER

DATA holds images and masks, with train and val for the first command. Each network trains with its own objective in a
process of its own, with one thread, all of `--networks` at the same time. Minutes are of the process's CPU time, from
the start of `fit`, with validation, so that what else the machine does changes no result. Images are resized once and
kept in memory. With `--overfit N`, training ends at `quick_max_f` above
0.99 on the N training images, which are scored as well. FOLDER gets a JSON file per network with its curve, and
`learning.png` with all curves in FOLDER.
"""

import argparse
import concurrent.futures
import dataclasses
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
from dichoseg.models import Segmenter
from dichoseg.objectives import DeepSupervision, IntermediateSupervision, WeightedSum
from dichoseg.objectives.birefnet import birefnet
from dichoseg.objectives.inspyrenet import inspyrenet
from dichoseg.objectives.multi_view import MultiViewSupervision
from dichoseg.training import constant, fit_gt_encoder

ENOUGH = 0.99
METRICS = ("mae", "max_f", "weighted_f", "s_measure", "mba")
SMALL = {"channels": (64,) * 5, "mid_channels": (16,) * 5, "strides": (2, 4, 8, 16, 32)}


class Arm(NamedTuple):
    """One network, and how it is trained."""

    make: Callable[[int], Model]
    objective: Callable[[Model, Samples], Objective | None]
    learning_rate: float = 3e-4
    batch_size: int = 8


def small_encoder() -> RSUEncoder:
    """U²-Net's small widths, behind IS-Net's strided convolution."""
    return RSUEncoder(**SMALL)


def bilateral(size: int) -> Model:
    """A timm backbone with BiRefNet's decoder, which also sees the image."""
    encoder = ImageReference(TimmEncoder("convnext_atto"))
    return Segmenter(encoder, BilateralReferenceDecoder(encoder.feature_info))


def swin_deconv(size: int) -> Model:
    """Swin-T with a plain deconvolution decoder."""
    encoder = SwinEncoder("tiny")
    return Segmenter(encoder, DeconvDecoder(encoder.feature_info))


def small_pyramid(size: int) -> Model:
    """A small RSU encoder with InSPyReNet's decoder."""
    encoder = small_encoder()
    return Segmenter(encoder, PyramidDecoder(encoder.feature_info, width=32, base_size=size))


def default(model: Model, data: Samples) -> None:
    """The default objective of `fit`."""


def with_gt_encoder(model: Model, data: Samples) -> Objective:
    """The objective of BiRefNet, and a GT encoder that supervises the decoder's features."""
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
    """Train one network until the time is up, or it knows the images by heart; return its scores and its curve."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    arm = ARMS[name]
    model = arm.make(options["size"])
    model.preprocessing = dataclasses.replace(model.preprocessing, size=options["size"])
    folders = open_folders(options["data"])
    train_data = in_memory(folders[0], model, options["overfit"] or len(folders[0]))
    val_data = train_data if options["overfit"] else in_memory(folders[1], model, len(folders[1]))
    objective = arm.objective(model, train_data)
    started, curve = time.process_time(), []

    def until(model: Model, row: dict[str, float]) -> bool:
        curve.append({"seconds": time.process_time() - started, **row})
        known = bool(options["overfit"]) and row["quick_max_f"] > ENOUGH
        return known or time.process_time() - started > 60 * options["minutes"]

    dichoseg.fit(
        model,
        train_data,
        val_data=val_data,
        objective=objective,
        augmentation=None if options["overfit"] else gpu_augmentation("isnet"),
        epochs=100_000,
        batch_size=arm.batch_size,
        optimization=dichoseg.Optimization(learning_rate=arm.learning_rate, schedule=constant),
        best="quick_max_f",
        on_epoch=until,
    )
    scores = dichoseg.evaluate(model, val_data, metrics=METRICS)
    seconds = curve[-1]["seconds"]
    result = {"name": name, "epochs": len(curve), "seconds": seconds, "scores": dict(scores), "curve": curve}
    (options["out"] / f"{name}.json").write_text(json.dumps(result), encoding="utf-8")
    return result


def draw(folder: Path) -> None:
    """Draw the curves of all networks in a folder."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        curve = result["curve"]
        axes.plot([row["seconds"] / 60 for row in curve], [row["quick_max_f"] for row in curve], label=result["name"])
    axes.set(xlabel="minutes of one core", ylabel="quick_max_f on validation images")
    axes.legend()
    figure.savefig(folder / "learning.png", dpi=110, bbox_inches="tight")


def main() -> None:
    """Train all networks at the same time, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--networks", nargs="+", choices=ARMS, required=True, metavar="NETWORK", help=", ".join(ARMS))
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--overfit", type=int, default=0, metavar="N", help="learn the first N images by heart")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--out", type=Path, required=True)
    options = vars(parser.parse_args())
    names = options.pop("networks")
    options["out"].mkdir(parents=True, exist_ok=True)
    print(f"{'':20}{'epochs':>9}{'minutes':>9}" + "".join(f"{metric:>13}" for metric in METRICS))
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(len(names), mp_context=spawn) as pool:
        for done in concurrent.futures.as_completed([pool.submit(train, name, options) for name in names]):
            result = done.result()
            scores = "".join(f"{result['scores'][metric]:13.4f}" for metric in METRICS)
            print(f"{result['name']:20}{result['epochs']:9}{result['seconds'] / 60:9.1f}{scores}", flush=True)
    draw(options["out"])


if __name__ == "__main__":
    main()
