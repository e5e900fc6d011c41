"""MNIST: 60,000 handwritten digits of 28 x 28 pixels, five epochs.

    python mnist.py

Reads mnist.npz from the folder that CHAINRULE_DATA names, or downloads it once (11 MB). The network
has 407,050 parameters.
"""

import time

import chainrule as cr

EPOCHS = 5

cr.utils.set_random_seed(1)
(x_train, y_train), (x_test, y_test) = cr.datasets.mnist.load_data()
x_train = x_train.reshape(-1, 784).astype("float32") / 255
x_test = x_test.reshape(-1, 784).astype("float32") / 255

model = cr.Sequential(
    [
        cr.Input((784,)),
        cr.layers.Dense(512, activation="relu"),
        cr.layers.Dropout(0.2),
        cr.layers.Dense(10),
    ]
)
model.compile(
    optimizer=cr.optimizers.Adam(),
    loss=cr.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)

# Large steps first, then ever smaller ones: half the learning rate in each epoch.
halve = cr.callbacks.LearningRateScheduler(lambda epoch: 0.003 * 0.5**epoch)
start = time.perf_counter()
model.fit(x_train, y_train, batch_size=128, epochs=EPOCHS, callbacks=[halve])
seconds = time.perf_counter() - start

loss, accuracy = model.evaluate(x_test, y_test, batch_size=1000, verbose=0)
print(f"Test accuracy: {100 * accuracy:.2f} %")
print(f"Time to train for {EPOCHS} epochs: {seconds:.1f} s")
assert accuracy >= 0.98
