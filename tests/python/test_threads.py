"""Threads beside the engine: how many it uses, interrupts, forks, and the end of the program."""

import os
import sys
import threading
import time

import numpy as np
import processes
import pytest

import chainrule
from chainrule import layers

pytestmark = pytest.mark.once

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the test asks /proc, which Linux alone has"
)


def run(code, **environment):
    """What a new interpreter prints; SIGINT is for it as if it were in the foreground."""
    settings = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CHAINRULE_NUM_THREADS", "OMP_NUM_THREADS")
    }
    code = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" + code
    done = processes.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**settings, **environment},
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# --- how many -------------------------------------------------------------------------------------


def test_the_number_of_threads_can_be_set_and_given_back():
    before = chainrule.get_num_threads()
    try:
        chainrule.set_num_threads(3)
        assert chainrule.get_num_threads() == 3
        chainrule.set_num_threads(np.int64(2))
        assert chainrule.utils.get_num_threads() == 2
    finally:
        chainrule.set_num_threads(None)
    assert chainrule.get_num_threads() == before


def test_the_documented_limit_is_the_engines():
    assert f"From 1 to {chainrule._core.max_threads}." in chainrule.set_num_threads.__doc__


@pytest.mark.parametrize("bad", [0, -1, 257, 2.5, "2", True])
def test_odd_numbers_of_threads_are_refused(bad):
    before = chainrule.get_num_threads()
    rule = r"threads must be .*Received: threads="
    wrong = (TypeError, ValueError)
    with pytest.raises(wrong, match=rf"^\[set_num_threads\] {rule}"):
        chainrule.set_num_threads(bad)
    assert chainrule.get_num_threads() == before
    x = np.ones((4, 2), "float32")
    model = chainrule.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    weights = model.get_weights()
    with pytest.raises(wrong, match=rf"^\[fit\] {rule}"):
        model.fit(x, x[:, :1], threads=bad, verbose=0)
    with pytest.raises(wrong, match=rf"^\[evaluate\] {rule}"):
        model.evaluate(x, x[:, :1], threads=bad, verbose=0)
    with pytest.raises(wrong, match=rf"^\[predict\] {rule}"):
        model.predict(x, threads=bad, verbose=0)
    np.testing.assert_array_equal(weights[0], model.get_weights()[0])


COUNT = """
import os, time
import numpy as np, chainrule as cr
def tasks():
    return len(os.listdir("/proc/self/task"))
def wait_for_the_end_of_threads():  # the kernel lists them for a moment after they are joined
    end = time.monotonic() + 20
    while tasks() > start and time.monotonic() < end:
        time.sleep(0.001)
x = np.ones((1024, 256), "float32")
model = cr.Sequential([cr.Input((256,)), cr.layers.Dense(256)])
model.compile("sgd", "mse")
start = tasks()
def used(call):
    cr.shutdown_threads()
    wait_for_the_end_of_threads()
    assert tasks() == start
    call()
    return tasks() - start + 1
fit = lambda **more: model.fit(x, x, batch_size=512, verbose=0, **more)
"""


@linux
def test_a_call_uses_the_threads_that_it_is_told():
    code = """
print(used(fit), used(lambda: fit(threads=3)), used(lambda: fit(threads=1)))
print(used(lambda: model.predict(x, batch_size=512, verbose=0, threads=4)),
      used(lambda: model.evaluate(x, x, batch_size=512, verbose=0, threads=4)),
      used(lambda: model.predict(x, batch_size=512, verbose=0)))
cr.set_num_threads(5)
print(used(fit), used(lambda: model.predict_on_batch(x)), used(lambda: fit(threads=2)))
"""
    assert run(COUNT + code, CHAINRULE_NUM_THREADS="2") == "2 3 1\n4 4 2\n5 5 2\n"


@linux
@pytest.mark.parametrize(
    ("own", "omp", "expected"),
    [(None, "3", 3), (None, "3,2", 3), ("2", "3", 2), (None, "1", 1)],
)
def test_omp_num_threads_counts_where_the_own_variable_is_not_set(own, omp, expected):
    environment = {"OMP_NUM_THREADS": omp, **({"CHAINRULE_NUM_THREADS": own} if own else {})}
    printed = run(COUNT + "print(cr.get_num_threads(), used(fit))", **environment)
    assert printed == f"{expected} {expected}\n"


def test_omp_num_threads_that_openmp_ignores_is_ignored():
    code = "import chainrule; print(chainrule.get_num_threads())"
    assert run(code, OMP_NUM_THREADS="many") == run(code)


def test_weights_are_the_same_with_any_number_of_threads():
    weights = []
    for threads in (1, 2, 3):
        chainrule.utils.set_random_seed(1)
        x = np.random.default_rng(0).standard_normal((512, 128)).astype("float32")
        model = chainrule.Sequential([layers.Input((128,)), layers.Dense(128, activation="tanh")])
        model.compile("adam", "mse")
        model.fit(x, x, batch_size=256, verbose=0, threads=threads)
        weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[0], weights[2])


# --- the end of the program -----------------------------------------------------------------------

DAEMON = """
import threading, time
import numpy as np, chainrule as cr
x = np.ones((2000, 50), "float32"); y = x[:, :1]
m = cr.Sequential([cr.Input((50,)), cr.layers.Dense(1)]); m.compile("sgd", "mse")
class Slow(cr.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.001)
class Sleeps(cr.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(1000)
def forever(call):
    while True:
        call()
m.predict(x, verbose=0)
threading.Thread(target=WORK, daemon=True).start()
time.sleep(0.3)
"""


@pytest.mark.parametrize(
    "work",
    [
        "lambda: m.fit(x, y, epochs=10**7, verbose=0)",
        "lambda: m.fit(x, y, epochs=10**7, verbose=0, callbacks=[Slow()])",
        "lambda: m.fit(x, y, epochs=10, verbose=0, callbacks=[Sleeps()])",
        "lambda: forever(lambda: m.predict(x, verbose=0))",
        "lambda: forever(lambda: m.predict(x, batch_size=10**6, verbose=0))",
        "lambda: forever(lambda: m.train_on_batch(x, y))",
        "lambda: forever(lambda: m.evaluate(x, y, verbose=0))",
        "lambda: forever(lambda: cr.ops.exp(x))",
    ],
)
def test_a_daemon_thread_at_work_does_not_disturb_the_end(work):
    run(DAEMON.replace("WORK", work))  # within its time limit, and with exit code 0


def test_a_program_can_use_models_at_its_very_end():
    code = """
import atexit
import numpy as np
@atexit.register
def last():  # registered first: called after what chainrule registers
    m.fit(x, x, verbose=0)
    print(m.predict(x, verbose=0).shape)
import chainrule as cr
x = np.ones((8, 2), "float32")
m = cr.Sequential([cr.Input((2,)), cr.layers.Dense(2)]); m.compile("sgd", "mse")
"""
    assert run(code) == "(8, 2)\n"


# --- forks ----------------------------------------------------------------------------------------

FORK = """
import os, sys, threading, time, warnings
import numpy as np, chainrule as cr
warnings.simplefilter("ignore", DeprecationWarning)
x = np.ones((512, 256), "float32")
m = cr.Sequential([cr.Input((256,)), cr.layers.Dense(256)]); m.compile("sgd", "mse")
"""


@linux
def test_a_child_forked_by_a_callback_uses_the_model():
    code = """
class Forks(cr.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            self.model.predict(x, verbose=0)
            cr.layers.Dense(3)(x)
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
m.fit(x, x, verbose=0, callbacks=[Forks()], threads=2)
"""
    assert run(FORK + code) == "7\n"


@linux
def test_children_forked_beside_a_fit_use_the_model():
    code = """
def child():
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        m.predict(x, verbose=0)
        m.predict(x, batch_size=10, verbose=0)
        m.fit(x, x, verbose=0)
        cr.layers.Dense(3)(x)
        m.compile("adam", "mse")
        m.fit(x, x, verbose=0)
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
stop = False
def fits():
    while not stop:
        m.fit(x, x, batch_size=64, verbose=0, threads=2)
thread = threading.Thread(target=fits)
thread.start()
codes = []
for i in range(10):
    time.sleep(0.003 * i)
    codes.append(child())
stop = True
thread.join()
print(codes)
"""
    assert run(FORK + code) == f"{[7] * 10}\n"  # -14 is a child that hangs


# --- interrupts -----------------------------------------------------------------------------------

# Ctrl-C after half a second.
INTERRUPTED = """
def late():
    time.sleep(0.5)
    late.sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=late).start()
"""
# Products of 1 GFLOP each, for some seconds and more.
LONG = """
import os, threading, time
import numpy as np, chainrule as cr
rows, width, times = 512, 1024, TIMES
class Often(cr.layers.Layer):
    def build(self, shape):
        self.w = self.add_weight((width, width), name="w")
        self.b = self.add_weight((width,), name="b")
    def call(self, x):
        for _ in range(times):
            x = cr.ops.matmul(x, self.w) + self.b
        return x
layer = Often()
m = cr.Sequential([cr.Input((width,)), layer]); m.compile("sgd", "mse")
x = np.full((rows, width), 1e-3, "float32")
WARM
weights = m.get_weights()[0]
INTERRUPTED
try:
    CALL
except KeyboardInterrupt:
    print(f"{time.monotonic() - late.sent:.2f} s")
assert (m.get_weights()[0] == weights).all()
assert m.predict(x[:2], verbose=0).shape == (2, width)
"""


@pytest.mark.parametrize(
    "call",
    [
        "m.predict(x, batch_size=rows, verbose=0)",
        "m.predict(x, batch_size=rows, verbose=0, callbacks=[], threads=1)",
        "m.predict_on_batch(x)",
        "m(x)",
        "layer(x)",
        "m.evaluate(x, x, batch_size=rows, verbose=0)",
        "m.train_on_batch(x, x)",
        "m.fit(x, x, batch_size=rows, verbose=0)",
    ],
)
def test_ctrl_c_interrupts_one_huge_batch(call):
    # Training is interrupted within a step, not while it is compiled.
    trains = "train" in call or "fit" in call
    program = LONG.replace("INTERRUPTED", INTERRUPTED).replace("TIMES", "100" if trains else "500")
    program = program.replace("WARM", "m.train_on_batch(x, x)" if trains else "")
    printed = run(program.replace("CALL", call))
    assert printed, "the call was over before it could be interrupted"
    assert float(printed.split()[0]) < 3  # 0.05 and a block of a product, if the machine is idle


WAITS = """
import os, signal, threading, time
import numpy as np, chainrule as cr
m = cr.Sequential([cr.Input((64,)), cr.layers.Dense(64)])
m.compile("sgd", "mse")
x = np.ones((6400, 64), "float32")
goes_on = True
class Ends(cr.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = not goes_on
long = threading.Thread(
    target=lambda: m.fit(x, x, epochs=1_000_000, verbose=0, callbacks=[Ends()])
)
long.start()
INTERRUPTED
try:
    CALL
    print("nothing")
except KeyboardInterrupt:
    print(f"{time.monotonic() - late.sent:.2f} s")
goes_on = False
long.join()
"""


@pytest.mark.parametrize(
    "call", ["m.predict(x[:3])", "m(x[:3])", "m.evaluate(x, x, verbose=0)", "m.reset_metrics()"]
)
def test_ctrl_c_interrupts_who_waits_for_the_fit_of_another_thread(call):
    program = WAITS.replace("INTERRUPTED", INTERRUPTED)
    assert float(run(program.replace("CALL", call)).split()[0]) < 3


def test_threads_that_wait_for_a_model_get_it():
    x = np.ones((64, 4), "float32")
    model = chainrule.Sequential([layers.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    threads = [
        threading.Thread(target=lambda: [model.predict(x, verbose=0) for _ in range(300)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads)
