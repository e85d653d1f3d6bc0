"""Moved: see `transfusion_tf.report.paper_values`."""

from transfusion_tf.report.paper_values import join, label, unmatched

__all__ = ["join", "label", "unmatched"]
