"""Ask `dichoseg serve` for a cut-out."""

# --8<-- [start:client]
import urllib.request
from pathlib import Path

request = urllib.request.Request(
    "http://127.0.0.1:8000/predict?kind=cutout&format=webp&crop=true",
    data=Path("photo.jpg").read_bytes(),
    headers={"Content-Type": "image/jpeg"},
)
with urllib.request.urlopen(request, timeout=60) as response:
    Path("cut-out.webp").write_bytes(response.read())
# --8<-- [end:client]
