import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dichoseg.blocks import full_precision
from dichoseg.testing import ConformanceError, check_loss


def errors_of(logits, mask):
    return F.binary_cross_entropy_with_logits(logits, mask, reduction="none")


class Good(nn.Module):
    def forward(self, logits, mask):
        with full_precision(logits, mask) as (logits, mask):
            return errors_of(logits, mask).flatten(1).mean(dim=1).mean()


class PerPixel(Good):
    def forward(self, logits, mask):
        with full_precision(logits, mask) as (logits, mask):
            return errors_of(logits, mask)


class Number(Good):
    def forward(self, logits, mask):
        return super().forward(logits, mask).item()


class Rounds(Good):
    def forward(self, logits, mask):
        with full_precision(logits, mask) as (logits, mask):
            return ((logits > 0).to(mask.dtype) - mask).abs().mean()


class Logarithm(Good):
    """As published for probabilities."""

    def forward(self, logits, mask):
        with full_precision(logits, mask) as (logits, mask):
            probability = logits.sigmoid()
            return -(mask * probability.log() + (1 - mask) * (1 - probability).log()).mean()


class EmptyDividesByZero(Good):
    def forward(self, logits, mask):
        with full_precision(logits, mask) as (logits, mask):
            errors = (errors_of(logits, mask) * mask).flatten(1).sum(dim=1)
            return (errors / mask.flatten(1).sum(dim=1)).mean()


class InfiniteSlope(Good):
    def forward(self, logits, mask):
        with full_precision(logits, mask) as (logits, mask):
            return (logits.sigmoid() - mask).square().flatten(1).sum(dim=1).sqrt().mean()


class StaysHalf(Good):
    def forward(self, logits, mask):
        return errors_of(logits, mask.to(logits.dtype)).mean()


class SumsInHalf(Good):
    def forward(self, logits, mask):
        errors = errors_of(logits, mask.to(logits.dtype)) / mask[0].numel()
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        return errors.sum(dtype=logits.dtype).to(dtype) / len(mask)


class SingleOnly(Good):
    def forward(self, logits, mask):
        return super().forward(logits.float(), mask.float())


class ChangesLogits(Good):
    def forward(self, logits, mask):
        logits.detach().clamp_(-10, 10)
        return super().forward(logits, mask)


class ChangesMask(Good):
    def forward(self, logits, mask):
        mask.mul_(0.9).add_(0.05)
        return super().forward(logits, mask)


class OverTheBatch(Good):
    def forward(self, logits, mask):
        with full_precision(logits, mask) as (logits, mask):
            probability = logits.sigmoid()
            return 1 - (2 * (probability * mask).sum() + 1) / ((probability + mask).sum() + 1)


class Sums(Good):
    def forward(self, logits, mask):
        with full_precision(logits, mask) as (logits, mask):
            return errors_of(logits, mask).flatten(1).mean(dim=1).sum()


class Reversed(Good):
    def forward(self, logits, mask):
        return super().forward(-logits, mask)


class EdgeOnly(Good):
    """Wants another answer than the mask: nothing at all."""

    def forward(self, logits, mask):
        return super().forward(logits, 0 * mask)


class Counts(Good):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, logits, mask):
        self.calls += 1
        return super().forward(logits, mask) * self.calls


class Detaches(Good):
    def forward(self, logits, mask):
        with full_precision(logits, mask) as (logits, mask):
            weight = logits.detach().sigmoid()
            return (errors_of(logits, mask) * (1 + weight)).flatten(1).mean(dim=1).mean()


class InPlace(Good):
    def forward(self, logits, mask):
        with full_precision(logits, mask) as (logits, mask):
            probability = logits.sigmoid()
            distance = (probability - mask).square().mean()
            probability.mul_(2)
            return distance


class KeepsLambda(Good):
    def __init__(self):
        super().__init__()
        self.weight = lambda mask: mask


class SquareOnly(Good):
    def forward(self, logits, mask):
        return super().forward(logits @ logits, mask @ mask)


class NeedsGamma(Good):
    def __init__(self, gamma):
        super().__init__()


class NoLoss:
    pass


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            PerPixel,
            r"PerPixel, random logits of about 3 in float32, hard mask of 65x97: wanted a scalar, a tensor of ",
        ),
        (PerPixel, r"shape \(\); got shape \(2, 1, 65, 97\); average each image, then the batch: errors.flatten\(1\)"),
        (Number, "wanted a scalar, .*got a float"),
        (Rounds, "wanted a loss with a gradient; got one without; do not detach, round, threshold"),
        (
            Logarithm,
            "right logits of ±100 in float32, hard mask of 65x97: wanted a finite loss; got nan; compute it by",
        ),
        (EmptyDividesByZero, "empty mask of 65x97: wanted a finite loss; got nan; .*keep divisors away from 0"),
        (InfiniteSlope, "right logits .*wanted a finite gradient; got [0-9]+ values that are not"),
        (StaysHalf, "in bfloat16, .*wanted a loss in float32; got bfloat16; compute inside of `with full_precision"),
        (SumsInHalf, "SumsInHalf of logits in bfloat16: wanted .*, as for the same logits in float32; got"),
        (SingleOnly, "in float64, .*wanted a loss in float64; got float32; .*full_precision"),
        (ChangesLogits, "inputs that are not changed.*in place"),
        (ChangesMask, "inputs that are not changed.*in place"),
        (OverTheBatch, "for a batch of two images, the mean of their losses .* and .*per_image=False, and document it"),
        (Sums, "for a batch of two images, the mean of their losses"),
        (Reversed, "on a hard mask: wanted less for the right answer than for its opposite; got 20 and 3"),
        (EdgeOnly, "on a full mask: wanted less for the right answer.*check a loss .* with answer="),
        (Counts, "Counts: wanted the same value whenever it is called; got .* and then .*; .*a resumed run differs"),
        (Detaches, "on a hard mask: wanted a gradient that is the slope of the loss, .*no detach.*smooth=False"),
        (InPlace, "the backward pass fails with RuntimeError: one of the variables needed"),
        (KeepsLambda, "copying and pickling it fails with .*keep no lambdas"),
        (SquareOnly, "the loss fails with RuntimeError.*of any size"),
        (NeedsGamma, "NeedsGamma: building it without arguments fails with TypeError.*lambda: my_loss"),
        (NoLoss, r"wanted a callable that takes \(logits, mask\); got a NoLoss; give it a forward"),
    ],
)
def test_error_says_what_to_change(part, message):
    with pytest.raises(ConformanceError, match=message):
        check_loss(part)


def plain_function(logits, mask):
    return Good()(logits, mask)


@pytest.mark.parametrize("make", [Good, lambda: plain_function])
def test_value_sound_losses_pass(make):
    check_loss(make)


def test_value_options():
    check_loss(OverTheBatch, per_image=False)
    check_loss(Detaches, smooth=False)
    check_loss(EdgeOnly, answer=torch.zeros_like)
    check_loss(Good, size=(7, 40))


def test_error_finished_loss():
    with pytest.raises(TypeError, match="check_loss takes a class or function that .*: Good, or lambda"):
        check_loss(Good())
    with pytest.raises(ConformanceError, match="plain_function: building it without arguments fails.*lambda: my_loss"):
        check_loss(plain_function)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_value_on_a_gpu():
    check_loss(Good, device="cuda")
    with pytest.raises(ConformanceError, match="the loss fails with RuntimeError"):
        check_loss(lambda: lambda logits, mask: Good()(logits, mask) + torch.ones(2).mean(), device="cuda")
