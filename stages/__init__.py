"""The pipeline: one public module is one stage of dvc.yaml; a folder or an underscore module is what stages share."""
