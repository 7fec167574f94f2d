"""Simplest training loop for IS-Net: float32, six cross-entropies of full-size probabilities, Adam.

    python benchmarks/plain_loop.py [--size 512] [--batch 1] [--steps 8] [--threads 2] [--device cpu]

`benchmarks/training.py` compares `fit` with this loop. The images are in memory, so only training is timed. It prints
the seconds of each step, of which the first ones are slow.
"""

import argparse
import json
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dichoseg import SyntheticDataset, create_model


class PlainISNet(nn.Module):
    """Network of `create_model("isnet")` that returns every side map as a probability at the size of the image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        model = create_model("isnet")
        self.encoder, self.decoder, self.sides = model.encoder, model.decoder, model.heads.sides

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> six probabilities (B, 1, H, W)."""
        features = self.decoder(self.encoder(image))
        maps = [side(feature) for side, feature in zip(self.sides, features, strict=True)]
        return [F.interpolate(x, image.shape[-2:], mode="bilinear", align_corners=False).sigmoid() for x in maps]


def plain_loss(network: nn.Module, image: Tensor, mask: Tensor) -> Tensor:
    """Return the sum of six cross-entropies."""
    return sum((F.binary_cross_entropy(x, mask) for x in network(image)), start=image.new_zeros(()))


def images_in_memory(count: int, size: int) -> list[tuple[Tensor, Tensor]]:
    """Draw synthetic images with their masks, in [0, 1]."""
    return [(sample.image, sample.mask) for sample in map(SyntheticDataset(count, size=size).__getitem__, range(count))]


def main() -> None:
    """Train for a few steps and print the time of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    data = images_in_memory(4, options.size)
    network = PlainISNet().to(options.device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    seconds = []
    for step in range(options.steps):
        started = time.perf_counter()
        images, masks = zip(*(data[(step * options.batch + i) % len(data)] for i in range(options.batch)), strict=True)
        image, mask = torch.stack(images).to(options.device) - 0.5, torch.stack(masks).to(options.device)
        loss = plain_loss(network, image, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        if image.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
