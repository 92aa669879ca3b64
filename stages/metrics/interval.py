"""How far a fraction that was counted on few pictures can be trusted."""

from scipy.stats import beta

LEVEL = 0.95  # the usual one: of twenty true fractions, one lies outside its interval


def clopper_pearson(count: int, total: int) -> tuple[float, float] | None:
    """Compute the exact interval of a fraction that was counted; it covers the true one at least LEVEL of the times.

    Args:
        count: pictures of which something holds, 0 to `total`.
        total: pictures.

    Returns:
        Lowest and highest fraction, 0 to 1; None without pictures.

    Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the
        binomial".
    """
    if total == 0:
        return None
    tail = (1 - LEVEL) / 2
    low = beta.ppf(tail, count, total - count + 1) if count else 0.0
    high = beta.ppf(1 - tail, count + 1, total - count) if count < total else 1.0
    return float(low), float(high)
