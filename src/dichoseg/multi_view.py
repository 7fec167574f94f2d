"""Blocks of MVANet: features of four close-ups and of the distant view of an image, and their exchange."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import spatial_size


def quadrants(maps: Tensor) -> Tensor:
    """Cut maps (B, C, 2h, 2w) into their quadrants, by rows: (4, B, C, h, w)."""
    batch, channels, height, width = maps.shape
    parts = maps.reshape(batch, channels, 2, height // 2, 2, width // 2).permute(2, 4, 0, 1, 3, 5)
    return parts.reshape(4, batch, channels, height // 2, width // 2)


def merge(parts: Tensor) -> Tensor:
    """Put quadrants (4, B, C, h, w) together: (B, C, 2h, 2w), the inverse of `quadrants`."""
    _, batch, channels, height, width = parts.shape
    parts = parts.reshape(2, 2, batch, channels, height, width).permute(2, 3, 0, 4, 1, 5)
    return parts.reshape(batch, channels, 2 * height, 2 * width)


def sine_positions(height: int, width: int, channels: int, *, device: torch.device) -> Tensor:
    """Return the encoded position of each pixel of a map, (height * width, channels): rows first, then columns.

    Source: DETR (arXiv:2005.12872), normalized, with half a pixel added.
    """
    half = channels // 2
    exponents = torch.arange(0, half, 2, device=device) / half

    def encoded(side: int) -> Tensor:
        places = (torch.arange(side, device=device) + 0.5) / (side + 1e-6) * 2 * math.pi
        phases = places[:, None] / 10000**exponents
        return torch.stack([phases.sin(), phases.cos()], dim=2).flatten(1)  # (side, half)

    rows = encoded(height)[:, None].expand(-1, width, -1)
    columns = encoded(width)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], dim=2).flatten(0, 1)


class ViewLocalization(nn.Module):
    """Attention of the distant view to the close-ups, and of each close-up to its quadrant of the result.

    Source: MVANet (arXiv:2404.07445), multi-view complementary localization (MCLM), as in its code. Differs: a pooled
    map keeps at least one pixel.

    Args:
        channels: Channels of input and output, a multiple of 4.
        hidden: Width of the perceptrons.
        dropout: Probability of leaving a token out of an attention, in training.
    """

    POOLS = (1, 4, 8)

    def __init__(self, channels: int, *, hidden: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.attention = _attentions(5, channels, dropout)
        self.close_mlp, self.distant_mlp = (_perceptron(channels, hidden) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))

    def forward(self, views: Tensor) -> Tensor:
        """(5, B, C, h, w), four close-ups, then the distant view -> the same shape; h and w are even."""
        close, distant = views[:4], views[4]
        channels, size = views.shape[2], _fixed_size(distant)
        sizes = _pooled_sizes(size, self.POOLS)
        keys = _pooled(merge(close), sizes)
        places = torch.cat([sine_positions(*pooled, channels, device=views.device) for pooled in sizes])
        query = _tokens(distant) + sine_positions(*size, channels, device=views.device).to(keys.dtype)
        attended = _attend(self.attention[0], query, keys + places.to(keys.dtype), keys)
        tokens = _refined(_tokens(distant), attended, self.norms, self.distant_mlp)
        distant = _maps(tokens, size)
        refined = []
        for close_up, quadrant, attention in zip(close, quadrants(distant), self.attention[1:], strict=True):
            tokens, near = _tokens(close_up), _tokens(quadrant)
            attended = _attend(attention, tokens, near, near)
            refined.append(_maps(_refined(tokens, attended, self.norms, self.close_mlp), size))
        return torch.stack([*refined, distant])


class ViewRefinement(nn.Module):
    """Close-ups gated by the object map of the distant view, with attention to their quadrant of it.

    Source: MVANet (arXiv:2404.07445), multi-view complementary refinement (MCRM), as in its code. Differs: a pooled map
    keeps at least one pixel.

    Args:
        channels: Channels of input and output.
        hidden: Width of the perceptron.
        dropout: Probability of leaving a token out of an attention, in training.
    """

    POOLS = (2, 4, 8)

    def __init__(self, channels: int, *, hidden: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.attention = _attentions(4, channels, dropout)
        self.mlp = _perceptron(channels, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.gate = nn.Conv2d(channels, 1, kernel_size=1)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """(5, B, C, h, w) -> the same shape, and the gate, (B, 1, 2h, 2w) in [0, 1]; h and w are even."""
        close, distant = views[:4], views[4]
        height, width = _fixed_size(distant)
        gate = F.interpolate(self.gate(distant).sigmoid(), (2 * height, 2 * width))
        sizes = _pooled_sizes((height, width), self.POOLS)
        refined = []
        gated = close * quadrants(gate)
        for close_up, quadrant, attention in zip(gated, quadrants(distant), self.attention, strict=True):
            tokens, near = _tokens(close_up), _pooled(quadrant, sizes)
            attended = _attend(attention, tokens, near, near)
            refined.append(_maps(_refined(tokens, attended, self.norms, self.mlp), (height, width)))
        distant = distant + F.interpolate(merge(torch.stack(refined)), (height, width))
        return torch.stack([*refined, distant]), gate


def _attentions(count: int, channels: int, dropout: float) -> nn.ModuleList:
    return nn.ModuleList(
        nn.MultiheadAttention(channels, num_heads=1, dropout=dropout, batch_first=True) for _ in range(count)
    )


def _perceptron(channels: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))


def _attend(attention: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    attended: Tensor = attention(query, key, value, need_weights=False)[0]
    return attended


def _refined(tokens: Tensor, attended: Tensor, norms: nn.ModuleList, mlp: nn.Module) -> Tensor:
    """Add the attention, then a perceptron of the result, each followed by a norm."""
    tokens = norms[0](tokens + attended)
    refined: Tensor = norms[1](tokens + mlp(tokens))
    return refined


def _fixed_size(maps: Tensor) -> tuple[int, int]:
    """Return height and width as ints, in a traced export too, since the sizes of pooled maps are rounded."""
    height, width = spatial_size(maps)
    return int(height), int(width)


def _pooled_sizes(size: tuple[int, int], ratios: tuple[int, ...]) -> list[tuple[int, int]]:
    height, width = size
    return [(max(1, round(height / ratio)), max(1, round(width / ratio))) for ratio in ratios]


def _pooled(maps: Tensor, sizes: list[tuple[int, int]]) -> Tensor:
    """Return tokens of maps, averaged to each size, (B, N, C)."""
    return torch.cat([_tokens(F.adaptive_avg_pool2d(maps, size)) for size in sizes], dim=1)


def _tokens(maps: Tensor) -> Tensor:
    return maps.flatten(2).transpose(1, 2)  # (B, h * w, C)


def _maps(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, size)  # (B, C, h, w)
