"""Write what a gateway's log says: `python -m serving.usage`."""

from runtime.command import run
from serving.usage.report import main

if __name__ == "__main__":
    run(main)
