"""Verify the catalogue of published weights at its addresses: size and hash asked for, file downloaded, loaded, tried.

    make verify-catalogue NAMES="isnet-general-use u2net"

Each file is downloaded from each of its addresses, to a folder that is removed at the end. The map of a drawn scene
must be the same for all files of the same weights, such as `u2net` and `u2net-pth`.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator

import numpy as np

import dichoseg
from dichoseg.records import HUB_ADDRESS, Weights
from dichoseg.weights import catalogue, fetch
from dichoseg.weights.cache import remove

TOLERANCE = 0.02
"""Largest mean difference between the maps of two files of the same weights, which may be in half precision."""


def main() -> int:
    """Verify the named records, or all; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names of weights; default: all")
    names = parser.parse_args().names
    records = [catalogue.resolve(name) for name in names] or catalogue.RECORDS
    failures = 0
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"DICHOSEG_HOME": home, "HF_HUB_CACHE": f"{home}/hub"}  # before huggingface_hub is imported
        for place, result, is_right in verify(records):
            failures += not is_right
            print("ok    " if is_right else "FAILED", place, result, flush=True)
    return 1 if failures else 0


def verify(records: Iterable[Weights]) -> Iterator[tuple[str, str, bool]]:
    """Verify records; yield each address or name with what was found, and whether it is right."""
    scene = dichoseg.SyntheticDataset(1, size=512, seed=0)[0]
    maps: dict[str, np.ndarray] = {}
    for record in records:
        for address in record.addresses:
            single = dataclasses.replace(record, addresses=(address,))
            try:
                asked = ask(single)
                size = fetch(single, accept_license=True, quiet=True).stat().st_size
                mask = dichoseg.predict(scene.image, dichoseg.load_model(single))
            except Exception as error:  # the hub's client may fail in many ways, and the others are verified anyway
                yield f"{record.name} {address}", str(error), False
                continue
            finally:
                remove(single)  # the next address has to provide it too
            is_right = record.bytes in (None, size)
            yield f"{record.name} {address}", f"{asked}; downloaded {size} bytes, verified, loaded", is_right
            base = record.name.removesuffix("-pth").removesuffix("-onnx").removesuffix("-fp16")
            difference = float(np.abs(mask - maps.setdefault(base, mask)).mean())
            union = np.maximum(mask, scene.mask[0].numpy()).sum()
            overlap = np.minimum(mask, scene.mask[0].numpy()).sum() / union
            yield record.name, f"IoU {overlap:.3f}, {difference:.4f} from {base}", difference <= TOLERANCE


def ask(record: Weights) -> str:
    """Ask the address of a record for the size and the hash of the file, without downloading it."""
    at = HUB_ADDRESS.fullmatch(record.addresses[0])
    if at is not None:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        endpoint = os.environ.get("HF_ENDPOINT")
        metadata = get_hf_file_metadata(hf_hub_url(at["repo"], at["file"], revision=at["revision"], endpoint=endpoint))
        found, etag = metadata.size, metadata.etag
    else:
        request = urllib.request.Request(record.addresses[0], method="HEAD", headers={"User-Agent": "dichoseg"})
        with urllib.request.build_opener().open(request, timeout=30) as response:
            length = response.headers.get("Content-Length")
            found, etag = None if length is None else int(length), response.headers.get("ETag")
    if record.bytes is not None and found not in (None, record.bytes):
        raise ValueError(f"the address states {found} bytes; the record {record.bytes}")
    if record.sha256 is not None and etag is not None and len(etag) == 64 and etag != record.sha256:
        raise ValueError(f"the address states sha256 {etag}; the record {record.sha256}")
    return f"states {found} bytes, ETag {etag}"


if __name__ == "__main__":
    sys.exit(main())
