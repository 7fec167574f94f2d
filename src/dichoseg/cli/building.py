"""Options that name parts of a training run, and the parts."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from .. import registry
from ..checking import number, whole
from ..training.optimization import Optimization
from .options import Flag, Number, Repeatable, Text, optional, tell

if TYPE_CHECKING:
    from torch import nn

    from ..contracts import Augmentation, Model, Objective
    from ..data import FolderDataset
    from ..data.folder import Transform

Parts = dict[str, "tuple[float, Objective]"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Network.

    Args:
        model: Name from `dichoseg list models`. Default: isnet, or the one that --weights holds.
        encoder: Encoder, such as timm:convnext_tiny, or 'timm:resnet50(output_stride=16)'.
        decoder: Decoder, such as deconv, or 'fpn(channels=64)'.
        heads: Heads, such as fused, or 'NAME(key=value, ...)'.
        pretrained: Start a timm encoder from its published weights, which are downloaded.
        weights: Weights to start from: .pth, .ckpt, .safetensors, .onnx, a saved model, a run, or a name from
            `dichoseg list weights`.
        size: Side of the network's input, in pixels. Default: the model's, which is 1024 for isnet.
        freeze_batch_norm: Keep the statistics and weights of every batch norm. A model that was saved so stays so.
        freeze_encoder: Keep the encoder, including its batch norm, and train the rest.
        checkpoint_activations: Use less memory and more time: keep the input of each stage only, and recompute the
            rest.
        compile: Compile the network by torch.compile, which takes minutes and pays off on a GPU.
    """

    model: Text = None
    encoder: Text = None
    decoder: Text = None
    heads: Text = None
    pretrained: Flag = False
    weights: Text = None
    size: Number = None
    freeze_batch_norm: Flag = False
    freeze_encoder: Flag = False
    checkpoint_activations: Flag = False
    compile: Flag = False

    def __post_init__(self) -> None:
        """Make the path of weights on this machine absolute, for a run that is resumed from another folder."""
        if self.weights is not None and os.path.exists(self.weights):
            object.__setattr__(self, "weights", os.path.abspath(self.weights))

    def make(self, *, seed: int) -> Model:
        """Make the network."""
        from .. import batch_norm
        from ..runtime.seeding import seeded
        from ..training import parameters, recomputation
        from ..weights import create_model, load_model

        parts = {"encoder": self.encoder, "decoder": self.decoder, "heads": self.heads}
        recipe: dict[str, Any] = {part: name for part, name in parts.items() if name is not None}
        with seeded(seed):
            if self.weights is not None and self.model is None and not recipe and not self.pretrained:
                network = load_model(self.weights, size=self.size)
            else:
                name = self.model or "isnet"
                network = create_model(name, weights=self.weights, pretrained=self.pretrained, size=self.size, **recipe)
        if self.freeze_batch_norm and not batch_norm.is_frozen(network):
            batch_norm.freeze_batch_norm(network)
        if self.freeze_encoder:
            parameters.freeze(parameters.encoder_of(network))
        if self.checkpoint_activations:
            recomputation.checkpoint_activations(network)
        if self.compile:
            network.compile()
        return network


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectiveOptions:
    """Objective.

    Args:
        loss: NAME[:WEIGHT] from `dichoseg list losses`, such as 'edge_bce(width=5):0.5'; repeatable. Default: bce,
            deeply supervised. Edge losses supervise the final map only, and bce is added if nothing else is given.
        objective: NAME[:WEIGHT] from `dichoseg list objectives`, such as 'NAME(key=value):0.5'; repeatable, added to
            the losses.
        edge_loss: NAME[:WEIGHT] of the loss on predicted edges, as in --loss. Default: balanced_bce for networks that
            predict edges, as in EGNet.
        gt_encoder: Supervise the features with a GT encoder: train (trains one on the masks first, or uses the one in
            OUT), or the folder of a trained one.
        gt_encoder_epochs: Maximum number of epochs of --gt-encoder train.
        gt_encoder_weight: Weight of the GT encoder's supervision.
    """

    loss: Repeatable = ()
    objective: Repeatable = ()
    edge_loss: Text = None
    gt_encoder: Annotated[Literal["train"] | Path | None, optional("{train}|PATH")] = None
    gt_encoder_epochs: int = 10
    gt_encoder_weight: float = 1.0

    def parts(self) -> Parts:
        """Return the parts of a `WeightedSum`: losses under deep supervision, and objectives."""
        from ..objectives import DeepSupervision

        whole("gt_encoder_epochs", self.gt_encoder_epochs, least=1)
        number("gt_encoder_weight", self.gt_encoder_weight)
        losses = self.loss or (() if self.objective else ("bce",))
        parts: Parts = {}
        seen: list[registry.ComponentName] = []
        all_second_terms = True
        for group, texts in (("losses", losses), ("objectives", self.objective)):
            for text in texts:
                name, weight = weighted_name(text)
                made = registry.make_component(group, name)
                all_second_terms &= getattr(made, "second_term", False)
                parsed = registry.ComponentName.parse(name)
                if parsed in seen:
                    raise ValueError(f"{name!r} is given twice")
                seen.append(parsed)
                same = sum(one.name == parsed.name for one in seen)
                key = parsed.name if same == 1 else f"{parsed.name}_{same}"
                parts[key] = (weight, made if group == "objectives" else DeepSupervision(made))
        if all_second_terms:
            tell(f"{' and '.join(parts)} would leave the inside of the object unsupervised: bce is added")
            parts = {"bce": (1.0, DeepSupervision()), **parts}
        return parts

    def edge_part(self, network: Model, parts: Parts) -> Parts:
        """Return the supervision of predicted edges, if asked for, or if no other part supervises them."""
        from ..objectives import EdgeSupervision
        from ..tracing import predicts_edges

        has_other = any(isinstance(objective, EdgeSupervision) for _, objective in parts.values())
        if self.edge_loss is None and (has_other or not predicts_edges(network)):
            return {}
        name, weight = weighted_name(self.edge_loss or "balanced_bce")
        supervision = EdgeSupervision(registry.make_component("losses", name))
        supervision.check(network)
        return {"predicted_edges": (weight, supervision)}

    def parts_for(self, network: Model, parts: Parts, out: Path, *, resume: bool) -> Parts:
        """Return the parts that depend on the network: predicted edges, and a trained GT encoder.

        A GT encoder that is to be trained is added by `sum_of`; here its folder in OUT is checked.
        """
        from ..objectives import IntermediateSupervision
        from ..training.two_stage import gt_encoder_folder
        from ..weights import load_model

        added = self.edge_part(network, parts)
        if self.gt_encoder == "train":
            gt_encoder_folder(out, resume=resume)
        elif self.gt_encoder is not None:
            supervision = IntermediateSupervision(load_model(self.gt_encoder), student=network)
            added["gt_encoder"] = (self.gt_encoder_weight, supervision)
        return added

    def sum_of(self, parts: Parts, gt_encoder: Model | None = None) -> Objective:
        """Return the sum of the parts, and of the supervision by a GT encoder."""
        from ..objectives import IntermediateSupervision, WeightedSum

        if gt_encoder is not None:
            parts = parts | {"gt_encoder": (self.gt_encoder_weight, IntermediateSupervision(gt_encoder))}
        return WeightedSum(**parts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentationOptions:
    """Augmentation.

    Args:
        augmentation: Augmentation on the device, from `dichoseg list augmentations`, such as strong, or
            'strong(jpeg=0.5)'; repeatable, in order.
        cpu_augmentation: Augmentation in the workers, through albumentations: dis_tuning, isnet or strong, or
            'strong(jpeg=0.5)'.
    """

    augmentation: Repeatable = ()
    cpu_augmentation: Text = None

    def on_device(self) -> Augmentation | None:
        """Return the augmentations on the device as one."""
        from ..augmentations.compose import make_augmentation

        return make_augmentation(self.augmentation)

    def in_workers(self, size: int | tuple[int, int]) -> Transform | None:
        """Return the augmentation in the workers, for images of that size."""
        if self.cpu_augmentation is None:
            return None
        from ..augmentations import cpu_augmentation

        name = registry.ComponentName.parse(self.cpu_augmentation)
        if name._replace(keywords={}) != (name.name, None, None, (), {}) or "size" in name.keywords:
            raise ValueError(
                f"wanted a preset with steps by name, as in 'strong(jpeg=0.5)'; got {self.cpu_augmentation!r}"
            )
        return cpu_augmentation(name.name, size=size, **name.keywords)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizationOptions(Optimization):
    """Updates of the weights, which are checked when the schedule is applied."""

    def __post_init__(self) -> None:
        pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """Learning rate.

    Args:
        encoder_rate: Factor of the encoder's learning rate, such as 0.1.
        schedule: Decay of the learning rate: along a cosine to zero; to a tenth after 60 % and 90 % of the run; none.
        warmup: Number of steps at the start in which the learning rate rises.
    """

    encoder_rate: float = 1.0
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    warmup: int = 0

    def applied_to(self, optimization: OptimizationOptions, network: Model) -> Optimization:
        """Return options of the optimizer with this schedule."""
        from ..training import adamw, constant, cosine, parameter_groups, step_decay

        if not self.encoder_rate > 0:
            raise ValueError(f"--encoder-rate must be above 0; got {self.encoder_rate} (--freeze-encoder keeps it)")

        def optimizer(parameters: list[nn.Parameter], lr: float) -> Any:
            groups: Any = parameters
            if self.encoder_rate != 1:
                groups = parameter_groups(network, lr, encoder=self.encoder_rate)
            return adamw(groups, lr)

        decay = {"cosine": cosine, "step": step_decay, "constant": constant}[self.schedule]
        schedule = functools.partial(decay, warmup=self.warmup)
        return Optimization(**dataclasses.asdict(optimization) | {"optimizer": optimizer, "schedule": schedule})


def network_name(network: Model) -> str:
    """Return the name of a network, with the parts that were swapped in it."""
    recipe = network.recipe or {}
    swapped = " and ".join(f"{kind} {recipe[kind]}" for kind in ("encoder", "decoder", "heads") if kind in recipe)
    name = str(recipe.get("name", "model"))
    return f"{name} with {swapped}" if swapped else name


def calibrate(network: Model, training: FolderDataset, batch_size: int) -> None:
    """Give the batch norms of a network from a folded file the statistics of some of its training images."""
    import torch

    from ..batch_norm import calibrate_batch_norm

    preprocessing = network.preprocessing
    indices = torch.linspace(0, len(training) - 1, min(len(training), max(batch_size, 2))).round().int().tolist()
    samples = [training[index] for index in indices]
    pictures = [preprocessing.input_of(sample.image, sample.mask) for sample in samples]
    images = [preprocessing.normalize(preprocessing.resize(picture[None])) for picture in pictures]
    if preprocessing.size is None:
        images = images[:1]
    calibrate_batch_norm(network, torch.cat(images))
    tell(
        f"the batch norms of the weights were folded: calibrated on {len(images)} training images, which does not "
        "change the function (--freeze-batch-norm keeps them out of training instead)",
    )


def weighted_name(text: str) -> tuple[str, float]:
    """Split NAME[(key=value, ...)][:WEIGHT] into name and weight."""
    head, colon, tail = text.rpartition(":")
    if not colon or ")" in tail:
        return text, 1.0
    try:
        weight = float(tail)
    except ValueError:
        raise ValueError(f"wanted NAME or NAME:WEIGHT, the weight a number; got {text!r}") from None
    if not 0 < weight < float("inf"):
        raise ValueError(f"a weight must be a finite number above 0; got {text!r}")
    return head, weight
