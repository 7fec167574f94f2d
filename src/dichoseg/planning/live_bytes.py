"""Count of the bytes that live while operators run, on real or on fake tensors."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any, final

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@final
class LiveBytes(TorchDispatchMode):
    """Mode that counts the bytes of the tensors that operators make, for as long as their storages live.

    Args:
        known: Tensors from before, which are not counted.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sizes = {tensor.untyped_storage()._cdata: 0 for tensor in known}
        self._known = list(known)  # or their addresses might be used again
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Run an operator, and count the bytes of its new tensors."""
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in self._sizes:
                storage = tensor.untyped_storage()
                self._sizes[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self._forget, storage._cdata)
        self.peak = max(self.peak, self.now + _hidden_bytes(func, args))
        return made

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def _hidden_bytes(func: Any, args: Sequence[Any]) -> int:
    """Return the bytes that torchvision's deformable convolution needs inside: its samples, tap by tap."""
    if not str(func).startswith(("torchvision.deform_conv2d", "torchvision._deform_conv2d_backward")):
        return 0
    features, _, offset = args[1:4] if "backward" in str(func) else args[:3]
    return int(features.shape[1] * offset.numel() // 2 * features.element_size())
