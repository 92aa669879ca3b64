"""How far a share that was counted on few pictures can be trusted."""


def interval(count: int, number: int) -> tuple[float, float]:
    """Give the 95 % interval of a share.

    Args:
        count: how many hold.
        number: of how many, at least one.

    Returns:
        Its ends, 0 to 1.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference"; SciPy's `binomtest`.
    """
    from scipy.stats import binomtest

    found = binomtest(count, number).proportion_ci(0.95, "wilson")
    return float(found.low), float(found.high)
