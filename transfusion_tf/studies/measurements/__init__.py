"""What is measured on runs: run directories in, numbers and tables out.

One subject a module; the measures themselves are in `transfusion_tf.representations`
and `transfusion_tf.evaluation`, which know of no run.
"""
