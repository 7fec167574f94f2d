"""README.md for a package index, where neither pictures nor links of the repository lead anywhere."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = r"\]\((?!https?://|#)[^)]*\)"


class CustomMetadataHook(MetadataHookInterface):
    """Makes the project's long description of README.md."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme`: README.md without its own pictures, and with the text alone of links to its own files."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = re.sub(r"!\[[^]]*" + RELATIVE + r"\n*", "", text)
        text = re.sub(r"\[([^]]*)" + RELATIVE, r"\1", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
