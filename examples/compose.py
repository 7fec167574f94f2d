"""Compose networks: a timm backbone with several decoders, by object and by name."""

import torch

import dichoseg

# --8<-- [start:compose]
from dichoseg.decoders import DeconvDecoder
from dichoseg.encoders import TimmEncoder

# any timm backbone with a feature pyramid
encoder = TimmEncoder("test_resnet", pretrained=False)
decoder = DeconvDecoder(encoder.feature_info, channels=16)
model = dichoseg.Segmenter(encoder, decoder, dichoseg.FusedHeads(decoder.feature_info))

prediction = model.eval()(torch.rand(1, 3, 65, 97))  # any image size
print(prediction.logits.shape, [tuple(side.shape) for side in prediction.side_logits])
# --8<-- [end:compose]

# --8<-- [start:decoders]
fpn = dichoseg.create_model(
    "isnet",
    encoder="timm:test_resnet",
    decoder="fpn",
    decoder_args={"channels": 64},
)
deconv = dichoseg.create_model(
    "isnet",
    encoder="timm:test_resnet",
    decoder="deconv",
    decoder_args={"nonlinear": True},
)
# --8<-- [end:decoders]
for network in (fpn, deconv):
    print(type(network.decoder).__name__, network.feature_info)

# --8<-- [start:patches]
with_image = dichoseg.encoders.PatchInjectionEncoder(
    TimmEncoder("test_resnet"),
    channels=16,
)
pyramid = dichoseg.decoders.FPNDecoder(with_image.feature_info, channels=64)
model = dichoseg.Segmenter(with_image, pyramid)
# --8<-- [end:patches]
print(encoder.feature_info.channels, "->", with_image.feature_info.channels)
