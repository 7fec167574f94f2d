"""Plans for a training run, made before its first step: the memory that it takes, and the machine that it runs on."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .fitting import FittingOption as FittingOption
    from .fitting import fitting_options as fitting_options
    from .forecast import MemoryForecast as MemoryForecast
    from .forecast import forecast_memory as forecast_memory
    from .machine import Machine as Machine
    from .machine import describe_machine as describe_machine
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "fitting": "FittingOption fitting_options",
            "forecast": "MemoryForecast forecast_memory",
            "machine": "Machine describe_machine",
        },
    )
