"""Train and predict with a model that torch.compile compiles."""

import dichoseg

small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}
scenes = dichoseg.SyntheticDataset(4, size=64)

# --8<-- [start:compile]
model = dichoseg.create_model(
    "isnet",
    encoder_args=small,
    preprocessing=dichoseg.Preprocessing(size=64),
)
# "eager" only traces; leave the backend out to generate kernels too
model.compile(backend="eager")
history = dichoseg.fit(model, scenes, epochs=1, batch_size=2)
# --8<-- [end:compile]
print(f"loss {history[-1]['loss']:.3f}")
print(next(iter(model.state_dict())))  # names do not change
mask = dichoseg.predict(scenes[0].image, model)
print(mask.shape)
