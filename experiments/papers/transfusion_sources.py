"""Where each value of Transfusion's studies comes from, at the scale `paper`."""

from transfusion_tf_experiments.papers.protocol import Source, not_in_paper

_A = "appendix A"
_ONE_CLASS_EACH = (
    "We use the sigmoid activation at the top instead of the multiclass softmax "
    "activation"
)
_SGD = "batch size of 32, and vanilla SGD with momentum (coefficient 0.9)"
_PUBLIC = (
    "RETINA is private and was split by patient into 250k training and 70k test "
    "images: EyePACS, its public part, stands for it, with the same share of test "
    "images; a tenth of the others choose the weights"
)

SOURCES = {
    "repetitions": Source("section 3.2", "We evaluate three repetitions"),
    **{
        f"{chapter}.repetitions": Source(
            "figure 8", "its printed steps are means of five multiples of 1 001"
        )
        for chapter in ("figure7", "figure8", "figure19", "figure20")
    },
    "figure17.repetitions": Source("figure 17", "The lines are averaged over 5 runs"),
    **{
        f"{chapter}.repetitions": not_in_paper("more runs are more pairs of runs")
        for chapter in ("table5", "figure2", "figure3", "figure4")
    },
    "figure5.repetitions": not_in_paper("as table 5; filters of one run are drawn"),
    "points": not_in_paper(
        "p of appendix C: n · h · w = p takes whole images, one of conv1 at least, "
        "294 × 294. The follow-up paper takes 10 000, of 224 × 224 pixels at most"
    ),
    "channels": not_in_paper("d of appendix C: the follow-up paper's, by its code"),
    "repeats": not_in_paper(
        'appendix C repeats over samples: as the follow-up paper, "repeated five times"'
    ),
    "at_evaluations": Source(
        "figure 8", "printed steps are multiples of 1 001, or means of five such"
    ),
    "threshold": Source("figures 7 and 8", "train steps taken to reach 91% AUC"),
    "model": Source(
        "section 3.1",
        "appendix A has the layers of the CBR models. Keras's ResNet50 has its strides "
        "where a block begins, the paper's where it ends: of 587 px, block 3 leaves "
        "37 × 37 positions here and 19 × 19 in appendix C",
    ),
    "initialization": Source("sections 3.2 and 5", "appendices E and F"),
    "freeze": Source("appendix E", "keep up to layer L fixed"),
    "train_examples": Source(
        "table 4",
        "5k, 10k, 50k, 100k, and all; 100k are impossible with EyePACS, which has "
        "88 702 photographs in all",
    ),
    "donor": Source(
        "section 3.2",
        "For all models except for Inceptionv3, we first train on ImageNet; for "
        "Inceptionv3, the published weights",
    ),
    "input_scaling": Source(
        _A,
        "standard normalization by the mean and standard deviation for ImageNet; "
        "Inception's published weights get the pixels that they were trained on",
    ),
    "head": Source(_A, _ONE_CLASS_EACH),
    "augmentation": Source(_A, "mild random cropping [...] hue and contrast"),
    "augmentation.hue": not_in_paper("appendix A says hue, and not how far"),
    "augmentation.contrast": not_in_paper("appendix A says contrast, not how far"),
    "aspect": not_in_paper("images that are not square are padded with black"),
    "batch_norm_momentum": not_in_paper("each architecture keeps its own"),
    "retina.image_size": Source("section 2", "large 587 × 587 images"),
    "retina.learning_rate": Source(_A, "learning rate 0.001"),
    "retina.batch_size": Source(_A, "batch size of 8 (for memory considerations)"),
    "retina.optimizer": Source(_A, "The Adam optimizer is used"),
    "retina.schedule": not_in_paper("appendix A has a rate, and no schedule"),
    "retina.steps": not_in_paper(
        "120 evaluations, to the end of the longer axis of figure 8, 120 000"
    ),
    "retina.eval_every": Source(
        "figure 8", "its printed steps are multiples of 1 001, or means of five such"
    ),
    "retina.early_stopping": Source(
        "table 4",
        "with early stopping, on 5k datapoints; that 10 evaluations without a better "
        "one end a run is not in the paper",
    ),
    "test_curve": Source("figures 6 to 8", "Test AUC over Train Step"),
    "retina.metric": Source("section 2", "AUC-ROC on identifying referable DR"),
    "retina.referable_from": Source("section 2", "Grades 3 and up, counted from 1"),
    "retina.classes": Source("section 2", "a five-class scale"),
    "retina.splits": not_in_paper(_PUBLIC),
    "chest.image_size": Source("section 2", "resized to 224 × 224"),
    "chest.learning_rate": Source(_A, "0.1 × 32/256"),
    "chest.batch_size": Source(_A, _SGD),
    "chest.optimizer": Source(_A, _SGD),
    "chest.schedule": Source(
        _A,
        "warms up from 0 in 5 epochs, and then decay with a factor of 10 on epoch 30, "
        "60, and 90",
    ),
    "chest.steps": not_in_paper(
        "to epoch 100, behind the last fall of the rate at epoch 90; where some of the "
        "223k images are held out, epochs are as much shorter"
    ),
    "chest.eval_every": not_in_paper("once an epoch"),
    "chest.steps_per_epoch": Source(_A, "223k training images, in batches of 32"),
    "chest.metric": Source("section 2", "AUC of diagnosing each of these pathologies"),
    "chest.classes": Source("section 2", "5 different thoracic pathologies"),
    "chest.splits": not_in_paper(
        "the official validation set is the test set; 5 % of the training patients "
        "choose the weights"
    ),
    "chest.uncertain": not_in_paper("labels that say uncertain count as absent"),
    "chest.blank": not_in_paper("findings that are not mentioned count as absent"),
    "weight_decay": not_in_paper("the paper names none for the medical tasks"),
    "donor.model": Source(
        "table 1", "all but Inception-v3, which has published weights"
    ),
    "donor.initialization": Source("section 3.2", "we first train on ImageNet"),
    "donor.weight_decay": not_in_paper("1e-4, as ImageNet models are trained"),
    "donor.input_scaling": Source(
        _A, "standard normalization by the mean and standard deviation for ImageNet"
    ),
    "donor.schedule": Source(_A, "the ImageNet training pipeline"),
    "donor.learning_rate": Source(_A, "0.1 for 256 images, as 0.1 × 32/256 says"),
    "donor.batch_size": Source(_A, "256, as 0.1 × 32/256 says"),
    "donor.optimizer": not_in_paper("SGD with momentum 0.9, as on CheXpert"),
    "donor.steps": not_in_paper("100 epochs, behind the last fall of the rate"),
    "donor.eval_every": not_in_paper("every second epoch"),
    "donor.head": not_in_paper("softmax, as ImageNet models are trained"),
    "donor.metric": Source("table 1", "ImageNet Top5 stands beside it"),
    "donor.image_size": not_in_paper("224, as ImageNet models are trained"),
    "donor.classes": Source(_A, "ILSVRC 2012"),
    "donor.splits": not_in_paper(
        "the official validation set is the test set; 2 % of the training images "
        "choose the weights"
    ),
    "donor.aspect": not_in_paper("the centre, as ImageNet models are trained"),
    "donor.augmentation": not_in_paper("the ImageNet pipeline is not described"),
    "donor.augmentation.resized_crop": not_in_paper(
        "random resized crops, as ImageNet models are trained"
    ),
}
