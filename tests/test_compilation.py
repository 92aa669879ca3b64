"""What JAX compiled for one process is there for the next."""

import pytest
from backends import run_on

pytestmark = pytest.mark.slow

COUNTED = """
import jax, keras, numpy as np
from stages.models import compilation
from stages.training.steps import steps_of

compilation.keep_compiled()
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
given = keras.Input((6,))
model = keras.Model(given, keras.layers.Dense(3, "softmax")(given))
model.compile("adamw", "categorical_crossentropy", weighted_metrics=[keras.metrics.CategoricalAccuracy()])
model.optimizer.build(model.trainable_variables)
steps, batch = steps_of(model), (np.ones((4, 6), "float32"), np.eye(4, 3, dtype="float32"))
with steps.held():
    steps.train(*batch)
steps.test(*batch)
print(*(events.count(f"/jax/compilation_cache/cache_{what}") for what in ("hits", "misses")))
"""


def test_a_second_process_finds_every_program_of_the_first(tmp_path):
    def found_and_compiled() -> list[int]:
        kept = {"RETRAIN_COMPILED": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        done = run_on("jax", "-c", COUNTED, **kept)
        assert done.returncode == 0, done.stderr
        return [int(number) for number in done.stdout.split()]

    (found, compiled), again = found_and_compiled(), found_and_compiled()
    assert found == 0
    assert compiled >= 2  # a step to train and one to test
    assert again == [compiled, 0]
