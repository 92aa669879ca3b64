"""Which devices train together, and in what precision they calculate.

TensorFlow trains on several devices, of one machine (`MirroredStrategy`) or of several (`MultiWorkerMirroredStrategy`,
the machines being named by TF_CONFIG). Other backends train on one. Every device holds the whole network and takes an
equal share of each batch: gradients are those of the batch, while BatchNormalization sees the device's own share.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from runtime.errors import ParameterError
from runtime.parameters import Precision
from stages.models import compilation, determinism
from stages.models.precision import calculating_in
from stages.training.steps import Means, Step, Steps, steps_of


class Devices:
    """One device, on any backend."""

    num_workers = 1
    worker = 0
    # Whether a checkpoint may be written within an epoch: several devices have the same numbers only at its end.
    can_save_within_epochs = True

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what all of them trained."""
        return self.worker == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Within it, networks, models and optimizers are made."""
        return nullcontext()

    def steps(self, model: keras.Model) -> Steps:
        """Make what trains a compiled model on this worker's share of a batch, and tests it on a whole batch."""
        return steps_of(model)

    def share(self, order: NDArray[np.int64], batch_size: int) -> tuple[NDArray[np.int64], int]:
        """Choose what this worker takes of every batch.

        Args:
            order: row numbers, shape (steps x batch_size,).
            batch_size: of all workers together.

        Returns:
            Row numbers of this worker and its batch size.

        Raises:
            ParameterError: several workers or devices cannot share the last batch evenly.
        """
        return order, batch_size

    def average(self, averages: Sequence[keras.Variable]) -> None:
        """Give every device the mean of what each has seen: the running averages of BatchNormalization."""

    def agree(self, number: int) -> bool:
        """Say whether every worker has the same number."""
        return True


class _Replicas(Devices):
    can_save_within_epochs = False

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy
        self._count = strategy.num_replicas_in_sync
        if (resolver := strategy.cluster_resolver) is not None:
            workers = resolver.cluster_spec().as_dict()
            self.num_workers = sum(len(addresses) for addresses in workers.values())
            self.worker = resolver.task_id + (resolver.task_type == "worker" and len(workers.get("chief", [])))

    def scope(self) -> AbstractContextManager[Any]:
        return self._strategy.scope()  # type: ignore[no-any-return]

    def steps(self, model: keras.Model) -> Steps:
        return _SharedSteps(model, self)

    def share(self, order: NDArray[np.int64], batch_size: int) -> tuple[NDArray[np.int64], int]:
        if len(order) % batch_size:
            raise ParameterError(
                f"params.yaml: train.batch_size {batch_size} is more than the {len(order)} pictures to train with: "
                f"train.devices {self._count} share whole batches only. Lower train.batch_size."
            )
        return order.reshape(-1, batch_size)[:, self.worker :: self.num_workers].ravel(), batch_size // self.num_workers

    def average(self, averages: Sequence[keras.Variable]) -> None:
        import tensorflow as tf

        if not averages:
            return

        @tf.function  # type: ignore[untyped-decorator]
        def averages_of_replicas() -> Any:
            return self._strategy.run(lambda: [tf.identity(variable.value) for variable in averages])

        for variable, each in zip(averages, averages_of_replicas(), strict=True):
            variable.assign(self._strategy.reduce("MEAN", each, axis=None))

    def agree(self, number: int) -> bool:
        import tensorflow as tf

        moments = self._spread([tf.constant([number, number**2], tf.float64)] * self._count, 0)
        total, squares = self._strategy.reduce("SUM", moments, axis=None).numpy()
        return bool(squares * self._count == total**2)

    def step(self, model: keras.Model, function: Callable[[Any], dict[str, Any]], is_whole: bool) -> Step:
        """Make a step of the replicas that share a batch: all where it is whole, else those of this worker."""
        num_here = self._count // self.num_workers
        first, count = (0, self._count) if is_whole else (self.worker * num_here, num_here)
        sums_over_replicas = self._compiled(function)

        def step(pictures: NDArray[Any], targets: NDArray[Any]) -> dict[str, Any]:
            model.reset_metrics()
            sums = sums_over_replicas(*self._shares(pictures, targets, first, count))
            total = len(targets) * self._count / count
            return {name: value / total for name, value in sums.items()}

        return step

    def _compiled(self, function: Callable[[Any], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Run `function` on each replica's share; sum its means, each times the share's number of rows."""
        import tensorflow as tf

        def on_replica(pictures: Any, targets: Any, num_rows: Any) -> dict[str, Any]:
            return {name: value * num_rows for name, value in function((pictures, targets)).items()}

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def on_all(*shares: Any) -> dict[str, Any]:
            sums = self._strategy.run(on_replica, args=shares)
            return {name: self._strategy.reduce("SUM", value, axis=None) for name, value in sums.items()}

        return on_all  # type: ignore[no-any-return]

    def _shares(self, pictures: NDArray[Any], targets: NDArray[Any], first: int, count: int) -> tuple[Any, Any, Any]:
        """Give each replica every `count`-th row: its pictures, its targets, and how many rows these are."""
        import tensorflow as tf

        rows = [np.arange(len(targets))[number::count] for number in range(count)]
        # A replica for which no row is left calculates the first picture, at weight 0.
        calculated = [share if len(share) else np.array([0]) for share in rows]
        return (
            self._spread([tf.constant(pictures[share]) for share in calculated], first),
            self._spread([tf.constant(targets[share]) for share in calculated], first),
            self._spread([tf.constant(len(share), tf.float32) for share in rows], first),
        )

    def _spread(self, values: Sequence[Any], first: int) -> Any:
        """Give each replica of this worker its value; `values` begins with that of the replica `first`."""
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: values[context.replica_id_in_sync_group - first]
        )


class _SharedSteps(Steps):
    """Steps in which several devices share each batch."""

    def __init__(self, model: keras.Model, replicas: _Replicas) -> None:
        # A training batch was read for this worker alone: its own devices share it. All devices share a test batch.
        self._train = replicas.step(model, model.train_step, is_whole=False)
        self._test = replicas.step(model, model.test_step, is_whole=True)

    def train(self, pictures: Any, targets: Any) -> Means:
        return self._train(pictures, targets)

    def test(self, pictures: Any, targets: Any) -> Means:
        return self._test(pictures, targets)


@contextmanager
def together(
    count: int,
    batch_size: int,
    precision: Precision,
    seed: int,
    deterministic: bool = True,
) -> Iterator[Devices]:
    """Take the devices before anything is calculated; within the block, layers calculate in `precision`.

    Weights stay float32 whatever the precision.

    Args:
        count: devices, those of all machines together.
        batch_size: of all of them together.
        precision: in which layers calculate.
        seed: of `determinism.enable`.
        deterministic: likewise.

    Raises:
        ParameterError: there are not `count` devices, they cannot share a batch evenly, the backend takes one only, or
            it cannot calculate in this precision.
    """
    determinism.enable(seed, deterministic)
    compilation.keep_compiled()
    with calculating_in(precision, "train.precision"):
        yield _take(count, batch_size)


def _take(count: int, batch_size: int) -> Devices:
    several_machines = "TF_CONFIG" in os.environ
    if count == 1 and not several_machines:
        return Devices()
    if (backend := keras.backend.backend()) != "tensorflow":
        raise ParameterError(
            f"params.yaml: train.devices {count}{' with TF_CONFIG' * several_machines}: only Keras' backend tensorflow "
            f"trains on several devices here, KERAS_BACKEND is {backend}. Unset it, or set train.devices to 1."
        )
    if batch_size % count:
        raise ParameterError(
            f"params.yaml: train.batch_size {batch_size} cannot be shared evenly by train.devices {count}. Make it a "
            f"multiple of {count}."
        )
    strategy = _workers() if several_machines else _mirrored(count)
    if strategy.num_replicas_in_sync != count:
        raise ParameterError(
            f"params.yaml: train.devices says {count}, the machines in TF_CONFIG have {strategy.num_replicas_in_sync} "
            f"together. Set train.devices to {strategy.num_replicas_in_sync}, or correct TF_CONFIG."
        )
    return _Replicas(strategy)


def _workers() -> Any:
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def _mirrored(count: int) -> Any:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus and len(gpus) < count:
        raise ParameterError(
            f"params.yaml: train.devices says {count}, this machine has {len(gpus)} GPUs. Set it to {len(gpus)} or "
            "less, or name several machines in TF_CONFIG."
        )
    if not gpus:
        # So that a run of several GPUs can be tried where there is none.
        halves = [tf.config.LogicalDeviceConfiguration()] * count
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
    return tf.distribute.MirroredStrategy([f"{'GPU' if gpus else 'CPU'}:{number}" for number in range(count)])
