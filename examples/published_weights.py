"""Choose published weights by their records, and load them by name.

    python examples/published_weights.py photo.jpg

Without a photograph, it downloads nothing.
"""

import sys

import dichoseg
from dichoseg.weights import fetch, list_weights, resolve

# --8<-- [start:choose]
for name, record in list_weights().items():
    if record.commercial == "yes" and record.purpose == "people":
        print(name, record.terms)
# --8<-- [end:choose]

if len(sys.argv) > 1:
    photo = sys.argv[1]
    # --8<-- [start:load]
    model = dichoseg.load_model("isnet-general-use")
    mask = dichoseg.predict(photo, model)  # (H, W) in [0, 1]
    # --8<-- [end:load]
    print(mask.shape)
    # --8<-- [start:fetch]
    path = fetch(resolve("u2net"), timeout=10)
    # --8<-- [end:fetch]
    print(path)
