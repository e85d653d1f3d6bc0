import keras
import numpy as np

from transfusion_tf.models.convnext import LayerScale
from transfusion_tf.models.export_formats import FORMATS, export_format, loading_code


def small_model(middle):
    image = keras.Input((8, 8, 3), name="image")
    features = keras.layers.GlobalAveragePooling2D()(middle(image))
    return keras.Model(image, keras.layers.Dense(2, activation="sigmoid")(features))


def test_exact_gelu_which_tf2onnx_lacks_is_the_same_in_onnx(tmp_path):
    exact = keras.layers.Lambda(lambda x: keras.ops.gelu(x, approximate=False))
    model, form = small_model(exact), export_format("onnx")
    form.write(model, tmp_path / form.file)
    # Far from zero on both sides, where 1 − erf has no digits left.
    images = np.linspace(-40, 40, 2 * 8 * 8 * 3, dtype=np.float32).reshape(2, 8, 8, 3)
    found = form.read(tmp_path / form.file)(images)
    np.testing.assert_allclose(found, model.predict(images, verbose=0), atol=1e-6)


def test_keras_is_told_where_layers_of_ours_are():
    plain, own = small_model(keras.layers.Conv2D(2, 3)), small_model(LayerScale(1e-6))
    for name, form in FORMATS.items():
        assert "transfusion_tf" not in loading_code(form, plain)
        assert ("import transfusion_tf.models" in loading_code(form, own)) == (
            name == "keras"
        )
