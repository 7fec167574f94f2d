"""A training loop of your own, in plain PyTorch, with dichoseg's parts."""

# --8<-- [start:loop]
import torch

import dichoseg

small = {"channels": [8, 16], "mid_channels": [4, 8], "strides": [2, 4]}
model = dichoseg.create_model("isnet", encoder_args=small)
scenes = dichoseg.SyntheticDataset(8, size=64)
data = torch.utils.data.DataLoader(scenes, batch_size=4, shuffle=True)
augmentation = dichoseg.augmentations.RandomBlurPatches(patches=5)
objective = dichoseg.objectives.DeepSupervision(dichoseg.losses.BCELoss())
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for epoch in range(2):
    for image, mask, _ in data:
        image, mask = augmentation(image, mask)
        prediction = model(model.preprocessing.normalize(image))
        loss = objective(prediction, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {float(loss.detach()):.3f}")
# --8<-- [end:loop]
