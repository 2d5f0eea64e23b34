"""A model that is compiled in place.

Imports torch.
"""

from __future__ import annotations

from typing import Any

import torch

from lrctl.errors import UsageError


class Compiled:
    """What a model does when it is called, compiled; the names in its state stay.

    `model.compile()` compiles nothing, and says nothing, where the model is of a class of torch's own, such as
    `nn.Sequential`: torch passes over frames of its own code. So what is compiled is a frame of ours around it.
    """

    def __init__(self, model: torch.nn.Module, where: str) -> None:
        self.where, self.called = where, False

        def call(*inputs: Any, **named: Any) -> Any:
            if not torch.compiler.is_compiling():  # the compiler leaves this out of what it compiles
                raise UsageError(
                    f"{where}: torch compiled nothing of the model, or gave up on it; leave out training.compile, or "
                    "look for what turns the compiler off (TORCH_COMPILE_DISABLE, torch.compiler.disable) or has it "
                    "compile anew too often (TORCH_LOGS=recompiles shows that)"
                )
            return model._call_impl(*inputs, **named)  # type: ignore[no-untyped-call]

        self.compiled = torch.compile(call)
        model._compiled_call_impl = self

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        self.called = True
        return self.compiled(*inputs, **named)

    def check_called(self) -> None:
        """Refuse a model that is trained by its parts: these are not compiled.

        Raises:
            UsageError: it was not called yet.
        """
        if not self.called:
            raise UsageError(
                f"{self.where}.loss: with training.compile the model must be called as a whole, model(...), and this "
                "calls its parts or its forward, which are not compiled; call it, or leave out training.compile"
            )
