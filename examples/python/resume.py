"""Saves a model in the middle of training, loads it and goes on: bit for bit as without the break.

    python resume.py

The file holds weights, optimizer state, random state (dropout, shuffling) and the configuration.
"""

import tempfile
from pathlib import Path

import numpy as np

import chainrule as cr

(x_train, y_train), (x_test, y_test) = cr.datasets.digits.load_data()
x_train, x_test = x_train.reshape(-1, 64) / 16, x_test.reshape(-1, 64) / 16

cr.utils.set_random_seed(7)
model = cr.Sequential(
    [
        cr.Input((64,)),
        cr.layers.Dense(64, activation="relu"),
        cr.layers.Dropout(0.3),
        cr.layers.Dense(10),
    ]
)
model.compile(
    optimizer="adam",
    loss=cr.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.fit(x_train, y_train, epochs=5, verbose=2)

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "digits.safetensors")
    model.save(path)
    print(f"Saved after 5 epochs: {path.stat().st_size} bytes")
    # In real use this would be another process, perhaps after a crash.
    resumed = cr.models.load_model(path)

print("Without interruption:")
straight = model.fit(x_train, y_train, epochs=10, initial_epoch=5, verbose=2)
print("From the file:")
continued = resumed.fit(x_train, y_train, epochs=10, initial_epoch=5, verbose=2)

assert continued.history == straight.history
for mine, theirs in zip(model.get_weights(), resumed.get_weights(), strict=True):
    np.testing.assert_array_equal(mine, theirs)
print("All losses and all weights are equal bit for bit.")

loss, accuracy = resumed.evaluate(x_test, y_test, verbose=0)
print(f"Accuracy on {len(x_test)} held-out digits: {100 * accuracy:.1f} %")
assert accuracy >= 0.93
