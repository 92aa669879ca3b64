"""Write the sample library into data/: `python -m sample`."""

import logging

from sample.write import write
from stages._command import run

log = logging.getLogger(__name__)


def main() -> None:
    """Run the command."""
    num_pictures = write("data")
    log.info("sample: %d pictures in data/library, data/benchmarks and data/unlabelled", num_pictures)


if __name__ == "__main__":
    run(main)
