"""Save a model with its card in the Hugging Face layout, and load it again."""

import tempfile
from pathlib import Path

# --8<-- [start:imports]
import huggingface_hub

import dichoseg
from dichoseg.weights import ModelCard

# --8<-- [end:imports]
small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}
folder = Path(tempfile.mkdtemp()) / "fine-isnet"

# --8<-- [start:save]
model = dichoseg.create_model(
    "isnet",
    encoder_args=small,
    preprocessing=dichoseg.Preprocessing(size=64),
)
held_out = dichoseg.SyntheticDataset(4, size=64, seed=1)
card = ModelCard(
    data="Synthetic scenes.",
    scores=dichoseg.evaluate(model, held_out, metrics=("max_f", "mae")),
    evaluated_on="four synthetic scenes",
    license="apache-2.0",
)
dichoseg.save_model(model, folder, card=card)
# huggingface_hub.upload_folder(repo_id="name/fine-isnet", folder_path=folder)
# --8<-- [end:save]

# --8<-- [start:card]
read = huggingface_hub.ModelCard.load(folder / "README.md")
print(read.data.library_name, read.data.license, read.data.pipeline_tag)
# --8<-- [end:card]

# --8<-- [start:load]
again = dichoseg.load_model(folder)  # or "name/fine-isnet" after the upload
image = held_out[0].image
difference = abs(dichoseg.predict(image, again) - dichoseg.predict(image, model)).max()
# --8<-- [end:load]
print(f"loaded again: {difference:.1g} from the model")
assert difference == 0
