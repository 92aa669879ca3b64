"""Measure how much the validation half of the held-out pictures flatters a model, for it chose the epoch that is kept.

    python -m bench.held_out

Reads docs/measurements/warm_start.csv, what `bench.warm_start` measured: 18 trainings on the photographs of clothes,
each with a validation and a test set drawn from the same classes. Prints one row per way to choose the epoch: how much
higher the accuracy on the validation set is than on the test set, which chose nothing.
"""

import pandas as pd

from bench.harness import print_frame

HISTORY = "docs/measurements/warm_start.csv"


def flattery(epochs: pd.DataFrame) -> pd.Series:
    """Compute validation minus test accuracy of one training, at the epoch of each choice.

    Args:
        epochs: columns `val_loss`, `val_accuracy`, `test_accuracy`, one row per epoch.
    """
    difference = epochs["val_accuracy"] - epochs["test_accuracy"]
    return pd.Series(
        {
            "lowest validation loss, as `train` does": difference[epochs["val_loss"].idxmin()],
            "highest validation accuracy": difference[epochs["val_accuracy"].idxmax()],
            "the last epoch": difference.iloc[-1],
            "mean of the second half of the epochs": difference.iloc[len(epochs) // 2 :].mean(),
        }
    )


def main() -> None:
    """Run the measurement."""
    history = pd.read_csv(HISTORY).dropna(subset="val_loss")
    trainings = pd.DataFrame([flattery(epochs) for _, epochs in history.groupby(["arm", "seed"])])
    beyond = trainings.sub(trainings["mean of the second half of the epochs"], axis=0)
    table = pd.DataFrame({"validation minus test": trainings.mean(), "beyond the last row": beyond.mean()})
    table["standard deviation"] = beyond.std()
    print_frame(table.round(3).rename_axis("the epoch that is kept").reset_index())


if __name__ == "__main__":
    main()
