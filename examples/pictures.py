"""Draw contact sheets of predictions, errors and outlines, and plot curves."""

import tempfile
from pathlib import Path

import dichoseg
from dichoseg import metrics, visualize

folder = Path(tempfile.mkdtemp())
scenes = dichoseg.SyntheticDataset(4, size=64)
small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}
model = dichoseg.create_model(
    "isnet", encoder_args=small, preprocessing=dichoseg.Preprocessing(size=64)
)
history = dichoseg.fit(model, scenes, val_data=scenes, epochs=2, batch_size=4)

# --8<-- [start:sheet]
predictor = dichoseg.Predictor(model)
rows, captions, curves = [], [], {}
for image, mask, name in (scenes[index] for index in range(3)):
    picture = image.permute(1, 2, 0).numpy()  # (H, W, 3) in [0, 1]
    truth, prediction = mask[0].numpy(), predictor(image)  # (H, W) in [0, 1]
    columns = {
        "image": picture,
        "mask": truth,
        "outlined": visualize.outlined(picture, truth),
        "prediction": prediction,
        "errors": visualize.error_map(prediction, truth),
    }
    rows.append({key: visualize.thumbnail(x, side=160) for key, x in columns.items()})
    error = metrics.mae(prediction, truth > 0.5)
    captions.append(f"{name}: mean absolute error {error:.3f}")
    curves[name] = {"f": metrics.f_curve(prediction, truth > 0.5)}
sheet = visualize.contact_sheet(rows, captions=captions, tile=160)
sheet.save(folder / "sheet.png")
# --8<-- [end:sheet]
# --8<-- [start:curves]
visualize.learning_curves(history).save(folder / "history.png")
visualize.metric_curves(curves).save(folder / "f.png")
# --8<-- [end:curves]
print(f"{len(list(folder.glob('*.png')))} pictures in {folder}")
