"""PyTorch: nn.Sequential and fused Adam (its fastest Adam). With --compile, forward and loss go
through torch.compile."""

from __future__ import annotations

from workloads import (
    DISTINCT_BATCHES,
    EPSILON,
    LEARNING_RATE,
    WORKLOADS,
    Workload,
    arguments,
    data,
    measure,
    report,
)

options = arguments("torch")

import torch  # noqa: E402  (after the process is bound to its processors)
from torch import nn  # noqa: E402


def build(workload: Workload) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(workload.widths, workload.widths[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    layers.pop()
    if workload.loss == "mse":
        layers.append(nn.Sigmoid())
    return nn.Sequential(*layers)


def steps(workload: Workload) -> tuple[list[float], float]:
    model = build(workload)
    loss_function = nn.MSELoss() if workload.loss == "mse" else nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, eps=EPSILON, fused=True)
    x, y = data(workload, DISTINCT_BATCHES)
    targets = torch.from_numpy(y if workload.loss == "mse" else y.astype("int64"))
    batches = list(
        zip(torch.from_numpy(x).split(workload.batch), targets.split(workload.batch), strict=True)
    )

    def forward(inputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return loss_function(model(inputs), target)

    if options.compile:
        forward = torch.compile(forward)
    last = 0.0

    def step(i: int) -> None:
        nonlocal last
        inputs, target = batches[i % len(batches)]
        optimizer.zero_grad(set_to_none=True)
        loss = forward(inputs, target)
        loss.backward()
        optimizer.step()
        last = loss.item()

    return measure(step, options.seconds), last


def predictions(workload: Workload) -> list[float]:
    model = build(workload).eval()
    if options.compile:
        model = torch.compile(model)
    x = data(workload, 1)[0][:1]

    def predict(_: int) -> None:
        with torch.inference_mode():
            model(torch.from_numpy(x)).numpy()

    return measure(predict, options.seconds)


if __name__ == "__main__":
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    chosen = WORKLOADS[options.workload]
    samples, loss = steps(chosen) if options.task == "step" else (predictions(chosen), None)
    report("torch-compile" if options.compile else "torch", torch.__version__, samples, loss)
