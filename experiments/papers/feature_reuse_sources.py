"""Where each value of feature reuse's studies comes from, at the scale `paper`.

`code` is github.com/ChrisMats/feature-reuse, where the paper itself is silent and its
authors' published code is not.
"""

from transfusion_tf_experiments.papers.protocol import Source, not_in_paper

_SECTION = "section 2"
_RATES = (
    "found that 1e-4 works best for both CNNs and ViTs, except for RI which used 3e-4"
)
_METRICS = (
    "Quadratic Cohen Kappa for APTOS2019, Recall for ISIC, and ROC-AUC for DDSM, "
    "CHEXPERT, and PATCHCAMELYON"
)

SOURCES = {
    "repetitions": Source("section 3", "each experiment is repeated 5 times"),
    "model": Source(_SECTION, "figure 7 and appendix I have their families"),
    "initialization": Source(_SECTION, "weight transfer (WT) up to block n, ST above"),
    "kernel_initializer": Source(
        _SECTION, "Random init. (RI) – Kaiming initialization; of transformers timm's"
    ),
    "donor": Source(_SECTION, "IMAGENET-pretrained weights"),
    "image_size": Source(_SECTION, "random crops 224×224 after rescaling"),
    "aspect": Source(_SECTION, "resized to 256×256"),
    "batch_size": Source(_SECTION, "a batch size of 64"),
    "optimizer": Source(
        _SECTION, "CNN and ViT models were trained with the Adam and AdamW optimizers"
    ),
    "learning_rate": Source(_SECTION, _RATES),
    "learning_rates.repetitions": not_in_paper("one run at each rate"),
    "rates": Source("code", "lr_finder: 25 powers of 10 from -5 to -2, 5 epochs"),
    "weight_decay": not_in_paper("of AdamW, PyTorch's default; of Adam none"),
    "gradient_clipping": not_in_paper("the code clips at a norm of 1"),
    "schedule": Source(
        _SECTION,
        "reduce the learning rate by a factor of 10 when the validation performance "
        "saturates; figure 8: a constant learning rate",
    ),
    "warmup_steps": Source(_SECTION, "default 1,000 warm-up iterations"),
    "minimum_learning_rate": Source(_SECTION, "a final learning rate of 1e-6"),
    "plateau_patience": not_in_paper("5 validations, of two per epoch"),
    "steps": not_in_paper("bounds a run, which ends at a plateau with the least rate"),
    "eval_every": not_in_paper("twice per epoch, as in the code"),
    "batch_norm_momentum": not_in_paper("PyTorch's, as its weights are"),
    "head": not_in_paper("softmax where classes exclude one another"),
    "dropout": not_in_paper("the code's Inception-v3 is torchvision's, which has 0.5"),
    "metric": Source("section 3", _METRICS),
    "input_scaling": Source(
        _SECTION, "Images were normalised: as each donor's weights expect"
    ),
    "augmentation": Source(
        _SECTION,
        "color jitter, random vertical and horizontal flips, and random crops; how "
        "and how far colours are jittered is the code's",
    ),
    "splits": Source(
        _SECTION, "80/10/10 [...] with the exception of APTOS2019, 70/15/15"
    ),
    **{
        f"{task}.splits": not_in_paper("the official test cases are a fifth")
        for task in ("ddsm", "ddsm masses")
    },
    "camelyon.splits": Source("PatchCamelyon", "its official ones, in these shares"),
    "classes": Source(_SECTION, "Datasets"),
    "isic.classes": not_in_paper("8 as in the data and the code; section 2 says 9"),
    "ddsm.classes": not_in_paper("CBIS-DDSM has no normal mammograms"),
    "ddsm masses.classes": Source(_SECTION, "to detect the presence of masses"),
    "uncertain": Source("code", "we use the U-Zeroes model"),
    "blank": Source("code", "we replace NaNs and -1s with 0s"),
    "k": Source(_SECTION, "the k = 200 closest embeddings from the training set"),
    "vote": Source(_SECTION, "a k-NN evaluation protocol [7], whose vote is weighted"),
    "temperature": Source("code", "knn_t=0.1; [7] has 0.07"),
    "kind": Source("code", "get_target_modules: attention and MLP, residual blocks"),
    "features": not_in_paper("Inception-v3's, as the distance's name says"),
    "distances.images": not_in_paper("more images than Inception-v3 has features"),
    "layers.images": not_in_paper("2 000 of the validation images at most"),
    "attention.images": not_in_paper("512 of the validation images at most"),
}

# At the scale `published_code`, which keeps the paper's.
RANDOM_IN_CODE = Source(
    _SECTION,
    "Kaiming initialization; the code has torchvision's own, of ResNets Kaiming by "
    "fan-out, of Inception-v3 truncated normals of deviation 0.1",
)
