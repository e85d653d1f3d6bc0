"""Where each value of the hidden-representations studies comes from, at two scales."""

from transfusion_tf_experiments.papers.protocol import Source, not_in_paper

_FINE_TUNED = (
    "an average pooling layer, a dropout layer with a probability of 0.5, and the Adam "
    "optimizer with an initial learning rate of 1e-05"
)
_BATCHES = (
    "the batch size was set to 32 for the datasets with the image size 224×224, and to "
    "128 for the rest"
)
_STOPPED = "early stopping after 3 epochs of no decrease in validation loss"
_FOLDS = "five-fold cross-validation"
_HEAD = "we froze all the pre-trained weights to train the classification layer first"
_NO_AUGMENTATION = (
    "none is named, and section 4.1 reduces images “without image cropping”; what the "
    "authors' code does is at --scale=published_code"
)

SOURCES = {
    "repetitions": Source("section 4.3", _FOLDS),
    "folds": Source("section 4.3", _FOLDS),
    "fold_protocol": not_in_paper(
        "weights are chosen by patients held out of the training folds; the paper "
        "chooses them by the fold that it reports (--fold_protocol=paper)"
    ),
    "points": Source("code", "p; section 3.1 leaves the number out"),
    "equal_points": Source("code", "batch_size=round(p / (h * w)), whatever the layer"),
    "channels": Source("code", "d; section 3.1 leaves the number out"),
    "repeats": Source("section 3.1", "This is repeated five times"),
    "model": Source("section 4.2", "We select ResNet50"),
    "initialization": Source("table 2", "ImageNet, RadImageNet, Random init"),
    "donor": Source("section 4.1", "pre-trained ImageNet and RadImageNet weights"),
    "freeze": Source("section 4.2", "fine-tuned the whole network"),
    "image_size": Source("table 1", "Image size"),
    "classes": Source("table 1", "Classes"),
    "train_examples": Source("section 4.3", _FOLDS),
    "batch_size": Source("section 4.2", _BATCHES),
    "steps": Source("section 4.2", "a maximum of 200 epochs"),
    "steps_per_epoch": Source("section 4.3", "of the images outside the fold"),
    "eval_every": Source("section 4.2", _STOPPED),
    "early_stopping": Source("section 4.2", _STOPPED),
    "early_stopping_metric": Source("section 4.2", _STOPPED),
    "optimizer": Source("section 4.2", _FINE_TUNED),
    "learning_rate": Source("section 4.2", _FINE_TUNED),
    "schedule": not_in_paper("an initial learning rate, and no schedule"),
    "dropout": Source("section 4.2", _FINE_TUNED),
    "head": not_in_paper("softmax; the authors' code has a sigmoid where two classes"),
    "head_steps": not_in_paper(
        f"“{_HEAD}”, and not for how long: 10 epochs; in the code until 2 without a "
        "better validation accuracy"
    ),
    "head_learning_rate": not_in_paper("the code has Adam's default, 0.001"),
    "metric": Source(
        "section 4.3", "a one-against-all AUC, weighted by class priors, is used"
    ),
    "batch_norm_momentum": not_in_paper("as ResNet50 of keras.applications has it"),
    "input_scaling": Source("code", "preprocess_input in its default mode, caffe"),
    "aspect": Source("section 4.1", "using interpolation without image cropping"),
    "augmentation": not_in_paper(_NO_AUGMENTATION),
}

_CODE_SHEARS = "its shear, of 0.1 degrees at most, is left out: a fifth of a pixel"

CODE = {
    "fold_protocol": Source("code", "val_fold*.csv stops, selects and is reported"),
    "steps_per_epoch": Source("code", "all images of train_fold*.csv"),
    "head": Source(
        "code", "softmax; where two classes, one sigmoid, which is the same function"
    ),
    "head_steps": Source("code", "at most as many epochs as everything"),
    "head_early_stopping": Source("code", "EarlyStopping(monitor val_acc, patience 2)"),
    "head_learning_rate": Source("code", "Adam's default"),
    "trained_weights": Source(
        "code", 'ModelCheckpoint(monitor="val_loss", save_best_only=True)'
    ),
    "batch_norm_statistics": Source("code", "K.function of the model that was saved"),
    "augmentation": Source("code", f"ImageDataGenerator; {_CODE_SHEARS}"),
}
