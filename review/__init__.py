"""What people read about a model: the pull request, the report page, the worst pictures, the summary, SQL."""
