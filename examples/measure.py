"""Compute metrics of one map, and quick scores over batches."""

import torch

import dichoseg
from dichoseg import metrics

scenes = dichoseg.SyntheticDataset(4, size=128)
noise = torch.rand(4, 1, 128, 128, generator=torch.Generator().manual_seed(0))
masks = torch.stack([scenes[index].mask for index in range(4)])
probability = (0.7 * masks + 0.3 * noise).clamp(0, 1)

# --8<-- [start:one]
mask = masks[0, 0].numpy() > 0.5  # (H, W), bool, or uint8 of 0 and 255
prediction = probability[0, 0].numpy()  # (H, W) in [0, 1], or uint8

scores = {
    "mae": metrics.mae(prediction, mask),
    "mse": metrics.mse(prediction, mask),
    "s_measure": metrics.s_measure(prediction, mask),
    "weighted_f": metrics.weighted_f_measure(prediction, mask),
    "adaptive_f": metrics.adaptive_f(prediction, mask),
    "adaptive_iou": metrics.adaptive_measure(prediction, mask, "iou"),
    "binary_dice": metrics.binary_measure(prediction, mask, "dice"),
    "boundary_iou": metrics.boundary_iou(prediction, mask),
    "mba": metrics.mean_boundary_accuracy(prediction, mask),
    "hce": metrics.hce(prediction, mask).total,
}
# --8<-- [end:one]
# --8<-- [start:curves]
# (256,), one value per threshold, highest first
f = metrics.f_curve(prediction, mask)
e = metrics.e_measure(prediction, mask)
precision = metrics.measure_curve(prediction, mask, "precision")
recall = metrics.measure_curve(prediction, mask, "recall")
best = f.argmax()
print(f"best F {f[best]:.3f} at level {255 - best}: E {e[best]:.3f}")
print(f"there, precision {precision[best]:.3f} and recall {recall[best]:.3f}")
# --8<-- [end:curves]
# --8<-- [start:skeleton]
# (H, W), bool; the same for every prediction of this mask
lines = metrics.skeleton(mask)
scores["hce"] = metrics.hce(prediction, mask, skeleton=lines).total
# --8<-- [end:skeleton]
# --8<-- [start:online]
online = metrics.OnlineMetrics()
for start in range(0, 4, 2):
    batch = slice(start, start + 2)
    online.update(torch.logit(probability[batch], eps=1e-6), masks[batch])
quick = online.compute()
# --8<-- [end:online]
print({name: round(float(value), 3) for name, value in {**scores, **quick}.items()})
