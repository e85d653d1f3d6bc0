"""What KerasHub's backbones compute, for models of ours to be held against."""

import keras
import numpy as np


def hub_features(backbone, pixels):
    """KerasHub's; of a DeiT, where nothing attends to the distillation token."""
    if "deit_encoder" not in [layer.name for layer in backbone.layers]:
        return backbone(pixels)
    embedding = backbone.get_layer("deit_patching_and_embedding")
    tokens = embedding(pixels)
    sees = np.ones((len(pixels), tokens.shape[1], tokens.shape[1]), bool)
    sees[:, :, 1] = False
    encoder = backbone.get_layer("deit_encoder")
    features, *_ = encoder(tokens, attention_masks=[sees] * len(encoder.encoder_layers))
    return np.delete(keras.ops.convert_to_numpy(features), 1, axis=1)
