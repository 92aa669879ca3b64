"""The desk: people deciding about pictures in the browser, and the one writer of their decisions."""
