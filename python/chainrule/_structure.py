"""The structure of models: layers, shapes, weights, configuration, files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np

from chainrule import _building, _catalog, _core, _data, _names, _pickle
from chainrule._arguments import checked, message
from chainrule._layer import Layer, flatten, one_or_list

FOREIGN_FILES = (".keras", ".h5", ".hdf5", ".pkl", ".pt", ".pth", ".onnx", ".npz")
# Methods that Keras's fit(), evaluate() and predict() call, and the engine does not.
NOT_CALLED = (
    "train_step",
    "test_step",
    "predict_step",
    "compute_loss",
    "compute_metrics",
    "make_train_function",
    "make_test_function",
    "make_predict_function",
)
NO_STEPS = (
    "steps run in the engine and would not call it: write losses and metrics as functions or "
    "classes, add to the loss by add_loss() in a layer, and use callbacks for the rest"
)
MASKS = "the masks of a model's outputs are those that its layers make"


class Structure(Layer):
    """The part of a model that has nothing to do with training."""

    @checked
    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None) -> None:
        if inputs is None or outputs is None:
            raise ValueError("[Model] inputs and outputs are required: Model(inputs, outputs)")
        made = _core.make_functional(
            _symbols(inputs, "inputs"),
            _symbols(outputs, "outputs"),
            name or "",
            _keys(inputs),
            _keys(outputs),
        )
        _core.Layer.__init__(self, made)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if _catalog.definer(cls, "call") is not None:
            raise TypeError(
                f"[{cls.__name__}] a Model with a call() of its own is not supported: use the "
                f"functional Model(inputs, outputs), or derive from layers.Layer and put that into "
                f"a model"
            )
        _catalog.refuse_overrides(cls, NOT_CALLED, NO_STEPS)
        _catalog.refuse_overrides(cls, ["compute_mask"], MASKS)
        super().__init_subclass__(**kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in NOT_CALLED:
            raise TypeError(f"[{type(self).__name__}] {name} cannot be set: {NO_STEPS}")
        if name == "compute_mask":
            raise TypeError(f"[{type(self).__name__}] {name} cannot be set: {MASKS}")
        object.__setattr__(self, name, value)

    # --- structure ---

    @property
    def layers(self) -> list[Layer]:
        """All layers."""
        return _core.model_layers(self)

    @checked
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or by index.

        Raises:
            ValueError: when there is none.
        """
        found = _core.find_layer(self, index, name or "")
        if found is None and index is not None:
            count = len(self.layers)
            raise ValueError(f"[get_layer] the model has {count} layers. Received: index={index}")
        if found is None:
            hint = _core.did_you_mean(str(name), [layer.name for layer in self.layers])
            raise ValueError(
                f"[get_layer] there is no layer '{name}'{hint or '.'} Received: name={name!r}"
            )
        return found

    @property
    def inputs(self) -> list[Any]:
        """The symbols of the inputs."""
        return _core.model_inputs(self)

    @property
    def outputs(self) -> list[Any]:
        """The symbols of the outputs."""
        return _core.model_outputs(self)

    @property
    def input(self) -> Any:
        """The symbol of the input, or a list; a dict if the model was made with one."""
        symbols = self._known("input").inputs
        keys = _core.input_keys(self)
        return dict(zip(keys, symbols, strict=True)) if keys else one_or_list(symbols)

    @property
    def output(self) -> Any:
        """The symbol of the output, or a list; a dict if the model was made with one."""
        return self._structured(self._known("output").outputs)

    @property
    def input_shape(self) -> Any:
        """Shape of the input, None for the batch axis; a list for several inputs."""
        return one_or_list([symbol.shape for symbol in self._known("input_shape").inputs])

    @property
    def output_shape(self) -> Any:
        """Shape of the output, None for the batch axis; a list for several outputs."""
        return self._structured([symbol.shape for symbol in self._known("output_shape").outputs])

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs: keys for x as a dict."""
        return _core.input_names(self)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: keys for y, losses and metrics as dicts."""
        return _core.output_names(self)

    def _structured(self, outputs: Sequence[Any]) -> Any:
        """One output, a list, or a dict by the keys that the model was made with."""
        keys = _core.output_keys(self)
        return dict(zip(keys, outputs, strict=True)) if keys else one_or_list(outputs)

    def _known(self, where: str) -> Any:
        _core.require_shape(self, where)
        return self

    def build(self, input_shape: Any) -> None:
        """Makes the weights of a model that has no Input.

        Args:
            input_shape: Shape of the input with the batch axis: (None, 64).
        """
        self._build(_building.shapes_of(input_shape))

    @checked
    def summary(
        self, line_length: int | None = None, print_fn: Callable[[str], Any] | None = None
    ) -> None:
        """Prints a table of the layers, their output shapes and numbers of parameters.

        Args:
            line_length: Width in characters; 80 by default.
            print_fn: Function to print with; gets the whole table.
        """
        if line_length is not None and not 1 <= line_length <= 10_000:
            raise ValueError(message("summary", "from 1 to 10,000", "line_length", line_length))
        (print_fn or print)(_core.summary(self, line_length or 80))

    def _as_inputs(self, arrays: list[Any]) -> list[Any]:
        if not self.built:
            self._build([(None, *np.shape(x)[1:]) for x in arrays])
        _core.check_inputs(self, arrays, type(self).__name__)
        return [
            _batch(_core.array(x, "x"), symbol)
            for x, symbol in zip(arrays, self.inputs, strict=True)
        ]

    # --- configuration and files ---

    def get_config(self) -> dict[str, Any]:
        """Layers and their connections."""
        _names.require_distinct(self, "get_config")
        return self._full_config()

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """A model of the same structure with new weights."""
        _catalog.text_keyed(config, cls.__name__)
        spec = {
            "class_name": "Sequential" if "calls" not in config else "Functional",
            "config": config,
        }
        return _core.model_from_config(spec, _catalog.factory(custom_objects, "from_config"))

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as text; models.model_from_json() reads it.

        Args:
            kwargs: Arguments of json.dumps(), such as indent=2.

        Raises:
            ValueError: for arguments of layers that JSON cannot hold: infinity, NaN, values that
                contain themselves.
        """
        _names.require(self, "to_json")
        spec = _catalog.serialize(self, Layer, "to_json")
        _core.require_finite(spec, "to_json")
        return json.dumps(spec, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _pickle.reduce_model(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        _pickle.set_model_state(self, state)

    @checked
    def save(self, filepath: str | PathLike[str], overwrite: bool = True) -> None:
        """Writes weights, optimizer, random state and configuration to one safetensors file. The
        write is atomic: the file is never there in part.

        Args:
            filepath: The file; by custom the name ends in ".safetensors". A symbolic link is
                followed, and an existing file keeps its permissions.
            overwrite: Whether an existing file may be replaced.

        Raises:
            ValueError: for the suffix of another format, and for classes and functions of your own
                that have no name or share their name with others.
            RuntimeError: if the model's input shape is not known yet.
            OSError: if the file cannot be written: PermissionError, FileNotFoundError...
        """
        path = _path_to_write(filepath, overwrite, "save")
        _names.require(self, "save", compiled=True)
        _core.save(self, path)

    @checked
    def save_weights(self, filepath: str | PathLike[str], overwrite: bool = True) -> None:
        """Writes only the weights to a safetensors file. The write is atomic.

        Args:
            filepath, overwrite: As in save().

        Raises:
            ValueError, RuntimeError, OSError: as save() does.
        """
        _core.save_weights(self, _path_to_write(filepath, overwrite, "save_weights"))

    @checked
    def load_weights(self, filepath: str | PathLike[str], skip_mismatch: bool = False) -> None:
        """Reads weights from a file of save_weights() or save() into a model with weights of the
        same shapes: by name if all names are the same, else in order.

        Args:
            filepath: The file.
            skip_mismatch: Not supported.

        Raises:
            ValueError: if the file is damaged or has weights of other shapes; the model stays as
                it was.
            RuntimeError: if the model's input shape is not known yet.
            OSError: if the file cannot be read: FileNotFoundError, PermissionError...

        Example:

        >>> model = Sequential([Input((2,)), layers.Dense(1)])
        >>> model.save_weights("weights.safetensors")
        >>> model.load_weights("weights.safetensors")
        """
        _data.refuse("load_weights", skip_mismatch=(skip_mismatch, False))
        _core.load_weights(self, _path(filepath, "load_weights"))


def _path(filepath: str | PathLike[str], where: str) -> bytes:
    """A path as bytes in the encoding of the file system."""
    path = os.fspath(filepath)
    refuse_foreign(path, where)
    return os.fsencode(path)


def _path_to_write(filepath: str | PathLike[str], overwrite: bool, where: str) -> bytes:
    path = _path(filepath, where)
    if not overwrite and os.path.exists(path):
        raise ValueError(f"[{where}] the file exists, and overwrite=False. Received: '{filepath}'")
    return path


def refuse_foreign(path: str, where: str = "save") -> None:
    """Raises for the suffixes of other formats."""
    if path.lower().endswith(FOREIGN_FILES):
        raise ValueError(
            f"[{where}] models and weights are safetensors files: use the suffix .safetensors; "
            f"weights of other libraries come by set_weights(). Received: '{path}'"
        )


def _batch(array: Any, symbol: Any) -> Any:
    """An array converted to the type of a symbol; a last axis of length 1 is added or dropped."""
    if array.ndim > symbol.ndim:
        array = array[..., 0]
    elif array.ndim < symbol.ndim:
        array = array[..., None]
    return array.astype(symbol.dtype)


def _keys(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return []
    wrong = next((key for key in value if not isinstance(key, str)), None)
    if wrong is not None:
        raise ValueError(
            f"[Model] inputs and outputs by name have texts as keys. Received: {wrong!r}"
        )
    return list(value)


def _symbols(value: Any, what: str) -> list[Any]:
    symbols = list(value.values()) if isinstance(value, dict) else flatten(value)
    for symbol in symbols:
        if not isinstance(symbol, _core.Symbol):
            raise ValueError(
                f"[Model] {what} must be what Input() and applied layers return. Received: "
                f"{type(symbol).__name__}"
            )
    return symbols
