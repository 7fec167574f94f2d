"""Train with parameter groups, averaged weights, less memory and early stopping."""

# --8<-- [start:machine]
import functools
import os

import torch

import dichoseg
from dichoseg.photographs import predict_files
from dichoseg.planning import describe_machine, fitting_options, forecast_memory
from dichoseg.training import (
    EarlyStopping,
    checkpoint_activations,
    cosine,
    freeze,
    parameter_groups,
)

train_data, val_data = dichoseg.FolderDataset("data/im", "data/gt").split(0.1, seed=0)
model = dichoseg.create_model("isnet", size=1024)
dichoseg.fit(model, train_data, val_data=val_data, workers=4, epochs=10, out="runs/a")
# --8<-- [end:machine]

# --8<-- [start:memory]
model = dichoseg.create_model(
    "isnet", encoder="timm:resnet18", pretrained=True, decoder="fpn", size=512
)
checkpoint_activations(model)  # recompute activations to save memory
# --8<-- [end:memory]

# --8<-- [start:forecast]
print(forecast_memory(model, batch_size=8).text())
memory = describe_machine().training_memory_gb  # or 24, of another machine
for option in fitting_options(model, memory, batch_size=8):
    print(option.batch_size, option.accumulate, option.recompute, option.forecast.total)
# --8<-- [end:forecast]


# --8<-- [start:rates]
def optimizer(_: object, lr: float) -> torch.optim.Optimizer:
    """Return AdamW, with a tenth of its learning rate for the trained encoder."""
    groups = parameter_groups(model, lr, encoder=0.1, weight_decay=1e-2)
    return torch.optim.AdamW(groups, fused=True)


def tell(_: torch.nn.Module, row: dict[str, float]) -> None:
    """Print the speed of an epoch."""
    speed, busy = row["images_per_second"], row["busy"]
    print(f"epoch {row['epoch']:.0f}: {speed:.1f} images/s, busy {busy:.0%}")


history = dichoseg.fit(
    model,
    train_data,
    val_data=val_data,
    batch_size=2,
    optimization=dichoseg.Optimization(
        optimizer=optimizer,
        schedule=functools.partial(cosine, warmup=500),
        accumulate=4,  # eight images per step
        ema=0.999,
    ),
    epochs=50,
    on_epoch=[EarlyStopping(10), tell],
    out="runs/b",
    resume=True,  # resume the run, or start it if it does not exist
)
# --8<-- [end:rates]

# --8<-- [start:freeze]
freeze(model.get_submodule("encoder"))  # includes its batch norm
dichoseg.fit(model, train_data, epochs=10, batch_size=8)
# --8<-- [end:freeze]

# --8<-- [start:sizes]
model = dichoseg.load_model("isnet-general-use")
dichoseg.fit(
    model,
    train_data,
    val_data=val_data,
    sizes=(512, 768, 1024),
    batch_size=2,
    optimization=dichoseg.Optimization(accumulate=4),
    epochs=10,
    out="runs/sizes",
)
# --8<-- [end:sizes]

# --8<-- [start:predict]
rank, local_rank, world_size = (
    int(os.environ.get(name, default))
    for name, default in (("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", 1))
)
device = f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"
predictor = dichoseg.Predictor(model, device=device)
part = (rank, world_size)
print(predict_files(predictor, ["photographs"], "masks", resume=True, part=part).text())
# --8<-- [end:predict]
