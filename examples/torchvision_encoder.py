"""Use the stages of a torchvision network as an encoder."""

# --8<-- [start:encoder]
import dataclasses

import torch
from torch import nn
from torchvision.models import mobilenet_v3_small, resnet18

import dichoseg
from dichoseg.contracts import Encoder, FeatureInfo, Features, Image, Preprocessing
from dichoseg.testing import check_encoder


class StagesEncoder(Encoder):
    """Encoder that runs stages in sequence and returns the output of each."""

    # used by torchvision's weights
    preprocessing = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

    def __init__(self, *stages: nn.Module) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        with torch.no_grad():
            features = self.eval()(torch.zeros(1, 3, 64, 64))
        self.train()
        self.feature_info = FeatureInfo(
            [feature.shape[1] for feature in features],
            [64 // feature.shape[-1] for feature in features],
        )

    def forward(self, image: Image) -> Features:
        """(B, 3, H, W) -> one feature per stage."""
        features = [image]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return tuple(features[1:])


# --8<-- [end:encoder]


# --8<-- [start:network]
network = resnet18(weights="DEFAULT")  # downloads ImageNet weights
stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
first = nn.Sequential(stem, network.layer1)
encoder = StagesEncoder(first, network.layer2, network.layer3, network.layer4)
decoder = dichoseg.decoders.FPNDecoder(encoder.feature_info, channels=64)
model = dichoseg.Segmenter(encoder, decoder)
model.preprocessing = dataclasses.replace(model.preprocessing, size=512)

data = dichoseg.FolderDataset("data/im", "data/gt")
dichoseg.fit(model, data, epochs=30, batch_size=8)
# --8<-- [end:network]


# --8<-- [start:check]
def mobilenet() -> StagesEncoder:
    """Create an encoder from another network, split at each halving of the size."""
    layers = mobilenet_v3_small().features
    return StagesEncoder(layers[:1], layers[1:2], layers[2:4], layers[4:9], layers[9:])


check_encoder(mobilenet)
# --8<-- [end:check]
