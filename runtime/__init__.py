"""What every command and stage stands on: errors, parameters, outputs, progress, workers, git and DVC."""
