"""Steps of a compiled model that a device takes one after the other, without waiting for anybody to read a loss.

An H200 stood still for a quarter to a third of an epoch while each step's loss was read, what it changed was put back
into Keras' variables, and the next batch was copied (docs/measurements/training.md).
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

# Pictures and targets, in memory or on the device.
Batch = tuple[Any, Any]
# Of loss and metrics, by name: numbers, or what `float` waits for.
Means = Mapping[str, Any]
Step = Callable[[Any, Any], Means]


class Steps:
    """Steps of one batch, on any backend.

    Args:
        model: compiled, its optimizer built.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def held(self) -> AbstractContextManager[None]:
        """Within it the device may keep what `train` changes to itself; after it, the model's variables are right."""
        return nullcontext()

    def send(self, batch: Batch) -> Batch:
        """Begin to copy a batch to the device."""
        return batch

    def fetch(self, variables: Sequence[keras.Variable]) -> list[NDArray[Any]]:
        """Copy variables to memory; the next steps do not change the copies."""
        return [keras.ops.convert_to_numpy(variable) for variable in variables]

    def train(self, pictures: Any, targets: Any) -> Means:
        """Train on one batch."""
        return self._model.train_on_batch(pictures, targets, return_dict=True)  # type: ignore[no-any-return]

    def test(self, pictures: Any, targets: Any) -> Means:
        """Test on one batch."""
        return self._model.test_on_batch(pictures, targets, return_dict=True)  # type: ignore[no-any-return]


class _TensorFlowSteps(Steps):
    """Keras' steps, whose means are not waited for."""

    def __init__(self, model: keras.Model) -> None:
        import tensorflow as tf

        super().__init__(model)
        model.make_train_function()
        model.make_test_function()
        self._device = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"

    def send(self, batch: Batch) -> Batch:
        import tensorflow as tf

        with tf.device(self._device):
            return tf.constant(batch[0]), tf.constant(batch[1])

    def train(self, pictures: Any, targets: Any) -> Means:
        self._model.reset_metrics()
        return self._model.train_function(iter([(pictures, targets)]))  # type: ignore[no-any-return]

    def test(self, pictures: Any, targets: Any) -> Means:
        self._model.reset_metrics()
        return self._model.test_function(iter([(pictures, targets)]))  # type: ignore[no-any-return]


class _JaxSteps(Steps):
    """Keras' stateless steps: what they change stays on the device from step to step."""

    def __init__(self, model: keras.Model) -> None:
        import jax

        super().__init__(model)
        one = np.ones((1, *model.output.shape[1:]), np.float32)
        model.compute_metrics(None, one, one, one[:, 0])  # Keras makes the metrics' variables no sooner
        zeros = [np.zeros(variable.shape, variable.dtype) for variable in model.metrics_variables]

        def train(state: Any, pictures: Any, targets: Any) -> Any:
            means, (*changed, _) = model.train_step((*state, zeros), (pictures, targets))
            return means, tuple(changed)

        def test(state: Any, pictures: Any, targets: Any, weights: Any) -> Any:
            means = model.test_step((*state, zeros), (pictures, targets, weights))[0]
            # Keras divides the loss by the number of rows, the accuracy by the sum of their weights.
            return {**means, "loss": means["loss"] * (len(weights) / weights.sum())}

        self._train, self._test = jax.jit(train, donate_argnums=0), jax.jit(test)
        self._variables = [model.trainable_variables, model.non_trainable_variables, model.optimizer.variables]
        self._state: Any = None
        self._rows = 0  # of a whole test batch

    @contextmanager
    def held(self) -> Iterator[None]:
        self._state = self._values(self._variables)
        yield
        for variables, values in zip(self._variables, self._state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def send(self, batch: Batch) -> Batch:
        import jax

        return jax.device_put(batch)  # type: ignore[no-any-return]

    def fetch(self, variables: Sequence[keras.Variable]) -> list[NDArray[Any]]:
        import jax

        # All at once: one by one, each of the 1,650 arrays of Inception V4 and its optimizer would be waited for.
        values = jax.device_get([variable.value for variable in variables])
        # On a CPU these may be the device's own memory, into which the next step writes.
        return [value if value.flags.owndata else value.copy() for value in values]

    def train(self, pictures: Any, targets: Any) -> Means:
        means, self._state = self._train(self._state, pictures, targets)
        return means  # type: ignore[no-any-return]

    def test(self, pictures: Any, targets: Any) -> Means:
        # The last batch is filled up with rows that count nothing: for its own shape it would be compiled anew.
        self._rows = max(self._rows, len(targets))
        weights = (np.arange(self._rows) < len(targets)).astype(np.float32)
        filled = [self._filled(values) for values in (pictures, targets)]
        return self._test(self._values(self._variables[:2]), *filled, weights)  # type: ignore[no-any-return]

    def _filled(self, values: Any) -> Any:
        import jax

        missing = self._rows - len(values)
        return jax.numpy.concatenate([values, values[:1].repeat(missing, axis=0)]) if missing else values

    @staticmethod
    def _values(groups: list[list[keras.Variable]]) -> tuple[list[Any], ...]:
        return tuple([variable.value for variable in variables] for variables in groups)


def steps_of(model: keras.Model) -> Steps:
    """Make the steps of a compiled model on one device, its optimizer being built."""
    return {"tensorflow": _TensorFlowSteps, "jax": _JaxSteps}.get(keras.backend.backend(), Steps)(model)


def results(step: Step, send: Callable[[Batch], Batch], batches: Iterator[Batch]) -> Iterator[list[float]]:
    """Take a step on each batch; each result is read once the next step has begun and the batch after it is sent.

    Args:
        step: what to do with a batch.
        send: begins to copy a batch to the device.
        batches: pictures and targets, in memory.

    Yields:
        Number of pictures, mean loss and mean accuracy of each step.
    """
    under_way: deque[tuple[int, Means]] = deque()
    sent = map(send, batches)
    batch = next(sent, None)
    while batch is not None:
        under_way.append((len(batch[1]), step(*batch)))
        batch = next(sent, None)
        while len(under_way) > (batch is not None):
            num_pictures, means = under_way.popleft()
            yield [float(num_pictures), float(means["loss"]), float(means["accuracy"])]
