"""Compose networks: a timm backbone with several decoders, by object and by name."""

# --8<-- [start:compose]
import torch

import dichoseg
from dichoseg.decoders import DeconvDecoder, FPNDecoder
from dichoseg.encoders import PatchInjectionEncoder, TimmEncoder

# any timm backbone with a feature pyramid
encoder = TimmEncoder("resnet18", pretrained=True)
decoder = DeconvDecoder(encoder.feature_info, channels=16)
model = dichoseg.Segmenter(encoder, decoder, dichoseg.FusedHeads(decoder.feature_info))

prediction = model.eval()(torch.rand(1, 3, 65, 97))  # any image size
print(prediction.logits.shape, [tuple(side.shape) for side in prediction.side_logits])
# --8<-- [end:compose]

# --8<-- [start:decoders]
fpn = dichoseg.create_model(
    "isnet", encoder="timm:resnet18", pretrained=True, decoder="fpn(channels=64)"
)
deconv = dichoseg.create_model(
    "isnet", encoder="timm:resnet18", pretrained=True, decoder="deconv(nonlinear=True)"
)
# --8<-- [end:decoders]

# --8<-- [start:patches]
with_image = PatchInjectionEncoder(TimmEncoder("convnext_tiny"), channels=16)
pyramid = FPNDecoder(with_image.feature_info, channels=64)
patched = dichoseg.Segmenter(with_image, pyramid)
# --8<-- [end:patches]
