"""A few seconds with an installed wheel: it imports, trains, and carries the C++ package."""

import subprocess
import sys
from pathlib import Path

import numpy as np

import chainrule as keras

x = np.random.default_rng(0).normal(size=(256, 3)).astype("float32")
y = x @ np.array([[1.0], [-2.0], [0.5]], "float32") + 3.0

keras.utils.set_random_seed(1)
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
losses = model.fit(x, y, batch_size=32, epochs=10, verbose=0).history["loss"]
assert losses[-1] < 1e-3 < losses[0], losses

command = [sys.executable, "-m", "chainrule", "--cmake-dir"]
result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
folder = Path(result.stdout.strip())
assert (folder / "chainrule-config.cmake").is_file(), folder
print(f"smoke: chainrule {keras.__version__} on Python {sys.version.split()[0]}: passed")
