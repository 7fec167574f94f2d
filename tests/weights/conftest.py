"""Shared by the tests of weights."""

from ..web import server as server
from ..web import tiny_weights as tiny_weights
from ..web import web as web
