"""Draw contact sheets of predictions, errors and outlines, and plot curves."""

# --8<-- [start:sheet]
import dichoseg
from dichoseg import metrics, visualize

data = dichoseg.FolderDataset("data/im", "data/gt")
predictor = dichoseg.Predictor(dichoseg.load_model("runs/mine"))
rows, captions, curves = [], [], {}
for image, mask, name in (data[index] for index in range(3)):
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
sheet.save("sheet.png")
visualize.metric_curves(curves).save("f.png")
# --8<-- [end:sheet]

# --8<-- [start:curves]
model = dichoseg.load_model("u2netp")
history = dichoseg.fit(model, data, epochs=10, batch_size=8)
visualize.learning_curves(history).save("history.png")
# --8<-- [end:curves]
