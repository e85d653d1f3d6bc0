"""Rows of long tables: what chapters show, computed from runs and analyses."""
