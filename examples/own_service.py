"""Serve a model over HTTP from a program of your own."""

# --8<-- [start:app]
import uvicorn

from dichoseg.service import Limits, create_app

app = create_app({"mine": "runs/mine"}, limits=Limits(queue=8, timeout=30))
if __name__ == "__main__":
    uvicorn.run(app, port=8000)
# --8<-- [end:app]
