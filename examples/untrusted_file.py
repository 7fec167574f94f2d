"""Load a file from a source that you do not trust."""

# --8<-- [start:load]
import dichoseg

try:
    model = dichoseg.load_model("upload.pth")
except dichoseg.UnusableFileError as error:  # a ValueError; it names the file
    print(error)
# --8<-- [end:load]
