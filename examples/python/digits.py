"""Quick start: a small network learns to read handwritten digits of 8 x 8 pixels.

    python digits.py

The images come with the package. Training takes less than a second.
"""

import numpy as np

import chainrule as cr

cr.utils.set_random_seed(1)  # the same run each time, on any number of threads

# 1,442 images to learn from and 355 others to test; pixels are integers from 0 to 16.
(x_train, y_train), (x_test, y_test) = cr.datasets.digits.load_data()
x_train, x_test = x_train / 16, x_test / 16

model = cr.Sequential(
    [
        cr.Input((8, 8)),
        cr.layers.Flatten(),
        cr.layers.Dense(64, activation="relu"),
        cr.layers.Dropout(0.2),
        cr.layers.Dense(10),  # a score (logit) for each digit
    ]
)
model.compile(
    optimizer=cr.optimizers.Adam(0.003),
    loss=cr.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.summary()
model.fit(x_train, y_train, epochs=30, validation_split=0.1)

# Held-out digits, which training has not seen.
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"Accuracy on {len(x_test)} held-out digits: {100 * accuracy:.1f} %")
assert accuracy >= 0.95

scores = model.predict(x_test[:5], verbose=0)
print("First five: labels", y_test[:5], "predictions", np.argmax(scores, axis=1))
