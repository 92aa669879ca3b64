"""Write the sample library into data/: `python -m sample`."""

import logging

from runtime.command import run
from runtime.wording import counted
from sample.write import write

log = logging.getLogger(__name__)


def main() -> None:
    """Run the command."""
    num_pictures = write("data")
    log.info("sample: %s in data/library, data/benchmarks and data/unlabelled", counted(num_pictures, "picture"))


if __name__ == "__main__":
    run(main)
