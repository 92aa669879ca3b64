"""Write the sample library into data/: `python -m sample`."""

import logging

from runtime.command import run
from sample.write import write

log = logging.getLogger(__name__)


def main() -> None:
    """Run the command."""
    num_pictures = write("data")
    log.info("sample: %d pictures in data/library, data/benchmarks and data/unlabelled", num_pictures)


if __name__ == "__main__":
    run(main)
