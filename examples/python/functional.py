"""The functional API: two inputs, layers that both share, and a residual connection.

    python functional.py

The model gets two images of digits and says whether they show the same digit. Both images go
through the same layers, so both sides learn from all images.
"""

import numpy as np

import chainrule as cr

cr.utils.set_random_seed(2)
(x_train, y_train), (x_test, y_test) = cr.datasets.digits.load_data()


def pairs(images, labels, count, seed):
    """Pairs of images, half of them of the same digit: (left, right), same (count, 1)."""
    random = np.random.default_rng(seed)
    rows = images.reshape(-1, 64).astype("float32") / 16
    left = random.integers(len(rows), size=count)
    right = random.integers(len(rows), size=count)
    for i in range(0, count, 2):  # every second pair: another image of the same digit
        right[i] = random.choice(np.flatnonzero(labels == labels[left[i]]))
    same = (labels[left] == labels[right]).astype("float32")
    return {"left": rows[left], "right": rows[right]}, same[:, None]


left = cr.Input((64,), name="left")
right = cr.Input((64,), name="right")

# One layer object, applied twice: one set of weights.
embed = cr.layers.Dense(64, activation="relu", name="embed")
refine = cr.layers.Dense(64, activation="relu", name="refine")


def encode(image):
    features = embed(image)
    return cr.layers.Add()([features, refine(features)])  # the residual connection


a, b = encode(left), encode(right)
difference = cr.layers.Subtract()([a, b])
squared = cr.layers.Multiply()([difference, difference])
hidden = cr.layers.Dense(32, activation="relu")(squared)
same = cr.layers.Dense(1, activation="sigmoid", name="same")(hidden)

model = cr.Model([left, right], same)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
model.summary()

# The shared layers are counted once: 64 * 64 + 64 parameters each.
assert embed.count_params() == 64 * 64 + 64
assert model.count_params() == 2 * (64 * 64 + 64) + (64 * 32 + 32) + (32 + 1)

x, y = pairs(x_train, y_train, 20_000, seed=0)
model.fit(x, y, batch_size=64, epochs=10)

x, y = pairs(x_test, y_test, 4_000, seed=1)
loss, accuracy = model.evaluate(x, y, verbose=0)
print(f"Accuracy on pairs of held-out digits: {100 * accuracy:.1f} %")
assert accuracy >= 0.95
