"""The process around the engine: its instruction set, its threads, its forks."""

import multiprocessing
import os
import re
import sys
import threading

import numpy as np
import processes
import pytest

import chainrule
from chainrule import layers

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"),
    reason="the test asks os.sched_getaffinity and /proc, which Linux alone has",
)


def info(**settings):
    """What `chainrule info` says, by the first column."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CHAINRULE_", "OMP_"))
    }
    environment.update(settings.pop("env", {}))
    command = [sys.executable, "-m", "chainrule", "info"]
    result = processes.run(command, capture_output=True, text=True, env=environment, **settings)
    assert result.returncode == 0, result.stderr
    return dict(re.findall(r"^(\w+(?: \w+)*)  +(.*)$", result.stdout, re.MULTILINE))


def names_of(line):
    """The chosen instruction set, and all."""
    chosen, names = re.fullmatch(r"(\w+) \(of (.*)\)", line).groups()
    return chosen, names.split(", ")


def test_every_instruction_set_can_be_forced():
    best, names = names_of(info()["instruction set"])
    assert best == names[0]
    for name in names:
        forced = info(env={"CHAINRULE_ISA": name})["instruction set"]
        assert names_of(forced) == (name, names)


def test_an_instruction_set_that_is_not_there_is_refused():
    command = [sys.executable, "-m", "chainrule", "info"]
    environment = {**os.environ, "CHAINRULE_ISA": "mmx"}
    result = processes.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 1
    assert result.stderr.startswith("chainrule: [CHAINRULE_ISA] unknown instruction set")
    assert result.stderr.endswith("reference. Received: CHAINRULE_ISA='mmx'\n")


@linux
def test_default_threads_follow_the_affinity():
    most = int(info()["threads"])  # below the number of CPUs where a container has a quota
    allowed = sorted(os.sched_getaffinity(0))
    assert most <= len(allowed)
    for count in {1, len(allowed)}:
        some = set(allowed[-count:])
        found = info(preexec_fn=lambda some=some: os.sched_setaffinity(0, some))
        assert int(found["threads"]) == min(count, most)


# Large enough for two threads, small enough for a test.
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((1024, 256)).astype("float32")
Y = RANDOM.standard_normal((1024, 1)).astype("float32")


def make(seed):
    chainrule.utils.set_random_seed(seed)
    model = chainrule.Sequential(
        [
            layers.Input((256,)),
            layers.Dense(256, activation="tanh"),
            layers.Dropout(0.2),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return model


def fit(model, epochs=1):
    model.fit(X, Y, batch_size=256, epochs=epochs, verbose=0)


def assert_same_weights(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setenv("CHAINRULE_NUM_THREADS", "2")


def train_in_child(model, connection):
    """Sends the weights after one epoch, and the number of threads that the child has then."""
    fit(model)
    connection.send((model.get_weights(), len(os.listdir("/proc/self/task"))))
    connection.close()


def check_child(model, receiver):
    """The child has trained as this process does, on a thread of its own beside its main one."""
    assert receiver.poll(60), "the child hangs"
    weights, threads = receiver.recv()
    fit(model)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert threads == 2


# Python 3.12 and later warn of any fork of a process with threads: it is what these tests are for.
forks = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@linux
@forks
def test_a_forked_child_trains_on(two_threads):
    model = make(1)
    fit(model)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            train_in_child(model, sender)
            status = 0
        finally:
            os._exit(status)
    try:
        check_child(model, receiver)
    except BaseException:
        os.kill(child, 9)
        raise
    finally:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0


@linux
@forks
def test_a_process_of_multiprocessing_trains_on(two_threads):
    model = make(1)
    fit(model)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=train_in_child, args=(model, sender), daemon=True)
    child.start()
    check_child(model, receiver)
    child.join(60)
    assert child.exitcode == 0


def test_models_trained_in_two_threads_are_those_trained_in_turn(two_threads):
    in_turn = [make(1), make(2)]
    for model in in_turn:
        fit(model, epochs=20)
    at_once = [make(1), make(2)]
    threads = [threading.Thread(target=fit, args=(model, 20)) for model in at_once]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for model, expected in zip(at_once, in_turn, strict=True):
        assert_same_weights(model, expected)


def test_a_thread_trains_during_one_step_of_another(two_threads):
    x, y = np.tile(X, (32, 1)), np.tile(Y, (32, 1))
    models = [make(1), make(2)]
    for model in models:
        fit(model)
    # One call that never comes back to Python, of 128 times the work of one of those below. Some of
    # them may end before it begins.
    thread = threading.Thread(target=models[0].train_on_batch, args=(x, y))
    thread.start()
    for _ in range(20):
        models[1].train_on_batch(X[:256], Y[:256])
    assert thread.is_alive(), "the step in the other thread had to end first"
    thread.join()
