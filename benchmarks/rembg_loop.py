"""rembg's side of folders.py and rembg_masks.py, which start it in its own environment: a plain loop over photographs.

    U2NET_HOME=FOLDER python benchmarks/rembg_loop.py dis_custom FOLDER/isnet.onnx

It reads lines of JSON, each a list of the masks' folder and the photographs, and answers each with the seconds from the
first photograph to the last mask.
"""

import json
import sys
import time
from pathlib import Path

from PIL import Image
from rembg import new_session, remove

session = new_session(sys.argv[1], model_path=sys.argv[2])
for line in sys.stdin:
    out, *photographs = map(Path, json.loads(line))
    started = time.perf_counter()
    for path in photographs:
        mask = remove(Image.open(path), session=session, only_mask=True)
        mask.save(out / f"{path.stem}.png")
    print(time.perf_counter() - started, flush=True)
