"""The two backbones of EGNet, as Caffe defined them: a ResNet-50 and a VGG-16."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..contracts import Encoder, FeatureInfo, Features, Image
from ..preprocessing import Preprocessing

CAFFE_INPUT = Preprocessing(size=None, channel_order="bgr", scale="byte", mean=(104.00699, 116.66877, 122.67892))
INPUT_DEVIATION = 64  # approximate; divides the first random weights to bring a new network's features near 1


class CaffeResNet50Encoder(Encoder):
    """ResNet-50 of EGNet (arXiv:1908.08297): timm's `resnet50` in Caffe's layout, with frozen batch norms.

    Channels 64, 256, 512, 1024, 2048 at strides 2, 4, 8, 16, 16; any image size. Differs from timm's `resnet50`: in
    the first block of stages 2 and 3, the first 1x1 convolution has the stride; the last stage keeps the resolution
    and has dilation 2 in every block; the stem's pooling rounds sizes up. The input is BGR in 0..255 minus a mean, at
    the photograph's own size.

    It is meant for the published weights. Until they are loaded, its batch norms are frozen at their initial values
    and normalize nothing. To train from other weights, use `TimmEncoder("resnet50", pretrained=True)`.
    """

    preprocessing = CAFFE_INPUT

    def __init__(self) -> None:
        import timm
        from timm.layers import freeze_batch_norm_2d

        super().__init__()
        # timm initializes the last norm of a block to zero gain, which would be frozen too
        backbone = timm.create_model("resnet50", features_only=True, output_stride=16, zero_init_last=False)
        backbone.conv1.weight.data.div_(INPUT_DEVIATION)
        backbone.maxpool.ceil_mode = True
        for stage in (backbone.layer2, backbone.layer3):
            stage[0].conv1.stride, stage[0].conv2.stride = stage[0].conv2.stride, stage[0].conv1.stride
        backbone.layer4[0].conv2.dilation = backbone.layer4[0].conv2.padding = (2, 2)
        self.backbone: nn.Module = freeze_batch_norm_2d(backbone)
        self.feature_info = FeatureInfo(backbone.feature_info.channels(), backbone.feature_info.reduction())

    def forward(self, image: Image) -> Features:
        """(B, 3, H, W) -> one feature of the stem and one per stage."""
        return tuple(self.backbone(image))


class VGG16Encoder(Encoder):
    """VGG-16 of EGNet (arXiv:1908.08297), followed by three more convolutions.

    Channels 128, 256, 512, 512, 512 at strides 2, 4, 8, 16, 32: conv2_2, conv3_3, conv4_3, conv5_3, and a last
    pooling with three 3x3 convolutions without bias. Any image size. Pooling is 3x3 with stride 2, 2x2 in timm's
    `vgg16`; the convolutions are the same: `convs.<index>` here is `features.<index>` there. The input is BGR in
    0..255 minus a mean, at the photograph's own size.
    """

    preprocessing = CAFFE_INPUT

    def __init__(self) -> None:
        super().__init__()
        self.feature_info = FeatureInfo((128, 256, 512, 512, 512), (2, 4, 8, 16, 32))
        self.convs = nn.Sequential(*_vgg16_layers())
        next(self.convs.parameters()).data.div_(INPUT_DEVIATION)
        self.top = nn.Sequential(*(layer for _ in range(3) for layer in _conv_relu(512, 512, bias=False)))
        self.taps = (8, 15, 22, 29)  # the ReLU of conv2_2, conv3_3, conv4_3, conv5_3

    def forward(self, image: Image) -> Features:
        """(B, 3, H, W) -> five features, each side rounded up."""
        feature = image
        features = []
        for index, layer in enumerate(self.convs):
            feature = layer(feature)
            if index in self.taps:
                features.append(feature)
        return (*features, self.top(feature))


def _vgg16_layers() -> Iterator[nn.Module]:
    in_channels = 3
    for out_channels, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            yield from _conv_relu(in_channels, out_channels)
            in_channels = out_channels
        yield nn.MaxPool2d(3, stride=2, padding=1)


def _conv_relu(in_channels: int, out_channels: int, *, bias: bool = True) -> tuple[nn.Module, nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv, nn.ReLU(inplace=True)
