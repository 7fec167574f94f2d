"""Options of a request, which its address gives."""

from __future__ import annotations

from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from ..photographs.cutout import parse_color
from ..photographs.naming import ENDINGS
from ..photographs.rendering import Format, Rendering
from .line import Detail

MEDIA_TYPES: dict[Format, str] = {
    "png": "image/png",
    "webp": "image/webp",
    "jpg": "image/jpeg",
    "avif": "image/avif",
    "gif": "image/gif",
}


class ModelQuery(BaseModel):
    """Options of `POST /side_outputs`."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="Name from GET /models. Default: the first of them.")
    size: int | None = Field(None, description="Side of the network's input, in pixels. Default: the model's.")


class PredictQuery(ModelQuery):
    """Options of `POST /predict`; they are those of `dichoseg predict`."""

    detail: Detail | None = Field(
        None, description="Refine a photograph larger than the network's input along the border, or everywhere."
    )
    kind: Literal["mask", "cutout", "composite"] = Field(
        "mask",
        description="The mask; the photograph with the mask as alpha channel; or the photograph on a new background.",
    )
    background: str | None = Field(
        None, description="Color behind a composite, such as white or #f0f0f0. Default: white."
    )
    format: str = Field("png", description="png, webp, jpg, avif or gif.")
    threshold: float | None = Field(None, description="Probability from which on masks are white, and black below.")
    crop: bool = Field(False, description="Crop the result to the foreground.")
    margin: int = Field(0, description="Number of pixels around the foreground that crop keeps.")
    quality: int | None = Field(None, description="Quality of jpg, avif, and cut-outs in webp, 1 to 100.")
    drop_exif: bool = Field(False, description="Leave out the photograph's EXIF, such as date and place.")

    def rendering(self) -> Rendering:
        """Return the options for rendering; raise a ValueError for one that does not fit."""
        if self.background is not None:
            if self.kind != "composite":
                raise ValueError(f"background is for kind=composite only; got kind={self.kind}")
            parse_color(self.background)  # not a path, which `Rendering` would read
        return Rendering(
            cutout=self.kind != "mask",
            background=(self.background or "white") if self.kind == "composite" else None,
            format=cast("Format", ENDINGS.get(f".{self.format}", self.format)),  # jpeg is jpg
            threshold=self.threshold,
            crop=self.crop,
            margin=self.margin,
            quality=self.quality,
            drop_exif=self.drop_exif,
        )
