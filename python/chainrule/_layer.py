"""The base of all layers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import (
    _building,
    _calls,
    _catalog,
    _core,
    _masks,
    _names,
    _pickle,
    dtype_policies,
    initializers,
)
from chainrule._arguments import DType, arguments_of, checked, takes
from chainrule.dtype_policies import DTypePolicy

Symbol = _core.Symbol
BASE_ARGUMENTS = {"name", "trainable", "dtype"}
# Methods that Keras calls and the engine does not: for files, and for calls without state.
IGNORED = (
    "compute_output_spec",
    "stateless_call",
    "symbolic_call",
    "quantize",
    "save_own_variables",
    "load_own_variables",
    "save_assets",
    "load_assets",
    "get_build_config",
    "build_from_config",
)


COLLECTED = ("weights", "trainable_weights", "non_trainable_weights", "losses")


def flatten(inputs: Any) -> list[Any]:
    """One or several inputs as a list."""
    return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]


def one_or_list(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else list(values)


class Layer(_core.Layer, metaclass=_catalog.Initialized):
    """The base of all layers. Derive from it to write your own.

    `build(input_shape)` makes weights with add_weight(). `call(inputs)` computes with operators and
    the functions of chainrule.ops. call() is traced: it runs when the layer is applied and when a
    model is compiled for a batch size, never in a training step. So side effects such as print()
    happen only then. `weight.assign(value)` in call() becomes part of the step: later reads give
    `value`, and the weight keeps it after the step. Such a weight is made with `trainable=False`.

    Args:
        name: Name of the layer, unique in a model; None makes one from the class name.
        trainable: Whether training changes the weights.
        dtype: Types to compute and to keep weights in: "float32", "float64" or a DTypePolicy; None
            is config.dtype_policy(). Floating inputs are cast to it before call().

    Example:

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         shape = (input_shape[-1],)
    ...         self.scale = self.add_weight(shape, initializer="ones", name="scale")
    ...
    ...     def call(self, inputs):
    ...         return inputs * self.scale
    """

    __slots__ = ()

    @checked
    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        **kwargs: Any,
    ):
        cls = type(self).__name__
        if kwargs:
            raise TypeError(
                f"[{cls}] Layer takes name, trainable and dtype. Received: {', '.join(kwargs)}"
            )
        super().__init__(cls, name or "", trainable, dtype_policies.get(dtype).name)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _catalog.refuse_subclass(cls, "derive from layers.Layer and use the layer inside")
        _catalog.refuse_overrides(cls, IGNORED, "it would have no effect")
        reason = "the engine collects them itself: use add_weight(), add_loss() and trainable"
        _catalog.refuse_overrides(cls, COLLECTED, reason)
        _catalog.refuse_overrides(cls, ["__call__"], "models would not call it: write call()")
        if "build" in cls.__dict__ and not _names.is_ours(cls):
            cls.build = _building.built_once(cls.build)  # type: ignore[method-assign]

    # --- to be overridden ---

    def build(self, input_shape: Any) -> None:
        """Makes the weights.

        Args:
            input_shape: The shape of the input, None where unknown; a list of shapes for several
                inputs.
        """
        if not _building.inside(self):
            self._build(_building.shapes_of(input_shape))

    def call(self, inputs: Any) -> Any:
        """Computes the outputs from symbolic inputs. May have a parameter `training`, which is True
        or False, and `mask`, the mask of the input or None (a list of them for a list of inputs).
        A call() with several tensors gets the mask of its parameter `a` as `a_mask`."""
        raise NotImplementedError(f"[{type(self).__name__}] write call(self, inputs)")

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output, from the mask of the input. Override it if the output has other
        positions than the input, or if the layer makes or removes a mask.

        A mask says which positions of a value count: it is a boolean value over its leading axes,
        such as `(batch, steps)`. Masks go from layer to layer, and losses and metrics leave out
        masked positions. A layer refuses inputs with a mask, which would be lost, unless it has a
        compute_mask(), sets `self.supports_masking = True`, takes `mask` in call(), or returns the
        input itself, which keeps its mask.

        Args:
            inputs: The inputs of call(): a symbolic value, or a list.
            previous_mask: The mask of the inputs or None; a list of them for a list.

        Returns:
            The mask of the output, or None; for several outputs a list with one, or None, for
            each. Which outputs have a mask must be the same in training and in inference.

        Example:

        >>> class EverySecond(Layer):
        ...     def call(self, inputs):
        ...         return inputs[:, ::2]
        ...
        ...     def compute_mask(self, inputs, previous_mask=None):
        ...         return None if previous_mask is None else previous_mask[:, ::2]
        """
        if type(self).call is not Layer.call:
            return previous_mask
        values, given = flatten(inputs), flatten(previous_mask)

        def traced(*operands: Any) -> Any:
            left = iter(operands[len(values) :])
            masks = [None if mask is None else next(left) for mask in given]
            found = self._compute_mask(list(operands[: len(values)]), masks)
            return one_or_list(found) if found else None

        operands = [*values, *(mask for mask in given if mask is not None)]
        return traced(*operands) if _core.tracing() else _core.run(traced, operands, False)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments. Extend it when your __init__ takes more: saving needs it."""
        if (
            "_catalog_class" not in type(self).__dict__
            and type(self).get_config is Layer.get_config
        ):
            taken = arguments_of(type(self).__init__) - BASE_ARGUMENTS
            if taken:
                raise NotImplementedError(
                    f"[{type(self).__name__}] write get_config(), which returns the arguments of "
                    f"__init__, to save or copy the layer. Missing: {', '.join(sorted(taken))}"
                )
        return self._config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The reverse of get_config()."""
        given = dict(_catalog.text_keyed(config, cls.__name__))
        later = {}  # what get_config() tells, and __init__ does not take
        if "_catalog_class" not in cls.__dict__ and cls.get_config is Layer.get_config:
            for name in ("name", "trainable"):
                if name in given and not takes(cls.__init__, name):
                    later[name] = given.pop(name)
        made = cls._from_arguments(given)
        if "name" in later:
            made._set_name(later["name"])
        if "trainable" in later:
            made.trainable = later["trainable"]
        return made

    @classmethod
    def _from_arguments(cls, given: dict[str, Any]) -> Any:
        if given.get("dtype") is None or "_catalog_class" in cls.__dict__:
            return _catalog.from_config(cls, given)
        policy = dtype_policies.get(given.pop("dtype"))
        if takes(cls.__init__, "dtype"):
            return _catalog.from_config(cls, {**given, "dtype": policy.name})
        made = _catalog.from_config(cls, given)  # its constructor takes the global policy
        if made.dtype_policy != policy:
            raise ValueError(
                f"[{cls.__name__}] the layer's __init__ must take dtype, and pass it to that of "
                f"Layer, as config.dtype_policy() is another one now. Received: "
                f"dtype='{policy.name}', dtype_policy='{made.dtype_policy.name}'"
            )
        return made

    def _clone(self) -> Any:
        return _pickle.clone_layer(self)

    def _own_config(self) -> dict[str, Any]:
        """The configuration for a copy in this process, which may hold functions."""
        if _catalog.copying.get() is not None:
            return self.get_config()
        with _catalog.for_copies():
            return self.get_config()

    def __reduce__(self) -> tuple[Any, ...]:
        return _pickle.reduce_layer(self)

    # --- to be used ---

    @checked
    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = None,
        dtype: DType | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> Any:
        """Makes a weight of this layer.

        Args:
            shape: A tuple of lengths.
            initializer: An initializer or its name; None is "glorot_uniform".
            dtype: Element type; None is variable_dtype. All trainable weights should have that.
            trainable: Whether training changes the weight. If not, call() may assign it.
            name: Name of the weight in the layer.

        Returns:
            The weight, which call() uses like a symbolic value.

        Example:

        >>> class Counter(Layer):
        ...     def build(self, input_shape):
        ...         self.calls = self.add_weight((), "zeros", trainable=False, name="calls")
        ...
        ...     def call(self, inputs):
        ...         return inputs * self.calls.assign_add(1.0)
        >>> counter = Counter()
        >>> for _ in range(3):
        ...     y = counter(np.ones(2))
        >>> y
        array([3., 3.], dtype=float32)
        """
        return self._add_weight(
            name or f"weight_{len(self.weights)}",
            shape,
            initializers.get(initializer),
            trainable,
            dtype,
        )

    def add_loss(self, loss: Any) -> None:
        """In call(): adds a scalar to the loss of the model."""
        _core.add_loss(loss)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Applies the layer: to symbols of a functional model, to symbolic values in call(), or to
        arrays.

        Args:
            args, kwargs: The arguments of call(): one input or a list of them, or several
                arguments. Lists and dicts of tensors may stand in place of a tensor.
            training: Whether to compute as in training (dropout...); None: as the layer or model
                around it does.

        Returns:
            One output or a list: symbols for symbols, symbolic values for symbolic values, arrays
            for arrays.
        """
        args, kwargs, training = _calls.bind(self, args, kwargs)
        flat, form = _calls.form_of(args, kwargs)
        if not flat:
            raise ValueError(
                f"[{type(self).__name__}] a layer is applied to at least one input. Received: "
                f"{args[0]!r}, layer='{self.name}'"
            )
        if form is not None and type(self).call is Layer.call:
            raise ValueError(
                f"[{type(self).__name__}] a layer takes one input or a list of them. Received: "
                f"{type(args[0]).__name__}, layer='{self.name}'"
            )
        if any(isinstance(x, Symbol) for x in flat):
            return self._apply_to_symbols(flat, form, training)
        if _core.tracing():
            return one_or_list(self._call_inside(flat, training, form))
        arrays = self._as_inputs(flat)
        if not self.built and form is None:
            self._build([(None, *np.shape(x)[1:]) for x in arrays])
        outputs = _core.run(
            lambda *values: self._call_inside(list(values), None, form), arrays, bool(training)
        )
        return one_or_list(outputs)

    def _as_inputs(self, arrays: list[Any]) -> list[Any]:
        """The inputs as arrays for the engine; floating ones in the layer's compute_dtype."""
        given = [_core.array(x, type(self).__name__) for x in arrays]
        return [x.astype(self.compute_dtype) if x.dtype.kind == "f" else x for x in given]

    def _apply_to_symbols(
        self, flat: list[Any], form: _calls.Form | None, training: bool | None
    ) -> Any:
        stranger = next((x for x in flat if not isinstance(x, Symbol)), None)
        if stranger is not None:
            raise ValueError(
                f"[{type(self).__name__}] all inputs must be outputs of layers or of Input. "
                f"Received: {type(stranger).__name__}, layer='{self.name}'"
            )
        if training is not None:
            raise ValueError(
                f"[{type(self).__name__}] a layer of a functional model trains when the model "
                f"does: leave out "
                f"training. Received: training={training}, layer='{self.name}'"
            )
        return one_or_list(self._apply(flat, form))

    @property
    def dtype_policy(self) -> DTypePolicy:
        """The types to compute and to keep weights in."""
        return DTypePolicy(self._policy)

    @property
    def input(self) -> Any:
        """The symbol, or list of symbols, that the layer was applied to. The layer must have been
        applied once."""
        return one_or_list(self._only_call("input")[0])

    @property
    def output(self) -> Any:
        """The symbol, or list of symbols, that the layer returned. The layer must have been applied
        once.

        Example:

        >>> model = Sequential([Input((4,)), layers.Dense(3, name="hidden"), layers.Dense(1)])
        >>> features = Model(model.input, model.get_layer("hidden").output)
        >>> features.output_shape
        (None, 3)
        """
        return one_or_list(self._only_call("output")[1])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for a shape of the input (None where unknown)."""
        several = isinstance(input_shape, list)
        return one_or_list(self._output_shapes(input_shape if several else [input_shape]))

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of all weights, in order, all from the same moment: if another thread is in fit(),
        the call waits for the end of a step."""
        return _core.read_variables(self.weights)

    @checked
    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all weights. If one array has a wrong shape or is not numeric, that is an error and
        no weight changes. If another thread is in fit(), the call waits for the end of a step."""
        _core.write_variables(self.weights, weights, "set_weights")

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The weights that training does not change."""
        trainable = {id(w) for w in self.trainable_weights}
        return [w for w in self.weights if id(w) not in trainable]

    @property
    def variables(self) -> list[Any]:
        """All weights."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Any]:
        """The weights that training changes."""
        return self.trainable_weights

    # --- machinery ---

    def _trace(
        self, values: list[Any], training: bool, form: _calls.Form | None
    ) -> tuple[Any, list[Any]]:
        """call() as the engine calls it: the outputs, and their masks."""
        args, kwargs = ([one_or_list(values)], {}) if form is None else _calls.fill(form, values)
        if "training" in inspect.signature(self.call).parameters:
            kwargs["training"] = training
        masks = _masks.Given(self.call, args, kwargs)
        kwargs.update(masks.arguments)
        outputs = self.call(*args, **kwargs)
        if outputs is None:
            raise ValueError(
                f"[{type(self).__name__}] call() returned nothing. Received: layer='{self.name}'"
            )
        return outputs, _masks.output_masks(self, masks, outputs)

    def _has_compute_mask(self) -> bool:
        """Whether the layer has a compute_mask() of its own."""
        own = type(self).compute_mask is not Layer.compute_mask
        return own or "compute_mask" in self.__dict__

    def _uses_mask(self) -> bool:
        """Whether a call() that has a parameter `mask` uses it."""
        return True

    def _build_for(self, shapes: list[Any], form: _calls.Form | None) -> None:
        """build() as the engine calls it."""
        with _building.entered(self):
            if form is None:
                self.build(one_or_list(shapes))
            else:
                args, kwargs = _calls.shapes_for_build(self, shapes, form)
                self.build(*args, **kwargs)

    def __repr__(self) -> str:
        return _catalog.safe_repr(self, _core.Layer.__repr__)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "compute_mask" and type(self).call is Layer.call:
            raise TypeError(
                f"[{type(self).__name__}] {name} cannot be set: the engine would not call it. Put "
                f"a layer of your own before it. Received: layer='{self.name}'"
            )
        object.__setattr__(self, name, value)
        if isinstance(value, (Layer, list, tuple, dict, set)):
            self._remember_order(self, value)

    def __getattr__(self, name: str) -> Any:
        """Weights by name: dense.kernel."""
        if any(name in base.__dict__ for base in type(self).__mro__):
            object.__getattribute__(self, name)  # a property that failed: raises its error again
        if not name.startswith("_"):
            for weight in self.weights:
                if weight.name == name:
                    return weight
        raise AttributeError(f"'{type(self).__name__}' has no attribute '{name}'")
