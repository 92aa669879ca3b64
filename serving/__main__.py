"""`python -m serving` starts the gateway. What it imports is no part of the processes that it starts."""

from runtime.command import run

if __name__ == "__main__":
    from serving.start import main

    run(main)
