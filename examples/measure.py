"""Compute metrics of one map, and quick scores over batches."""

# --8<-- [start:one]
import numpy as np
import torch
from PIL import Image

from dichoseg import metrics

mask = np.asarray(Image.open("mask.png").convert("L")) > 127  # (H, W), bool
prediction = np.asarray(Image.open("prediction.png").convert("L"))  # uint8, or [0, 1]

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
print(scores)
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
masks = torch.tensor(mask)[None, None].float()  # (B, 1, H, W)
logits = torch.logit(torch.tensor(prediction)[None, None] / 255, eps=1e-6)

online = metrics.OnlineMetrics()
for _ in range(2):  # for each batch
    online.update(logits, masks)
print(online.compute())
# --8<-- [end:online]
