import time

from stages.training.spent import CHECKPOINTS, Spent


def test_shares_sum_to_one_and_what_is_waited_for_is_counted(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def slow():
        for item in "abc":
            now[0] += 1
            yield item

    spent = Spent()
    for _ in spent.waiting_for(slow()):
        now[0] += 2
    with spent.on(CHECKPOINTS):
        now[0] += 1
    assert spent.total == 10
    assert spent.describe(1200) == (
        "120 pictures/s; steps 60%, waiting for pictures 30%, validation 0%, checkpoints 10%"
    )
