"""The command-line binaries, installed as `transfusion_tf_experiments`."""
