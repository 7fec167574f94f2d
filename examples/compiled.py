"""Train and predict with a model that torch.compile compiles."""

# --8<-- [start:compile]
import dichoseg

data = dichoseg.FolderDataset("data/im", "data/gt")
model = dichoseg.create_model("isnet", size=512)
model.compile()
dichoseg.fit(model, data, epochs=30, batch_size=4)
# --8<-- [end:compile]
