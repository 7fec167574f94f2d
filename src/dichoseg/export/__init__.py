"""Export: a model as one file for other programs, compared with the model before it is written.

`network` defines the computation of such a file, `onnx_file` writes ONNX, `program` writes torch.export's `.pt2`. Both
formats compute probabilities: they include the sigmoid and leave out the side heads.
"""

from .onnx_file import export_onnx as export_onnx
from .program import export_program as export_program
