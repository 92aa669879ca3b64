"""What the gateway tells Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

KIND = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counts and times of one gateway."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.answers = Counter(
            "gateway_answers", "Requests for an answer, by HTTP status", ["status"], registry=self._registry
        )
        self.shown = Counter(
            "gateway_shown", "Answers, by version and whether the user was told a class", ["version", "shown"],
            registry=self._registry,
        )  # fmt: skip
        self.unshipped_rows = Gauge("gateway_unshipped_rows", "Rows that are here alone", registry=self._registry)
        self.unshipped_seconds = Gauge(
            "gateway_unshipped_seconds", "Age of the oldest row that is here alone", registry=self._registry
        )
        self._parts = Histogram(
            "gateway_part_seconds", "Seconds of each part of an answer", ["part"], buckets=_BUCKETS,
            registry=self._registry,
        )  # fmt: skip

    def observe(self, part: str, milliseconds: float) -> None:
        """Note how long a part of an answer took."""
        self._parts.labels(part).observe(milliseconds / 1000)

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Give a number that is read when it is asked for."""
        Gauge(name, what, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Write all of them in Prometheus' format."""
        return generate_latest(self._registry)
