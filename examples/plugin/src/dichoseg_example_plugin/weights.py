"""Published weights of the pocket network, by name."""

from dichoseg.records import Weights

DRAWN = Weights(
    name="drawn",
    network="dichoseg-example-plugin/pocket",
    file="pocket-drawn.pth",
    addresses=("https://example.org/pocket-drawn.pth",),
    sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bd6d7d6c15b0f00a08d3e",
    bytes=1_234_567,
    license="apache-2.0",
    license_source="the author",
    commercial="yes",
    training_data="synthetic scenes",
    purpose="drawings",
)
