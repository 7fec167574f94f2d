"""Compose a network from parts: a timm backbone, a deconv decoder, and fused heads."""

import torch

import dichoseg

# --8<-- [start:compose]
from dichoseg.decoders import DeconvDecoder
from dichoseg.encoders import TimmEncoder

encoder = TimmEncoder("test_resnet", pretrained=False)  # any timm backbone with a feature pyramid
decoder = DeconvDecoder(encoder.feature_info, channels=16)
model = dichoseg.Segmenter(encoder, decoder, dichoseg.FusedHeads(decoder.feature_info))

prediction = model.eval()(torch.rand(1, 3, 65, 97))  # any image size
print(prediction.logits.shape, [tuple(side.shape[-2:]) for side in prediction.side_logits])
# --8<-- [end:compose]
