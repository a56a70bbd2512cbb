"""A user's own loss or training step: a function that gets hyperparameters by the names of its parameters.

    def focal(logits, labels, gamma=2.0): ...               # a loss: logits (N, classes), labels (N,) -> ()
    def step(network, batch, learning_rate): ...            # a step: forward and backward passes -> the loss, ()

Both are named in a configuration (`training.loss: mypackage:focal`) or given to a trainable. What a function's further
parameters are called decides what they get: hyperparameters of the trial, and settings of the training.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from search.config.sections import NO_VALUES, ConfigError, PlainTrainConfig
from search.extensions import load_extension
from search.training.loop import TrainingError
from search.training.steps import Step, plain_step
from spaces.errors import listed

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class TrainingCode:
    """What replaces cross entropy, or the whole step; None where ours does it. Raises `ConfigError` for both."""

    loss: Function | None = None
    step: Function | None = None

    def __post_init__(self) -> None:
        if self.loss is not None and self.step is not None:
            raise ConfigError("a step computes its own loss: give a step or a loss, not both")

    @classmethod
    def of(cls, loss: str | Function | None, step: str | Function | None) -> Self:
        """Functions, or the names of functions. Raises `ConfigError`."""
        return cls(_function(loss, "the loss"), _function(step, "the training step"))

    def parameters(self) -> set[str]:
        """The names that it reads."""
        function = self.loss or self.step
        return set() if function is None else {each.name for each in _further(function)}

    def make_step(
        self,
        network: nn.Module,
        config: PlainTrainConfig,
        hyperparameters: Mapping[str, object],
        weights: Tensor | None = None,
        precision: torch.dtype = torch.float32,
    ) -> Step:
        """The step that trains a network; `weights` are those of the classes in cross entropy. A whole step chooses its
        own precision. Raises `ConfigError` where a parameter has no value."""
        values = {name: getattr(config, name) for name in PlainTrainConfig.model_fields.keys() - NO_VALUES} | dict(
            hyperparameters
        )
        if self.step is not None:
            step, named = self.step, _arguments(self.step, values)
            return lambda batch: _checked(step(network, batch, **named), "step").detach()
        if self.loss is None:
            return plain_step(network, config, weights, precision=precision)
        loss, named = self.loss, _arguments(self.loss, values)
        return plain_step(
            network,
            config,
            loss_of=lambda logits, labels: _checked(loss(logits, labels, **named), "loss"),
            precision=precision,
        )


def _function(given: str | Function | None, what: str) -> Function | None:
    found = load_extension(given, what) if isinstance(given, str) else given
    if found is not None and not callable(found):
        raise ConfigError(f"{what} {given} is not a function")
    return found  # pyright: ignore[reportReturnType] - what it returns is checked when it is called


def _further(function: Function) -> list[inspect.Parameter]:
    """The parameters after the first two."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # of C's, without a signature
        return []
    return [each for each in parameters[2:] if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]


def _arguments(function: Function, values: Mapping[str, object]) -> dict[str, object]:
    further = _further(function)
    missing = [each.name for each in further if each.name not in values and each.default is each.empty]
    if missing:
        name = getattr(function, "__name__", "the function")
        raise ConfigError(
            f"{name} needs {listed(missing)}: give each as a hyperparameter of that name, or a default in {name}"
        )
    return {each.name: values[each.name] for each in further if each.name in values}


def _checked(loss: object, what: str) -> Tensor:
    if isinstance(loss, Tensor) and loss.shape == ():
        return loss
    found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
    raise TrainingError(f"the {what} must return one number as a tensor of shape (), got {found}")
