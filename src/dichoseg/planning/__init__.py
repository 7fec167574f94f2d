"""Plans for a training run, made before its first step: a proposal of all its values, and the memory that it takes."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .fitting import FittingOption as FittingOption
    from .fitting import fitting_options as fitting_options
    from .forecast import MemoryForecast as MemoryForecast
    from .forecast import forecast_memory as forecast_memory
    from .machine import Machine as Machine
    from .machine import describe_machine as describe_machine
    from .proposal import Proposal as Proposal
    from .proposal import propose as propose
    from .recipe import Recipe as Recipe
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "fitting": "FittingOption fitting_options",
            "forecast": "MemoryForecast forecast_memory",
            "machine": "Machine describe_machine",
            "proposal": "Proposal propose",
            "recipe": "Recipe",
        },
    )
