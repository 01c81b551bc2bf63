"""Series -> pages: one data object (`data.py`), built once (`build.py`), rendered by pure functions (`write.py`)."""
