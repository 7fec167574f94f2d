"""Swap the decoder of IS-Net, by name and by object."""

# --8<-- [start:by-name]
import dichoseg

data = dichoseg.FolderDataset("data/im", "data/gt")
model = dichoseg.create_model("isnet", decoder="deconv", size=512)
dichoseg.fit(model, data, epochs=30, batch_size=4, out="runs/deconv")
# --8<-- [end:by-name]

# --8<-- [start:by-object]
encoder = dichoseg.encoders.RSUEncoder()
decoder = dichoseg.decoders.DeconvDecoder(encoder.feature_info)
model = dichoseg.Segmenter(
    encoder, decoder, preprocessing=dichoseg.Preprocessing(size=512)
)
dichoseg.fit(model, data, epochs=30, batch_size=4, out="runs/objects")
# --8<-- [end:by-object]
