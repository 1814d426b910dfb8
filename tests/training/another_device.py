"""A device of its own for PyTorch: it computes on the CPU, and refuses what CUDA would refuse.

Its tensors say that they are on "meta", and hold their numbers in a tensor of the CPU. Operations
on tensors of both raise RuntimeError, and so does reading one of its tensors without `.cpu()`.
So whole trainings can show, without a GPU, that they move what they must, and learn the same.
"""

from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

import torch
from torch.optim import optimizer
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

AWAY = torch.device("meta")
_MOVED, _COPIED = torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default


class _AwayTensor(torch.Tensor):
    """A tensor that is on `AWAY`; its numbers are those of `here`."""

    @staticmethod
    def __new__(cls, here):
        layout = (here.size(), here.stride(), here.storage_offset())
        return torch.Tensor._make_wrapper_subclass(cls, *layout, dtype=here.dtype, device=AWAY)

    def __init__(self, here):
        self.here = here

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _computed(function, args, kwargs or {})


class _Dispatch(TorchDispatchMode):
    """Also makes the new tensors that are asked for on `AWAY`."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _computed(function, args, kwargs or {})


def _computed(function, args, kwargs):
    tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, torch.Tensor)]
    is_away = [isinstance(each, _AwayTensor) for each in tensors]
    wanted = kwargs.get("device")
    if not any(is_away) and wanted != AWAY:
        return function(*args, **kwargs)
    if function not in (_MOVED, _COPIED):
        # CUDA takes single numbers from the CPU
        left = [
            each.shape
            for each, away in zip(tensors, is_away, strict=True)
            if not away and each.ndim
        ]
        if left and any(is_away):
            raise RuntimeError(f"{function}: tensors of shapes {left} are on another device")
    here_args, here_kwargs = tree_map_only(_AwayTensor, lambda each: each.here, (args, kwargs))
    if wanted is not None:
        here_kwargs["device"] = torch.device("cpu")
    found = function(*here_args, **here_kwargs)
    if wanted not in (None, AWAY):
        return found.clone()  # not the memory of the one that was moved
    if function is _COPIED and not is_away[0]:
        return args[0]
    return return_and_correct_aliasing(
        function, args, kwargs, tree_map_only(torch.Tensor, _AwayTensor, found)
    )


@contextmanager
def trained_on(*files):
    """Within it, the trainings of these modules choose `AWAY`."""
    names = {name: getattr(torch, name) for name in dir(torch) if not name.startswith("__")}
    # generators draw on the CPU, as the numbers are there
    names["Generator"] = lambda device=None: torch.Generator()
    names["autocast"] = _no_autocast  # "meta" has none
    supported = patch.object(
        optimizer, "_get_fused_kernels_supported_devices", lambda: [AWAY.type, "cpu"]
    )
    chosen = [patch.object(file, "choose_device", lambda name: AWAY) for file in files]
    drawn = [patch.object(file, "torch", SimpleNamespace(**names)) for file in files]
    with patch.object(torch, "autocast", _no_autocast), supported, _Dispatch():
        for each in (*chosen, *drawn):
            each.start()
        try:
            yield
        finally:
            for each in (*chosen, *drawn):
                each.stop()


@contextmanager
def _no_autocast(*_, **__):
    yield
