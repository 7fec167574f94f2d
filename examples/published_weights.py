"""Load published weights by name, choose them by their records, and fetch a file."""

# --8<-- [start:load]
import dichoseg
from dichoseg.weights import fetch, list_weights, resolve

model = dichoseg.load_model("isnet-general-use")
mask = dichoseg.predict("photo.jpg", model)  # (H, W) in [0, 1]
# --8<-- [end:load]

# --8<-- [start:choose]
for name, record in list_weights().items():
    if record.commercial == "yes" and record.purpose == "people":
        print(name, record.terms)
# --8<-- [end:choose]

# --8<-- [start:fetch]
path = fetch(resolve("u2net"), timeout=10)
print(path)
# --8<-- [end:fetch]
