"""Installed version; in a file of its own, because reading it takes ten times as long as importing the package."""

from importlib.metadata import version

__version__ = version("dichoseg")
