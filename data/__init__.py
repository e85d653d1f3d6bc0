"""Dataset cards, installed as `transfusion_tf_data`: folders of TOML, no code."""
