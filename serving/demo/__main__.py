"""`python -m serving.demo` plays a week. What it imports is no part of the processes that the gateway starts."""

from runtime.command import run

if __name__ == "__main__":
    from serving.demo.show import main

    run(main)
