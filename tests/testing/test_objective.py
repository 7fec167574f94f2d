import pytest
import torch
import torch.nn.functional as F

from dichoseg import Prediction
from dichoseg.contracts import Objective
from dichoseg.objectives import DeepSupervision, EdgeSupervision
from dichoseg.testing import ConformanceError, check_objective
from dichoseg.testing.objective import NeedsExtrasError


def errors(logits, mask):
    return F.binary_cross_entropy_with_logits(logits, mask)


class Good(Objective):
    def terms(self, prediction, target):
        return {"main": errors(prediction.logits, target.unweighted_mask(self))}


class Weighted(Objective):
    def terms(self, prediction, target):
        return {"main": F.binary_cross_entropy_with_logits(prediction.logits, target.mask, target.weight)}


class NeedsImage(Objective):
    def terms(self, prediction, target):
        if target.image is None:
            raise ValueError("NeedsImage needs Target(image=...)")
        return {"main": (prediction.logits * target.image.mean(dim=1, keepdim=True)).square().mean()} | Good().terms(
            prediction, target
        )


class OfExtras(Objective):
    def terms(self, prediction, target):
        return {"extra": errors(prediction.extras["coarse"], target.unweighted_mask(self))}


class TakesAMask(Objective):
    """As objectives were before 0.2."""

    def terms(self, prediction, mask):
        return {"main": errors(prediction.logits, mask)}


class Scalar(Objective):
    def terms(self, prediction, target):
        return errors(prediction.logits, target.unweighted_mask(self))


class PerImage(Objective):
    def terms(self, prediction, target):
        return {"main": (prediction.logits - target.unweighted_mask(self)).square().flatten(1).mean(dim=1)}


class DividesByForeground(Objective):
    def terms(self, prediction, target):
        mask = target.unweighted_mask(self)
        return {"main": (prediction.logits.sigmoid() * mask).sum() / mask.sum()}


class Detaches(Objective):
    def terms(self, prediction, target):
        return {"main": errors(prediction.logits.detach(), target.unweighted_mask(self))}


class IgnoresWeights(Objective):
    def terms(self, prediction, target):
        return {"main": errors(prediction.logits, target.mask)}


class CrashesWithoutImage(Objective):
    def terms(self, prediction, target):
        return {
            "main": (prediction.logits * target.image.mean()).square().mean() + 0 * target.unweighted_mask(self).sum()
        }


class Counts(Good):
    calls = 0

    def terms(self, prediction, target):
        self.calls += 1
        return {"main": self.calls * super().terms(prediction, target)["main"]}


def with_extras(image):
    logits = torch.randn(len(image), 1, *image.shape[-2:], requires_grad=True)
    return Prediction(logits, extras={"coarse": torch.randn_like(logits, requires_grad=True)})


@pytest.mark.parametrize("objective", [Good, Weighted, NeedsImage, DeepSupervision, EdgeSupervision])
def test_value_good_objectives_pass(objective):
    check_objective(objective)


def test_value_an_objective_for_extras_needs_its_model():
    check_objective(OfExtras, predict=with_extras)
    with pytest.raises(ConformanceError, match="OfExtras: needs a model's extras 'coarse'"):
        check_objective(OfExtras)

    class Asks(OfExtras):
        def terms(self, prediction, target):
            if prediction.extras.get("coarse") is None and "fine" not in prediction.extras:
                raise ValueError("no")
            return super().terms(prediction, target)

    with pytest.raises(NeedsExtrasError, match="extras 'coarse', 'fine'"):
        check_objective(Asks)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (TakesAMask, r"the mask is target.mask, \(B, 1, H, W\)"),
        (Scalar, "a dict of named terms"),
        (PerImage, "a finite scalar tensor for 'main'"),
        (DividesByForeground, "on empty masks: wanted a finite scalar"),
        (Detaches, "terms with a gradient; got none"),
        (IgnoresWeights, "pixel weights that are used, or refused"),
        (CrashesWithoutImage, r"a bare mask fails with (TypeError|AttributeError).*if target.image is None"),
        (Counts, "the sum of its terms"),
    ],
)
def test_error_says_what_to_change(objective, message):
    with pytest.raises(ConformanceError, match=message):
        check_objective(objective)


def test_error_a_finished_objective():
    with pytest.raises(TypeError, match="check_objective takes a class or function that builds the objective"):
        check_objective(Good())
