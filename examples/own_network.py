"""Compose a network of objects step by step, train it, supervise it and save it.

It prints the numbers of the tutorial, in three minutes on one core.
"""

# --8<-- [start:imports]
import dataclasses
import functools
import logging

import torch

import dichoseg
from dichoseg import losses, objectives
from dichoseg.contracts import Encoder
from dichoseg.decoders import FPNDecoder
from dichoseg.encoders import RSUEncoder, TimmEncoder

logging.basicConfig(format="%(message)s", level=logging.INFO)
torch.manual_seed(0)
# --8<-- [end:imports]


# --8<-- [start:encoder]
def small_encoder() -> RSUEncoder:
    """Create an encoder with four stages of residual U-blocks."""
    return RSUEncoder(
        channels=(16, 32, 48, 64),
        mid_channels=(8, 16, 24, 32),
        strides=(2, 4, 8, 16),
        stem_channels=16,
    )


encoder = small_encoder()
image = torch.rand(2, 3, 65, 97)  # any size
features = encoder(image)
print(encoder.feature_info)
print([tuple(feature.shape) for feature in features])
# --8<-- [end:encoder]

# --8<-- [start:decoder]
decoder = FPNDecoder(encoder.feature_info, channels=32)
print(decoder.feature_info)
print([tuple(feature.shape) for feature in decoder(features)])
# --8<-- [end:decoder]

# --8<-- [start:heads]
heads = dichoseg.SideHeads(decoder.feature_info)
model = dichoseg.Segmenter(encoder, decoder, heads)
prediction = model(image)
print(tuple(prediction.logits.shape))
print([tuple(logits.shape) for logits in prediction.side_logits])
# --8<-- [end:heads]


# --8<-- [start:network]
def network(encoder: Encoder) -> dichoseg.Segmenter:
    """Create a feature pyramid on any encoder, for images of 96 pixels."""
    decoder = FPNDecoder(encoder.feature_info, channels=32)
    heads = dichoseg.SideHeads(decoder.feature_info)
    model = dichoseg.Segmenter(encoder, decoder, heads)
    model.preprocessing = dataclasses.replace(encoder.preprocessing, size=96)
    return model


# --8<-- [end:network]

# --8<-- [start:overfit]
training = dichoseg.SyntheticDataset(192, size=96, seed=0)
optimization = dichoseg.Optimization(learning_rate=3e-3)
try_out = functools.partial(
    dichoseg.training.overfit,
    batches=1,
    epochs=60,
    optimization=optimization,
)

try_out(network(small_encoder()), training)
# --8<-- [end:overfit]

# --8<-- [start:train]
validation = dichoseg.SyntheticDataset(32, size=96, seed=1)
train = functools.partial(
    dichoseg.fit,
    val_data=validation,
    epochs=10,
    optimization=optimization,
)

plain = network(small_encoder())
history = train(plain, training)
names = ("loss", "main", "side_1", "quick_max_f")
print({name: round(history[-1][name], 3) for name in names})
# --8<-- [end:train]

# --8<-- [start:loss]
objective = objectives.WeightedSum(
    bce=(1.0, objectives.DeepSupervision(losses.BCELoss())),
    edge=(0.5, objectives.DeepSupervision(losses.EdgeBCELoss())),
)
edged = network(small_encoder())
history = train(edged, training, objective=objective)
names = ("loss", "bce/main", "edge/main", "quick_max_f")
print({name: round(history[-1][name], 3) for name in names})
# --8<-- [end:loss]

# --8<-- [start:gt-encoder]
supervised = network(small_encoder())
gt_encoder = dichoseg.fit_gt_encoder(
    supervised,
    training,
    epochs=10,
    optimization=optimization,
)
objective = objectives.WeightedSum(
    bce=(1.0, objectives.DeepSupervision(losses.BCELoss())),
    features=(0.2, objectives.IntermediateSupervision(gt_encoder)),
)
history = train(supervised, training, objective=objective)
names = ("loss", "bce/main", "features/feature_1", "quick_max_f")
print({name: round(history[-1][name], 3) for name in names})
# --8<-- [end:gt-encoder]

# --8<-- [start:scores]
test = dichoseg.SyntheticDataset(32, size=96, seed=2)
trained = {"plain": plain, "edge loss": edged, "GT encoder": supervised}
measures = ("mae", "max_f", "boundary_iou")
for name, model in trained.items():
    scores = dichoseg.evaluate(model, test, metrics=measures)
    print(name, {measure: round(scores[measure], 3) for measure in measures})
# --8<-- [end:scores]

# --8<-- [start:save]
dichoseg.save_model(edged, "mine")
again = dichoseg.load_model("mine", model=network(small_encoder()))
mask = dichoseg.predict(test[0].image, again)  # (H, W) in [0, 1]
# --8<-- [end:save]

# --8<-- [start:backbone]
larger = network(TimmEncoder("resnet18"))
print(larger.feature_info)
try_out(larger, training)
# --8<-- [end:backbone]
