"""Swap the decoder of IS-Net, by name and by object."""

# --8<-- [start:by-name]
import dichoseg

small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}
preprocessing = dichoseg.Preprocessing(size=64)
model = dichoseg.create_model(
    "isnet",
    encoder_args=small,
    decoder="deconv",
    preprocessing=preprocessing,
)
scenes = dichoseg.SyntheticDataset(8, size=64)
history = dichoseg.fit(model, scenes, epochs=2, batch_size=4)
print(f"loss {history[0]['loss']:.3f} -> {history[-1]['loss']:.3f}")
# --8<-- [end:by-name]

# --8<-- [start:by-object]
encoder = dichoseg.encoders.RSUEncoder(
    channels=(8, 16, 16),
    mid_channels=(4, 8, 8),
    strides=(2, 4, 8),
    stem_channels=8,
)
decoder = dichoseg.decoders.DeconvDecoder(encoder.feature_info)
model = dichoseg.Segmenter(encoder, decoder, preprocessing=preprocessing)
# --8<-- [end:by-object]
dichoseg.fit(model, dichoseg.SyntheticDataset(4, size=64), epochs=1, batch_size=4)
