import threading
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import GTEncoder, Predictor, Sample, SyntheticDataset, evaluate, load_model, save_model
from dichoseg.data import open_folders
from dichoseg.evaluation.scoring import THREADS
from dichoseg.metrics import Evaluator
from dichoseg.photographs import predict_files
from dichoseg.weights import resolve


def test_value_evaluate_equals_scoring_the_written_files(small_isnet, tmp_path):
    data = SyntheticDataset(3, size=96)
    for image, _, name in (data[index] for index in range(3)):
        Image.fromarray((image.permute(1, 2, 0) * 255).round().byte().numpy()).save(tmp_path / f"{name}.png")
    stored = [
        (
            torch.from_numpy(np.array(Image.open(tmp_path / f"{data[i].name}.png"))).permute(2, 0, 1) / 255,
            data[i].mask,
        )
        for i in range(3)
    ]
    assert predict_files(Predictor(small_isnet, precision="float32"), [tmp_path], tmp_path / "out").failures == ()
    evaluator = Evaluator(metrics=("paper",))
    for index in range(3):
        evaluator.update(
            np.array(Image.open(tmp_path / "out" / f"{data[index].name}.png")),
            stored[index][1][0].numpy() > 128 / 255,
        )
    assert evaluate(small_isnet, stored) == evaluator.compute()


def test_error_nothing_to_score(small_isnet):
    with pytest.raises(ValueError, match="the data set holds no samples to score"):
        evaluate(small_isnet, [])


class Watched:
    """Data set that is not thread-safe, and counts the samples that are alive."""

    def __init__(self, count, broken=None):
        self.count, self.broken = count, broken
        self.read, self.inside, self.alive, self.peak = [], threading.Semaphore(), 0, 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        assert self.inside.acquire(blocking=False), "read by two threads at once"
        self.read.append(index)
        if index == self.broken:
            self.inside.release()
            raise ValueError("broken.png cannot be read")
        image = torch.rand(3, 17, 33, generator=torch.Generator().manual_seed(index))
        self.alive += 1
        self.peak = max(self.peak, self.alive)
        weakref.finalize(image, self.free)
        self.inside.release()
        return image, (image[:1] > 0.5).float()

    def free(self):
        self.alive -= 1


def test_value_samples_overlap_without_changing_a_digit(small_isnet):
    data = Watched(7)
    evaluator, predictor = Evaluator(metrics=("all",)), Predictor(small_isnet, precision="float32")
    for image, mask in (data[index] for index in range(7)):
        evaluator.update((predictor(image) * 255).round().astype(np.uint8), mask[0].numpy() > 0.5)
    assert repr(evaluate(small_isnet, data, metrics=("all",))) == repr(evaluator.compute())
    assert data.peak <= 2 * THREADS + 1


def test_error_of_a_sample(small_isnet):
    data = Watched(12, broken=3)
    with pytest.raises(ValueError, match="broken.png cannot be read") as caught:
        evaluate(small_isnet, data, metrics=("fast",))
    assert caught.value.__notes__ == ["in sample 3 of the data set"]
    assert max(data.read) <= 3 + 2 * THREADS
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dichoseg_")]


def test_value_gt_encoder_is_scored_on_masks(small_isnet):
    gt_encoder, data = GTEncoder.like(small_isnet), Watched(2)
    evaluator, predictor = Evaluator(metrics=("fast",)), Predictor(gt_encoder, precision="float32")
    for _, mask in (data[index] for index in range(2)):
        evaluator.update((predictor(mask) * 255).round().astype(np.uint8), mask[0].numpy() > 0.5)
    assert evaluate(gt_encoder, data, metrics=("fast",)) == evaluator.compute()


def test_value_ignored_pixels_of_samples(small_isnet):
    image, mask, name = SyntheticDataset(1, size=96)[0]
    weight = torch.ones_like(mask)
    weight[..., :48] = 0
    results = [
        evaluate(small_isnet, [Sample(image, torch.where(weight > 0, mask, fill), name, weight)]) for fill in (0.0, 1.0)
    ]
    assert results[0] == results[1] != evaluate(small_isnet, [(image, mask)])
    with pytest.raises(ValueError, match="weight must be .* 0 to 0") as caught:
        evaluate(small_isnet, [Sample(image, mask, name, 0 * weight)])
    assert "sample 0" in caught.value.__notes__[0]


def test_value_a_folder_is_scored_by_its_validation_set(small_isnet, tmp_path):
    for part, count in (("train", 3), ("val", 2)):
        for sample in (SyntheticDataset(count, size=64)[index] for index in range(count)):
            for kind, pixels in (("im", sample.image), ("gt", sample.mask)):
                (tmp_path / part / kind).mkdir(parents=True, exist_ok=True)
                levels = (pixels * 255).byte().permute(1, 2, 0).squeeze(2).numpy()
                Image.fromarray(levels).save(tmp_path / part / kind / f"{part}_{sample.name}.png")
    metrics = ("mae",)
    whole = evaluate(small_isnet, str(tmp_path), metrics=metrics)
    assert whole == evaluate(small_isnet, open_folders(tmp_path)[1], metrics=metrics)
    assert whole == evaluate(small_isnet, tmp_path / "val", metrics=metrics)
    assert whole != evaluate(small_isnet, tmp_path / "train", metrics=metrics)


def test_value_a_model_that_has_seen_the_test_sets_is_logged(small_isnet, tmp_path, caplog):
    data = SyntheticDataset(1, size=64)
    evaluate(small_isnet, data, metrics=("fast",))
    assert caplog.text == ""
    small_isnet.origin = resolve("inspyrenet")
    save_model(small_isnet, tmp_path)
    evaluate(load_model(tmp_path), data, metrics=("fast",))
    assert "inspyrenet was trained on images of DUTS-TE, " in caplog.text
    assert len(caplog.records) == 1
