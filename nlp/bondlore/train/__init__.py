"""Labels -> model: formats, split, fit, calibration, evaluation, export, card. Needs `bondlore[train]`."""
