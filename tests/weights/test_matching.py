from pathlib import Path

import pytest
import torch

from dichoseg import create_model
from dichoseg.inference.folding import _folding_pairs
from dichoseg.records import Published
from dichoseg.weights.matching import _followed_by_norm, best_match, match_record, published_records, weights_of
from dichoseg.weights.reading import StoredWeights


def stored(state):
    return StoredWeights(Path("w.pth"), "torch checkpoint", state)


def test_value_own_names(small_isnet):
    match = best_match(small_isnet, stored(dict(small_isnet.state_dict())))
    assert match.differences == 0
    assert set(match.state) == set(small_isnet.state_dict())
    assert match.others == []


@pytest.mark.parametrize("wrapper", ["", "module.", "net._orig_mod.", "anything.at.all."])
def test_value_differences_by_the_files_names(small_isnet, wrapper):
    state = {f"{wrapper}{key}": value for key, value in small_isnet.state_dict().items()}
    del state[f"{wrapper}heads.sides.1.bias"]
    state[f"{wrapper}heads.sides.9.bias"] = torch.zeros(1)
    state[f"{wrapper}encoder.stem.bias"] = torch.zeros(3)
    match = best_match(small_isnet, stored(state))
    assert match.missing == ["heads.sides.1.bias"]
    assert match.unexpected == [f"{wrapper}heads.sides.9.bias"]
    assert match.reshaped == [f"{wrapper}encoder.stem.bias (3,) for (8,)"]


def test_value_what_is_not_behind_the_wrapper_belongs_to_others(small_isnet):
    state = {f"net.{key}": value for key, value in small_isnet.state_dict().items()}
    state |= {f"teacher.{key}": value + 1 for key, value in small_isnet.state_dict().items() if "encoder" in key}
    match = best_match(small_isnet, stored({**state, "loss.scale": torch.ones(1)}))
    assert match.differences == 0
    assert torch.equal(match.state["encoder.stem.bias"], small_isnet.encoder.stem.bias)
    assert "loss.scale" in match.others
    assert "teacher.encoder.stem.bias" in match.others


@pytest.mark.parametrize("wrapper", ["ema.", "net."])
def test_value_two_of_one_kind_are_not_chosen_between(small_isnet, wrapper):
    own = dict(small_isnet.state_dict())
    match = best_match(small_isnet, stored(own | {f"{wrapper}{key}": value + 1 for key, value in own.items()}))
    assert match.unexpected == [f"two networks of one kind, behind 'no wrapper' and '{wrapper[:-1]}'"]
    assert match.state == {}


def test_value_integers_are_no_weights(small_isnet):
    state = {
        key: value.int() if key == "encoder.stem.bias" else value for key, value in small_isnet.state_dict().items()
    }
    assert best_match(small_isnet, stored(state)).reshaped == ["encoder.stem.bias torch.int32 for torch.float32"]


def test_value_counters_are_not_needed():
    model = create_model("u2netp")
    needed = weights_of(model)
    assert len(model.state_dict()) - len(needed) == 112
    assert best_match(model, stored({key: model.state_dict()[key] for key in needed})).differences == 0


@pytest.mark.parametrize("name", dict(published_records()))
def test_value_the_order_of_definition_tells_which_norm_follows(name):
    with torch.device("meta"):
        model = create_model(name)
    assert _followed_by_norm(model) == _folding_pairs(model)


def test_value_variants_are_records_of_their_own():
    records = dict(published_records())
    assert records["birefnet(backbone='resnet50')"].names == records["birefnet"].variants["backbone='resnet50'"]
    assert records["birefnet(backbone='resnet50')"].variants == {}


def test_value_unused_tensors_of_known_modules(small_isnet):
    own = {key.rpartition(".")[0]: key.rpartition(".")[0] for key in small_isnet.state_dict()}
    state = {**small_isnet.state_dict(), "encoder.stem.index": torch.zeros(2, dtype=torch.int64)}
    assert match_record(small_isnet, stored(state), Published(names=own)).unexpected == ["encoder.stem.index"]
    assert match_record(small_isnet, stored(state), Published(names=own, unused=("stem.index",))).differences == 0
