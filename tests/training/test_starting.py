import torch

from dichoseg import Preprocessing, SyntheticDataset, fit

DATA = SyntheticDataset(5, size=64)


def test_value_images_that_are_left_out_are_told(small_isnet, caplog):
    caplog.set_level("INFO")
    rows = fit(small_isnet, DATA, epochs=2, batch_size=2)
    assert "each epoch leaves out 1 of the images" in caplog.text
    assert all(row["loss"] > 0 for row in rows)


def test_value_warns_of_batches_of_one(small_isnet, caplog):
    small_isnet.preprocessing = Preprocessing(size=96)
    fit(small_isnet, [DATA[0]], epochs=1, batch_size=1)
    assert "every batch holds one image" in caplog.text


def test_value_no_warning_of_batches_of_one_without_batch_norm(small_isnet, caplog):
    for parent in list(small_isnet.modules()):
        for name, child in parent.named_children():
            if isinstance(child, torch.nn.BatchNorm2d):
                setattr(parent, name, torch.nn.GroupNorm(1, child.num_features))
    fit(small_isnet, [DATA[0]], epochs=1, batch_size=1)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
