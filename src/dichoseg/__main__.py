"""`python -m dichoseg`."""

from .cli import main

if __name__ == "__main__":
    main()
