"""Serve a model over HTTP from a program of your own, and ask it for a cut-out."""

import io
import tempfile
import threading
import urllib.request
from pathlib import Path

import uvicorn
from PIL import Image

import dichoseg
from dichoseg.service import Limits, create_app

folder = Path(tempfile.mkdtemp())
small = {
    "channels": [8, 16],
    "mid_channels": [4, 8],
    "strides": [2, 4],
    "stem_channels": 8,
}
model = dichoseg.create_model(
    "isnet", encoder_args=small, preprocessing=dichoseg.Preprocessing(size=64)
)
dichoseg.save_model(model, folder / "mine")
scene = dichoseg.SyntheticDataset(1, size=96)[0]
photograph = folder / "photo.jpg"
Image.fromarray((scene.image.permute(1, 2, 0) * 255).byte().numpy()).save(photograph)

# --8<-- [start:app]
app = create_app({"mine": folder / "mine"}, limits=Limits(queue=8, timeout=30))
# --8<-- [end:app]

server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started and thread.is_alive():
    thread.join(0.1)
port = server.servers[0].sockets[0].getsockname()[1]
address = f"http://127.0.0.1:{port}"
urllib.request.install_opener(
    urllib.request.build_opener(urllib.request.ProxyHandler({}))
)

# --8<-- [start:client]
request = urllib.request.Request(
    f"{address}/predict?kind=cutout&format=webp&crop=true",
    data=photograph.read_bytes(),
    headers={"Content-Type": "image/jpeg"},
)
with urllib.request.urlopen(request, timeout=60) as response:
    cut_out = Image.open(io.BytesIO(response.read()))
# --8<-- [end:client]

print(response.headers["Content-Type"], cut_out.mode, cut_out.size)
server.should_exit = True
thread.join()
