"""HTTP service: masks, cut-outs and composites of uploaded photographs. Needs the extra `serve`."""

from .app import create_app as create_app
from .limits import Limits as Limits
