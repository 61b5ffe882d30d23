import pytest

from tff_affect.config_file import load_config
from tff_affect.errors import InputError

COHORT = "data.cohort=somewhere"


def test_post_processing_is_for_frames() -> None:
    assert load_config(None, [COHORT, "postprocess=[median,shift]"]).postprocess == ["median", "shift"]
    with pytest.raises(InputError, match=r"postprocess: the steps are made for frames"):
        load_config(None, [COHORT, "postprocess=[median]", "data.target=window"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.rounds=0", "training.rounds: expected at least 1, found 0"),
        ("training.rounds=many", "rounds"),
        ("training.roundz=3", "roundz"),
        ("training.loss=mae", "training.loss: expected one of ccc, mse, found 'mae'"),
        ("training.client_optimizer.name=yogi", "training.client_optimizer.name"),
        ("training.client_optimizer.learning_rate=0", "expected a number above 0"),
        ("training.server_optimizer.momentum=1", "optimizer.momentum"),
        ("training.proximal_strength=-1", "training.proximal_strength"),
        ("training.weighting=frames", "training.weighting"),
        ("data.hop=200", "data.hop: expected at most the window of 100 frames, found 200"),
        ("data.scaling=test", "data.scaling"),
        ("data.minimum_valid=2", "data.minimum_valid"),
        ("data.target_delay=-1", "data.target_delay"),
        ("data.target_delay=nan", "data.target_delay"),
        ("split.test=1", "split.test"),
        ("split.scheme=random", "split.scheme"),
        ("split.shuffle=false", "split.shuffle: holdout draws its subjects at random"),
        ("postprocess=[smoothing]", "postprocess: expected one of median, centring, scaling, shift"),
        ("postprocess=[shift,median]", "in the order median, centring, scaling, shift, found shift, median"),
        ("postprocess=[median,median]", "postprocess: expected steps in the order"),
        ("tuning.client_learning_rates=[0.1,0]", "tuning.client_learning_rates: expected a number above 0"),
        ("tuning.baseline_learning_rates=[0.1,0.1]", "tuning.baseline_learning_rates: expected no rate twice"),
        ("tuning.baseline_learning_rates=[2.0]", "optimizer adam: expected a learning rate below 1"),
        ("model.units=0", "model.units"),
        ("training.server_optimizer.name=adam", "expected a learning rate below 1"),
        ("training.baseline_optimizer.name=adam", "learning_rate"),
        ("seeds=[]", "seeds"),
        ("seeds=[-1,0]", "seeds: expected at least 0"),
        ("seeds=[1,1]", "seeds"),
        ("methods=[centralised]", "'federated' cannot be left out"),
        ("methods=[federated,magic]", "methods"),
    ],
)
def test_a_wrong_setting_is_named(override: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(None, [COHORT, override])
    assert message in str(caught.value)


NOISE = "privacy.noise_multiplier=1.0"
UNIFORM = "training.weighting=uniform"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([NOISE], "training.weighting: under differential privacy weights are uniform"),
        ([NOISE, "training.weighting=windows"], "set training.weighting=uniform"),
        (["privacy.noise_multiplier=-1", UNIFORM], "privacy.noise_multiplier: expected at least 0"),
        ([NOISE, UNIFORM, "privacy.clipping_norm=.inf"], "without clipping no amount of noise protects"),
        ([NOISE, UNIFORM, "privacy.level=window", "data.hop=50"], "expected a hop of 100 frames"),
        ([NOISE, UNIFORM, "privacy.level=window", "data.target=window"], "set training.loss=mse"),
        ([NOISE, UNIFORM, "tuning.client_learning_rates=[0.1]"], "set privacy.settings_from='this cohort'"),
        ([NOISE, UNIFORM, "tuning.baseline_learning_rates=[0.1]"], "set privacy.settings_from='this cohort'"),
        (["methods=[federated,federated + DP]"], "methods: 'federated + DP' needs privacy.noise_multiplier"),
        (["methods=[federated,centralised + DP]"], "methods: 'centralised + DP' needs privacy.noise_multiplier"),
        ([NOISE, UNIFORM, "methods=[federated,centralised + DP]"], "set privacy.level=window"),
        ([NOISE, UNIFORM, "privacy.zeroing=true"], "zeroing"),
    ],
)
def test_privacy_that_does_not_go_with_the_rest_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(None, [COHORT, *overrides])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "rows"),
    [
        ([], ["mean predictor", "local-only", "centralised", "federated"]),
        ([NOISE, UNIFORM], ["mean predictor", "local-only", "centralised", "federated", "federated + DP"]),
        ([NOISE, UNIFORM, "methods=[]"], ["federated + DP"]),
        (
            [NOISE, UNIFORM, "privacy.level=window", "methods=[centralised]"],
            ["centralised", "centralised + DP", "federated + DP"],
        ),
        ([NOISE, UNIFORM, "privacy.level=window", "methods=[federated]"], ["federated", "federated + DP"]),
        ([NOISE, UNIFORM, "data.hop=50", "methods=[]"], ["federated + DP"]),
        (
            [NOISE, UNIFORM, "methods=[]", "tuning.client_learning_rates=[0.1]", "privacy.settings_from=this cohort"],
            ["federated + DP"],
        ),
    ],
)
def test_private_rows_join_by_themselves(overrides: list[str], rows: list[str]) -> None:
    assert load_config(None, [COHORT, *overrides]).rows == rows
