"""The frozen, validated configuration of a run.

One object describes a whole study and is written, resolved, into its folder (`tff_affect.config_file`). It is never
re-assembled by hand: what needs a setting gets the part of the object that holds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from tff_affect.config_checks import above_zero, at_least, choice
from tff_affect.errors import InputError
from tff_affect.privacy_config import PrivacyConfig

TARGETS = ("frame", "window")
SCALINGS = ("subject", "federated", "none")
PUBLISHED_SPLITS = ("recola-23", "recola-46")
SPLIT_SCHEMES = ("fixed", "holdout", "k-fold", "loso", *PUBLISHED_SPLITS)
LOSSES = ("ccc", "mse")
CLIENT_OPTIMIZERS = ("sgd", "adam")
SERVER_OPTIMIZERS = ("sgd", "adam", "yogi", "adagrad")
WEIGHTINGS = ("windows", "uniform")
PRIVATE_CENTRALISED, PRIVATE_FEDERATED = "centralised + DP", "federated + DP"
WITHOUT_PRIVACY = ("mean predictor", "local-only", "centralised", "federated")
METHODS = (*WITHOUT_PRIVACY, PRIVATE_CENTRALISED, PRIVATE_FEDERATED)
POSTPROCESSING = ("median", "centring", "scaling", "shift")


@dataclass(frozen=True)
class DataConfig:
    """How a cohort becomes windows.

    Attributes:
        cohort: The cohort's folder.
        window: Frames per window.
        hop: Frames from one window's start to the next.
        target: ``frame`` (a target for every frame) or ``window`` (one for each whole window: the mean of its valid
            frames; a remainder shorter than a window is dropped).
        scaling: ``subject`` (each subject's own mean and deviation; transductive), ``federated`` (one mean and
            deviation, aggregated over the training clients) or ``none``.
        target_delay: Time units by which the labels lag behaviour; features at ``t`` are paired with labels at
            ``t + target_delay``.
        minimum_valid: Smallest share of valid frames for a window to be trained on, 0-1.
    """

    cohort: str = "???"
    window: int = 100
    hop: int = 100
    target: str = "frame"
    scaling: str = "subject"
    target_delay: float = 0.0
    minimum_valid: float = 0.25

    def __post_init__(self) -> None:
        at_least("data.window", self.window, 1)
        at_least("data.hop", self.hop, 1)
        if self.hop > self.window:
            raise InputError(f"data.hop: expected at most the window of {self.window} frames, found {self.hop}")
        choice("data.target", self.target, TARGETS)
        choice("data.scaling", self.scaling, SCALINGS)
        at_least("data.target_delay", self.target_delay, 0)
        if not 0 <= self.minimum_valid <= 1:
            raise InputError(f"data.minimum_valid: expected a share from 0 to 1, found {self.minimum_valid:g}")

    @property
    def least_valid(self) -> int:
        """Valid frames, at least one, that a window needs to be trained on or, with one target, to be scored."""
        # Rounded first: 0.07 of 100 frames is a little more than seven in binary.
        return max(1, math.ceil(round(self.minimum_valid * self.window, 6)))


@dataclass(frozen=True)
class SplitConfig:
    """Who trains, who develops, who tests; always whole subjects.

    Attributes:
        scheme: ``fixed`` (the cohort's own partitions), ``holdout`` (one random split), ``k-fold`` (each subject
            is tested once), ``loso`` (each subject alone is tested once), ``recola-46`` (the published partition of
            RECOLA) or ``recola-23`` (its restriction to the shared participants).
        folds: Number of folds of ``k-fold``.
        shuffle: Whether ``k-fold`` deals the subjects out at random; False cuts the cohort's order into contiguous
            folds. Development subjects are drawn at random all the same.
        development: Share of the subjects that are not tested on which early stopping looks; published partitions
            have development subjects of their own.
        test: Share of subjects tested by ``holdout``.
        seed: Seed of the assignment; apart from the training seeds so that these share the split.
    """

    scheme: str = "holdout"
    folds: int = 5
    shuffle: bool = True
    development: float = 0.2
    test: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        choice("split.scheme", self.scheme, SPLIT_SCHEMES)
        if self.scheme == "holdout" and not self.shuffle:
            raise InputError("split.shuffle: holdout draws its subjects at random; expected true, or k-fold")
        at_least("split.folds", self.folds, 2)
        at_least("split.seed", self.seed, 0)
        for name in ("development", "test"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"split.{name}: expected a share between 0 and 1, found {getattr(self, name):g}")


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Attributes:
        name: Key of the registry in ``tff_affect.models``.
        units: Recurrent units of each layer (of each direction, where there are two); channels of a convolution.
        layers: Recurrent layers.
        dropout: Share of activations dropped in training, 0 to below 1; None is the architecture's own.
        kernel_size: Frames that one convolution sees; None is the architecture's own.
        blocks: Residual convolution blocks; None is the architecture's own.
    """

    name: str = "lstm"
    units: int = 32
    layers: int = 1
    dropout: float | None = None
    kernel_size: int | None = None
    blocks: int | None = None

    def __post_init__(self) -> None:
        for name in ("units", "layers", "kernel_size", "blocks"):
            if getattr(self, name) is not None:
                at_least(f"model.{name}", getattr(self, name), 1)
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise InputError(f"model.dropout: expected at least 0 and below 1, found {self.dropout:g}")


@dataclass(frozen=True)
class OptimizerConfig:
    """An optimizer of ``tff.learning.optimizers``.

    Attributes:
        name: ``sgd``, ``adam``, ``yogi`` or ``adagrad``.
        learning_rate: Step size.
        momentum: Momentum of ``sgd``; 0 is plain SGD.
    """

    name: str
    learning_rate: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        choice("optimizer.name", self.name, SERVER_OPTIMIZERS)
        above_zero("optimizer.learning_rate", self.learning_rate)
        if self.name != "sgd" and (self.learning_rate >= 1 or self.momentum):
            raise InputError(
                f"optimizer {self.name}: expected a learning rate below 1 and no momentum, found "
                f"{self.learning_rate:g} and {self.momentum:g}; name its own learning_rate beside its name"
            )
        if not 0 <= self.momentum < 1:
            raise InputError(f"optimizer.momentum: expected at least 0 and below 1, found {self.momentum:g}")


@dataclass(frozen=True)
class TrainingConfig:
    """Federated training, and the budget that its baselines share.

    Attributes:
        rounds: Rounds at most.
        clients_per_round: Clients sampled without replacement each round; 0 is all of them.
        local_epochs: Passes over a client's windows in a round.
        batch_size: Windows per step.
        shuffle: Whether windows come in a new order each epoch; False keeps that of the recordings.
        loss: ``ccc`` (1 - CCC over a batch's valid frames, mean over dimensions) or ``mse``.
        client_optimizer: ``sgd`` or ``adam``, fresh each round.
        baseline_optimizer: What centralised and local-only training use; None for ``client_optimizer``. A rate that
            suits a few local steps seldom suits a centralised run: choose each on development clients.
        server_optimizer: ``sgd`` with learning rate 1 and no momentum is FedAvg.
        proximal_strength: FedProx's mu; 0 is FedAvg.
        weighting: ``windows`` (by number of training windows) or ``uniform``.
        evaluate_every: Rounds between evaluations on development clients.
        patience: Evaluations without a better development CCC before training stops; 0 never stops early.
        checkpoint_every: Rounds between checkpoints.
    """

    rounds: int = 30
    clients_per_round: int = 0
    local_epochs: int = 1
    batch_size: int = 16
    shuffle: bool = True
    loss: str = "ccc"
    client_optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig("adam", 0.005))
    baseline_optimizer: OptimizerConfig | None = None
    server_optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig("sgd", 1.0))
    proximal_strength: float = 0.0
    weighting: str = "windows"
    evaluate_every: int = 1
    patience: int = 10
    checkpoint_every: int = 5

    def __post_init__(self) -> None:
        for name, least in (
            ("rounds", 1), ("clients_per_round", 0), ("local_epochs", 1), ("batch_size", 1), ("proximal_strength", 0),
            ("evaluate_every", 1), ("patience", 0), ("checkpoint_every", 1),
        ):  # fmt: skip
            at_least(f"training.{name}", getattr(self, name), least)
        choice("training.loss", self.loss, LOSSES)
        choice("training.client_optimizer.name", self.client_optimizer.name, CLIENT_OPTIMIZERS)
        choice("training.weighting", self.weighting, WEIGHTINGS)


@dataclass(frozen=True)
class TuningConfig:
    """Learning rates to choose from in each run, by the score on its development clients.

    Attributes:
        client_learning_rates: Those of the clients' optimizer in federated training; empty keeps the configured one.
        baseline_learning_rates: Those of centralised and local-only training; empty keeps the configured one.
    """

    client_learning_rates: list[float] = field(default_factory=list)
    baseline_learning_rates: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("client_learning_rates", "baseline_learning_rates"):
            rates = getattr(self, name)
            for rate in rates:
                above_zero(f"tuning.{name}", rate)
            if len(set(rates)) != len(rates):
                raise InputError(f"tuning.{name}: expected no rate twice, found {list(rates)}")


@dataclass(frozen=True)
class StudyConfig:
    """A study: one configuration over seeds and folds.

    Attributes:
        data: How the cohort becomes windows.
        split: Who trains, develops and tests.
        model: The network.
        training: Federated training and the shared budget.
        methods: Ways of training, of ``METHODS``. Those with differential privacy join by themselves where
            ``privacy`` has a noise multiplier.
        seeds: Training seeds; each gives initial weights, client sampling and window order.
        tuning: Learning rates to choose from in each run; none by default.
        postprocess: Steps of the post-processing chain, of ``POSTPROCESSING`` and in that order; none by default.
        privacy: Differential privacy; none by default.
    """

    data: DataConfig = field(default_factory=DataConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    methods: list[str] = field(default_factory=lambda: list(WITHOUT_PRIVACY))
    seeds: list[int] = field(default_factory=lambda: [0])
    tuning: TuningConfig = field(default_factory=TuningConfig)
    postprocess: list[str] = field(default_factory=list)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)

    def __post_init__(self) -> None:
        for method in self.methods:
            choice("methods", method, METHODS)
        if "federated" not in self.rows and PRIVATE_FEDERATED not in self.rows:
            raise InputError("methods: 'federated' cannot be left out; the other rows are its baselines")
        self._check_privacy()
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise InputError(f"seeds: expected at least one seed and no seed twice, found {list(self.seeds)}")
        at_least("seeds", min(self.seeds), 0)
        self._check_postprocess()
        # Made once here, so that an optimizer refuses its candidates before anything is trained.
        for optimizer, rates in (
            (self.training.client_optimizer, self.tuning.client_learning_rates),
            (self.baseline_optimizer, self.tuning.baseline_learning_rates),
        ):
            for rate in rates:
                replace(optimizer, learning_rate=rate)

    @property
    def baseline_optimizer(self) -> OptimizerConfig:
        """What centralised and local-only training use."""
        return self.training.baseline_optimizer or self.training.client_optimizer

    @property
    def rows(self) -> list[str]:
        """Rows of the table, in the order of ``METHODS``: the methods, and the private ones that privacy adds."""
        private = []
        if self.privacy.enabled:
            private.append(PRIVATE_FEDERATED)
            if self.privacy.level == "window" and "centralised" in self.methods:
                private.append(PRIVATE_CENTRALISED)
        return [method for method in METHODS if method in (*self.methods, *private)]

    @property
    def client_rates(self) -> list[float]:
        """Learning rates of the clients that federated training is tried with: the candidates, or the one."""
        return list(self.tuning.client_learning_rates) or [self.training.client_optimizer.learning_rate]

    def training_at(self, rate: float) -> TrainingConfig:
        """The training with another learning rate of the clients."""
        return replace(self.training, client_optimizer=replace(self.training.client_optimizer, learning_rate=rate))

    def baseline_at(self, rate: float) -> TrainingConfig:
        """The training with another learning rate of the baselines."""
        return replace(self.training, baseline_optimizer=replace(self.baseline_optimizer, learning_rate=rate))

    def _check_privacy(self) -> None:
        privacy = self.privacy
        if not privacy.enabled:
            for method in (PRIVATE_CENTRALISED, PRIVATE_FEDERATED):
                if method in self.methods:
                    raise InputError(f"methods: {method!r} needs privacy.noise_multiplier; name it, or leave it out")
            return
        if PRIVATE_CENTRALISED in self.methods and privacy.level != "window":
            raise InputError(f"methods: {PRIVATE_CENTRALISED!r} protects windows; set privacy.level=window")
        if self.training.weighting != "uniform":
            raise InputError(
                "training.weighting: under differential privacy weights are uniform, since the numbers of windows are "
                f"private too; found {self.training.weighting!r}, set training.weighting=uniform"
            )
        if privacy.level == "window" and self.data.hop < self.data.window:
            raise InputError(
                f"data.hop: windows that overlap share frames, so that protecting one window protects no frame; "
                f"expected a hop of {self.data.window} frames with privacy.level=window, found {self.data.hop}"
            )
        if privacy.level == "window" and self.data.target == "window" and self.training.loss == "ccc":
            raise InputError(
                "training.loss: a window with one target has no CCC of its own, which privacy.level=window would learn "
                "from; set training.loss=mse, or data.target=frame"
            )
        if self.tuning != TuningConfig() and privacy.settings_from != "this cohort":
            raise InputError(
                "tuning: learning rates are chosen on this cohort, which the report of epsilon must say; set "
                "privacy.settings_from='this cohort', or name one rate"
            )

    def _check_postprocess(self) -> None:
        for step in self.postprocess:
            choice("postprocess", step, POSTPROCESSING)
        if list(self.postprocess) != [step for step in POSTPROCESSING if step in self.postprocess]:
            order = ", ".join(POSTPROCESSING)
            raise InputError(f"postprocess: expected steps in the order {order}, found {', '.join(self.postprocess)}")
        if self.postprocess and self.data.target == "window":
            raise InputError(
                "postprocess: the steps are made for frames; expected data.target=frame, or no postprocess"
            )
