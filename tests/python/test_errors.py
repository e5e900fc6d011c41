"""Bad input: each is refused before anything changes, with a message that states the rule and what
was received."""

import numpy as np
import pytest

import chainrule
from chainrule import initializers, layers, losses, metrics, optimizers

X = np.random.default_rng(0).standard_normal((20, 4)).astype("float32")
Y = (X[:, :2] * 2).astype("float32")
LABELS = np.arange(20) % 3


def make(loss="mse", units=2, **options):
    chainrule.utils.set_random_seed(1)
    model = chainrule.Sequential([layers.Input((4,)), layers.Dense(units, name="out")])
    model.compile("sgd", loss, **options)
    return model


def classifier():
    return make(losses.SparseCategoricalCrossentropy(from_logits=True), 3)


def fit(x=X, y=Y, model=None, **settings):
    return (model or make()).fit(x, y, verbose=0, **settings)


def refuses(message, action, error=ValueError):
    with pytest.raises(error, match=message) as caught:
        action()
    text = str(caught.value)
    assert text.startswith("["), text
    return text


# --- data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use", ["fit", "evaluate", "predict", "predict_on_batch", "train_on_batch", "test_on_batch"]
)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[:, :3], r"x must have shape \(None, 4\).*Received: x=\(20, 3\)"),
        (X[:, :, None, None], r"x must have shape \(None, 4\).*Received: x=\(20, 4, 1, 1\)"),
        (X[0], r"x must have shape \(None, 4\).*Received: x=\(4,\)"),
        (X[:0], r"at least one sample"),
        (X.astype(complex), r"an array of numbers is needed.*complex128"),
        (X.astype(object), r"an array of numbers is needed.*object"),
        (np.array([["a"] * 4] * 20), r"an array of numbers is needed.*<U1"),
        (
            np.array(["2020-01-01"] * 20, "datetime64[D]"),
            r"an array of numbers is needed.*datetime64",
        ),
        (np.float32(1.0), r"axis|axes|samples"),
        ([[1.0, 2.0], [3.0]], r"x must be an array of numbers: "),
        ((row for row in X), r"x must be arrays.*generator"),
    ],
)
def test_wrong_inputs(use, x, message):
    model = make()
    before = model.get_weights()
    arguments = (
        (x,)
        if use.startswith("predict")
        else (x, Y[: len(x)] if isinstance(x, np.ndarray) and x.ndim else Y)
    )
    settings = {} if use.endswith("batch") else {"verbose": 0}
    refuses(message, lambda: getattr(model, use)(*arguments, **settings))
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


class Batches:
    """A data set of another library."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X, Y


@pytest.mark.parametrize("use", ["fit", "evaluate"])
@pytest.mark.parametrize("y", [None, Y])
def test_generators_say_what_to_do(use, y):
    for data in ((batch for batch in [(X, Y)]), iter([(X, Y)]), Batches(), map(id, [X])):
        refuses(
            rf"\[{use}\] x must be arrays: generators.*not read yet.*train_on_batch",
            lambda data=data: getattr(make(), use)(data, y, verbose=0),
        )
    refuses(
        r"\[predict_on_batch\] x must be arrays: generators.*call predict_on_batch\(x\) for each",
        lambda: make().predict_on_batch(Batches()),
    )
    refuses("generators", lambda: fit(validation_data=Batches()))
    refuses("generators", lambda: fit(validation_data=(Batches(), Y)))
    refuses("targets, is required", lambda: make().fit(X, verbose=0))


@pytest.mark.parametrize(
    "weights",
    [
        {0.9: 5},
        {"out": {0: 1.0}},
        {"cat": 1.0, "dog": 2.0},
        {0: "heavy"},
        {0: None},
        {0: float("nan")},
        {float("nan"): 1.0},
        [1.0, 2.0],
        {(0, 1): 1.0},
    ],
)
def test_class_weights_that_cannot_be(weights):
    model = classifier()
    refuses(r"\[fit\] class_weight is", lambda: fit(y=LABELS, model=model, class_weight=weights))
    refuses(
        r"\[train_on_batch\] class_weight is",
        lambda: model.train_on_batch(X, LABELS, class_weight=weights),
    )


def test_class_weights_of_all_kinds_of_numbers():
    plain = classifier().train_on_batch(X, LABELS, class_weight={1: 2.0})
    for weights in ({1.0: 2}, {np.int64(1): np.float32(2)}, {True: np.int8(2)}):
        assert classifier().train_on_batch(X, LABELS, class_weight=weights) == plain


@pytest.mark.parametrize("shuffle", ["batch", "False", None, 2, 0.5, [True], np.array([1, 0])])
def test_shuffle_is_true_or_false(shuffle):
    wrong = (TypeError, ValueError)
    refuses("shuffle must be True or False", lambda: fit(shuffle=shuffle), wrong)
    assert fit(shuffle=np.bool_(False)).epoch == fit(shuffle=1).epoch


def test_unequal_lengths():
    refuses(r"same number of samples.*x=20.*y=19|x.*20.*y.*19", lambda: fit(X, Y[:19]))
    refuses(r"samples", lambda: fit(sample_weight=np.ones(7)))
    refuses(r"sample", lambda: fit(validation_data=(X[:5], Y[:4])))


@pytest.mark.parametrize(
    "y",
    [
        Y[:, :1],
        Y[:, 0],
        np.repeat(Y, 2, axis=1),
        Y[:, None, :],
        np.zeros((20, 3)),
        np.zeros(20, "int64"),
    ],
)
def test_targets_whose_shape_does_not_match(y):
    refuses(r"y must have shape \(None, 2\) for 'out'. Received: y=\(20", lambda: fit(y=y))


def test_targets_with_or_without_a_unit_axis_match():
    model = make(units=1)
    first = model.evaluate(X, Y[:, 0], verbose=0)
    assert first == model.evaluate(X, Y[:, :1], verbose=0)


def test_labels_out_of_range():
    assert np.isfinite(fit(y=LABELS, model=classifier()).history["loss"][0])
    refuses(r"labels.*\[0, 3\)|0.*2.*3", lambda: fit(y=LABELS + 1, model=classifier()))
    refuses(r"-1", lambda: fit(y=LABELS - 1, model=classifier()))
    refuses(r"label", lambda: fit(y=LABELS + 0.5, model=classifier()))
    refuses(r"y must have shape", lambda: fit(y=np.eye(3)[LABELS], model=classifier()))
    refuses(r"^\[fit\] labels must be", lambda: fit(y=LABELS + 1, model=classifier()))
    validation = (X, LABELS + 1)
    refuses(
        r"^\[fit, validation_data\] labels must be.*label=3, index=",
        lambda: fit(y=LABELS, model=classifier(), validation_data=validation),
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nonfinite_inputs_name_the_step_and_change_nothing(bad):
    x = X.copy()
    x[13, 2] = bad
    model = make()
    before = model.get_weights()
    text = refuses(
        "the loss is NaN or infinite; the weights are as they were before this step",
        lambda: fit(x, model=model, batch_size=5, shuffle=False),
        RuntimeError,
    )
    assert "step=3" in text
    assert "epoch=1" in text
    assert "x" in text.partition("input=")[2]
    reference = make()
    np.testing.assert_array_equal(before[0], reference.get_weights()[0])
    reference.fit(x[:10], Y[:10], batch_size=5, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], reference.get_weights()[0])


def test_nonfinite_targets_and_loss():
    y = Y.copy()
    y[3] = np.nan
    refuses("y", lambda: fit(y=y), RuntimeError)
    model = make()
    model.optimizer.learning_rate = 1e20
    refuses("Try a smaller learning rate", lambda: fit(model=model, epochs=50), RuntimeError)


def test_ignoring_nonfinite_is_keras_behaviour():
    x = X.copy()
    x[0] = np.nan
    model = make(on_nonfinite="ignore")
    assert np.isnan(fit(x, model=model).history["loss"][0])
    assert np.isnan(model.get_weights()[0]).all()


def test_a_model_before_it_has_a_shape():
    for use in (
        lambda m: m.output_shape,
        lambda m: m.input,
        lambda m: m.save("never.safetensors"),
    ):
        model = chainrule.Sequential([layers.Dense(2)])
        refuses("the model has no shape yet", lambda model=model, use=use: use(model), RuntimeError)


def test_training_before_compile():
    model = chainrule.Sequential([layers.Input((4,)), layers.Dense(2)])
    for use in (
        lambda: fit(model=model),
        lambda: model.evaluate(X, Y, verbose=0),
        lambda: model.optimizer,
    ):
        refuses("must be compiled first", use, RuntimeError)


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be positive.*batch_size=0"),
        ({"batch_size": -3}, "batch_size must be positive.*batch_size=-3"),
        ({"epochs": 0}, "epochs must be positive"),
        ({"initial_epoch": -1}, "initial_epoch must not be negative"),
        ({"validation_split": 1.0}, r"validation_split must be in \[0, 1\)"),
        ({"validation_split": 0.99}, "validation_split leaves no sample"),
        ({"validation_data": X}, r"validation_data must be \(x, y\)"),
        ({"validation_freq": 0}, "validation_freq must be positive"),
        ({"class_weight": [1.0, 2.0]}, "class_weight is a dict"),
        ({"sample_weight": np.ones((20, 3))}, "sample_weight"),
        ({"sample_weight": [np.ones(20), np.ones(20)]}, "one array for all outputs"),
        ({"steps_per_epoch": 3}, "steps_per_epoch is not supported"),
        ({"callbacks": [3]}, "derived from callbacks.Callback"),
    ],
)
def test_settings_of_fit(settings, message):
    refuses(message, lambda: fit(**settings))


def test_verbose():
    refuses("must be 'auto', 0, 1 or 2", lambda: make().fit(X, Y, verbose="loud"))


def test_missing_data():
    refuses("y, the targets, is required", lambda: make().fit(X))
    refuses("x is required", lambda: make().fit())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"an optimizer is required, one of: adam, sgd"),
        ({"optimizer": "adamm", "loss": "mse"}, "no 'adamm' here. Did you mean .*'adam'"),
        ({"optimizer": "sgd", "loss": "mean_squared_eror"}, "Did you mean 'mean_squared_error'"),
        ({"optimizer": "sgd", "loss": "mse", "metrics": ["acuracy"]}, "no 'acuracy'"),
        ({"optimizer": "sgd"}, "a loss is required"),
        ({"optimizer": optimizers.SGD, "loss": "mse"}, r"not a class: write SGD\(\)"),
        ({"optimizer": 3, "loss": "mse"}, "a name, a configuration or an object"),
        (
            {"optimizer": "sgd", "loss": ["mse", "mse"]},
            "loss must have one entry for each of the 1 outputs",
        ),
        ({"optimizer": "sgd", "loss": {"oot": "mse"}}, r"by the names of outputs, \['out'\]"),
        (
            {"optimizer": "sgd", "loss": losses.MeanSquaredError(reduction="none")},
            "must be reduced to a scalar",
        ),
        ({"optimizer": "sgd", "loss": "mse", "run_eagerly": True}, "run_eagerly is not supported"),
        (
            {"optimizer": "sgd", "loss": "mse", "steps_per_execution": 4},
            "steps_per_execution is not supported",
        ),
        (
            {"optimizer": "sgd", "loss": "mse", "on_nonfinite": "warn"},
            "must be 'raise' or 'ignore'",
        ),
    ],
)
def test_settings_of_compile(settings, message):
    model = chainrule.Sequential([layers.Input((4,)), layers.Dense(2, name="out")])
    refuses(message, lambda: model.compile(**settings))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: layers.Dense(), "'units' is required"),
        (lambda: layers.Dense(0), "must be positive.*0"),
        (lambda: layers.Dense(-3), "must be positive.*-3"),
        (lambda: layers.Dense("3"), "units"),
        (lambda: layers.Dense(3.5), "units"),
        (lambda: layers.Dense(3, unit=4), "no argument 'unit'"),
        (lambda: layers.Dense(3, activation="rellu"), "Did you mean 'relu'"),
        (lambda: layers.Dense(3, kernel_initializer="glorot"), "there is no 'glorot'"),
        (lambda: layers.Dense(3, use_bias="yes"), "use_bias"),
        (lambda: layers.Dropout(1.5), r"\[0, 1\].*rate=1.5"),
        (lambda: layers.Dropout(-0.1), r"\[0, 1\].*rate=-0.1"),
        (lambda: layers.Input((-3,)), "lengths must not be negative"),
        (lambda: layers.Input((0,)), "lengths must be positive"),
        (lambda: layers.Input(), "the shape of a sample is required"),
        (lambda: layers.Input((3,), batch_size=4), "batch size"),
        (lambda: layers.Dense(3)(layers.Input(())), "batch axis and at least one more"),
        (lambda: layers.Dense(3)(layers.Input((None,))), "unknown"),
        (lambda: layers.Add()([layers.Input((3,)), layers.Input((4,))]), "Add"),
        (lambda: layers.Subtract()([layers.Input((3,))] * 3), "Subtract"),
        (lambda: layers.Concatenate()([layers.Input((3,)), layers.Input((4, 2))]), "Concatenate"),
        (lambda: layers.Reshape((5,))(layers.Input((3,))), "Reshape"),
        (lambda: layers.Permute((1, 3)), "Permute"),
        (lambda: layers.Dense(3)([layers.Input((3,)), layers.Input((4,))]), "takes one input"),
        (lambda: layers.Dense(3)([layers.Input((3,)), X]), "all inputs must be outputs of layers"),
        (lambda: layers.Dense(3)(layers.Input((3,)), training=True), "leave out training"),
        (lambda: optimizers.Adam(beta_1=1.5), "beta_1"),
        (lambda: optimizers.SGD(-1.0), "learning_rate"),
        (lambda: optimizers.SGD(momentum=2.0), "momentum"),
        (lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0), "only one of clipnorm"),
        (lambda: optimizers.get("rmsprop2"), "there is no 'rmsprop2'"),
        (lambda: losses.get("hinge2"), "there is no 'hinge2'"),
        (lambda: metrics.get("mea"), "Did you mean"),
        (lambda: initializers.get("zeroes"), "Did you mean .*'zeros'"),
        (lambda: initializers.RandomNormal(stddev=-1.0), "stddev"),
        (lambda: initializers.Zeros()((-1, 2)), "-1|negative"),
        (lambda: losses.MeanSquaredError(reduction="average"), "reduction must be"),
        (lambda: chainrule.activations.get("rellu"), "Did you mean 'relu'"),
        (lambda: chainrule.Sequential([3]), "a layer is needed"),
        (lambda: chainrule.Model(3, 4), "must be what Input"),
        (lambda: chainrule.utils.to_categorical([0, 3], 3), "labels must be from 0 to 2"),
        (lambda: chainrule.utils.to_categorical([0.5]), "labels must be integers"),
        (lambda: chainrule.utils.set_random_seed(-1), "an integer from 0"),
    ],
)
def test_constructors(action, message):
    refuses(message, action)


def test_graphs():
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    refuses("not among the inputs", lambda: chainrule.Model(a, layers.Add()([a, b])))
    refuses("inputs must be made by Input", lambda: chainrule.Model(layers.Dense(2)(a), b))
    refuses("each input can be listed once", lambda: chainrule.Model([a, a], layers.Dense(2)(a)))
    twins = [layers.Dense(2, name="twin"), layers.Dense(2, name="twin")]
    refuses(
        "layers must have different names", lambda: chainrule.Model(a, [twin(a) for twin in twins])
    )
    refuses("layers must have different names", lambda: chainrule.Sequential(twins))
    refuses(
        "an Input can only be the first",
        lambda: chainrule.Sequential([layers.Dense(2), layers.Input((4,))]),
    )


def test_weights():
    model = make()
    before = model.get_weights()
    refuses("one array for each of the 2 weights", lambda: model.set_weights(before[:1]))
    refuses(
        r"must be \(2,\) for weight 'out/bias'",
        lambda: model.set_weights([before[0] + 1, np.ones(3)]),
    )
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    refuses(
        r"the shape must be \(2,\) for weight .out/bias.",
        lambda: model.layers[0].bias.assign(np.ones(3)),
    )
