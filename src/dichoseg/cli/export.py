"""`dichoseg export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import tyro

from .options import Flag, ModelArgument, Number, OptionalPath

Preset: TypeAlias = Literal["rembg-dis", "rembg-u2net", "rembg-birefnet"]


def export(
    model: ModelArgument,
    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DST")],
    *,
    size: Number = None,
    dynamic: Flag = False,
    preset: Preset | None = None,
    half: Flag = False,
    deform_conv: Literal["native", "grid_sample"] = "native",
    precision: Literal["float32", "int8"] = "float32",
    calibration: OptionalPath = None,
    overwrite: Flag = False,
) -> None:
    """Export a model to one file for other programs, and compare the file with the model.

    Args:
        model: Saved model, run folder, hub id, or published weights, by name or as a file.
        file: File that ends in .onnx, or in .pt2 (torch.export).
        size: Side of the square input of the network, in pixels. Default: the model's.
        dynamic: Accept any batch size, height and width.
        preset: Make the file for rembg's dis_custom (1024), u2net_custom (320) or birefnet-general (1024).
        half: Store weights as float16: half the file, same speed.
        deform_conv: Form of deformable convolutions: the operator of ONNX (opset 19), or GridSample, for other
            runtimes.
        precision: int8 computes in 8 bits: a quarter of the file, and faster; refused if it changes the maps too much.
        calibration: Folder of photographs to calibrate int8 on, 8 or more, similar to those that the file is for.
        overwrite: Replace an existing file.
    """
    from ..export import export_onnx, export_program
    from ..runtime.files import check_destination
    from ..weights import load_model

    suffix = file.suffix.lower()
    if suffix not in (".onnx", ".pt2"):
        raise ValueError(f"wanted a file that ends in .onnx or .pt2; got {file}")
    others = (dynamic, half, preset, deform_conv != "native", precision != "float32", calibration)
    if suffix == ".pt2" and any(others):
        names = "--precision, --calibration, --dynamic, --preset, --half and --deform-conv"
        raise ValueError(f"{names} are for .onnx files; got {file}")
    check_destination(file)
    if file.exists() and not overwrite:
        raise FileExistsError(f"{file} is there already; wanted a new file, or --overwrite to replace it")
    network = load_model(model)
    if suffix == ".pt2":
        difference = export_program(network, file, size=size)
    else:
        difference = export_onnx(
            network,
            file,
            size=size,
            dynamic=dynamic,
            preset=preset,
            half=half,
            deform_conv=deform_conv,
            precision=precision,
            calibration=calibration,
        )
    how = "on average, on the calibration photographs" if precision == "int8" else "at most"
    mebibytes = file.stat().st_size / 2**20
    print(f"{file}: {mebibytes:.1f} MiB; its probabilities differ from the model's by {difference:.1g} {how}")
    if preset is not None:
        print("\n".join(["in rembg:", *(f"  {line}" for line in _rembg_lines(file, preset))]))


def _rembg_lines(file: Path, preset: Preset) -> list[str]:
    """Return the commands that use a file in rembg, which reads only files below its own folder."""
    import json
    import os
    from shlex import quote

    if preset == "rembg-birefnet":  # which takes no path, but finds a file of this name in its folder
        source = Path(os.path.abspath(os.path.expanduser(file)))
        named = source.with_name("birefnet-general.onnx")
        lines = [] if source == named else [f"cp {quote(str(source))} {quote(str(named))}"]
        variables = f"U2NET_HOME={quote(str(source.parent))} MODEL_CHECKSUM_DISABLED=1"
        return [*lines, f"{variables} rembg i -m birefnet-general photo.jpg cutout.png"]
    session = {"rembg-dis": "dis_custom", "rembg-u2net": "u2net_custom"}[preset]
    home = os.environ.get("U2NET_HOME") or os.path.join(os.environ.get("XDG_DATA_HOME", "~"), ".u2net")
    folder, source = (Path(os.path.abspath(os.path.expanduser(path))) for path in (home, file))
    lines = []
    if not source.is_relative_to(folder):
        lines = [f"mkdir -p {quote(str(folder))}", f"cp {quote(str(source))} {quote(str(folder))}"]
        source = folder / source.name
    extras = json.dumps({"model_path": str(source)}, ensure_ascii=False)
    return [*lines, f"rembg i -m {session} -x {quote(extras)} photo.jpg cutout.png"]
