"""Use an encoder of segmentation_models_pytorch in a dichoseg network."""

# --8<-- [start:encoder]
import dataclasses

import segmentation_models_pytorch as smp

import dichoseg
from dichoseg.contracts import Encoder, FeatureInfo, Features, Image, Preprocessing
from dichoseg.testing import check_encoder


class SMPEncoder(Encoder):
    """Encoder of segmentation_models_pytorch, without image and empty features."""

    # used by most of its weights
    preprocessing = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

    def __init__(self, name: str, *, weights: str | None = None) -> None:
        super().__init__()
        self.backbone = smp.encoders.get_encoder(name, weights=weights)
        channels = self.backbone.out_channels
        self.kept = [index for index in range(1, len(channels)) if channels[index] > 0]
        self.feature_info = FeatureInfo(
            [channels[index] for index in self.kept],
            [2**index for index in self.kept],
        )

    def forward(self, image: Image) -> Features:
        """(B, 3, H, W) -> one feature per stage."""
        features = self.backbone(image)
        return tuple(features[index] for index in self.kept)


encoder = SMPEncoder("resnet18", weights="imagenet")  # downloads weights
decoder = dichoseg.decoders.DeconvDecoder(encoder.feature_info, channels=16)
model = dichoseg.Segmenter(encoder, decoder)
model.preprocessing = dataclasses.replace(model.preprocessing, size=512)

data = dichoseg.FolderDataset("data/im", "data/gt")
dichoseg.fit(model, data, epochs=30, batch_size=8)
# --8<-- [end:encoder]

# --8<-- [start:check]
check_encoder(lambda: SMPEncoder("resnet18"))
check_encoder(lambda: SMPEncoder("mit_b0"))
# --8<-- [end:check]
