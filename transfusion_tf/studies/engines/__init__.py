"""Where the runs of a study are trained; what may run when is decided elsewhere."""
