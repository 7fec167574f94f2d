"""Which version is installed; apart, because reading it takes ten times as long as importing the package."""

from importlib.metadata import version

__version__ = version("dichoseg")
