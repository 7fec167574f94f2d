"""Save a model with its card in the Hugging Face layout, and load it again."""

# --8<-- [start:save]
import huggingface_hub

import dichoseg
from dichoseg.weights import ModelCard

model = dichoseg.load_model("runs/mine")
card = ModelCard(
    data="700 photographs of bicycles.",
    scores=dichoseg.evaluate(model, "data", metrics=("max_f", "mae")),
    evaluated_on="50 other photographs of bicycles",
    license="apache-2.0",
)
dichoseg.save_model(model, "fine-isnet", card=card)
# huggingface_hub.upload_folder(repo_id="name/fine-isnet", folder_path="fine-isnet")
# --8<-- [end:save]

# --8<-- [start:load]
again = dichoseg.load_model("fine-isnet")  # or "name/fine-isnet" after the upload
read = huggingface_hub.ModelCard.load("fine-isnet/README.md")
print(read.data.library_name, read.data.license, read.data.pipeline_tag)
# --8<-- [end:load]
