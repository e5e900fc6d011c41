"""What Model.profile() and Model.find_nonfinite() return."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProfiledInstruction:
    """An instruction of a training step, and how long it takes.

    Attributes:
        op: The op; "fused" for a chain of element-wise ops; "gather batch" copies the data.
        layers: The names of all layers that it computes for, "dense, dense_1"; empty if none, as
            for the loss.
        backward: Whether it computes gradients.
        update: Whether it writes variables: optimizer, metrics, counters.
        seconds: Its time, the median over the runs.
        bytes: The sizes of all arrays that it reads and writes.
    """

    op: str
    layers: str
    backward: bool
    update: bool
    seconds: float
    bytes: int

    @property
    def phase(self) -> str:
        """ "forward", "backward" or "update"."""
        return "update" if self.update else "backward" if self.backward else "forward"


class Profile:
    """Where the time of a training step goes.

    Attributes:
        instructions: A ProfiledInstruction for each instruction, in the order in which they run.
        seconds: The sum of their times.
    """

    def __init__(self, instructions: list[ProfiledInstruction]) -> None:
        self.instructions = instructions
        self.seconds = sum(each.seconds for each in instructions)

    def by_layer(self) -> dict[str, float]:
        """Seconds by layer, forward and backward, the slowest layer first. The key "" has the time
        of instructions without a layer. The key of an instruction for several layers is "first,
        second"."""
        sums: dict[str, float] = {}
        for each in self.instructions:
            sums[each.layers] = sums.get(each.layers, 0.0) + each.seconds
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    def __str__(self) -> str:
        rows: dict[tuple[str, str, str], list[float]] = {}
        for each in self.instructions:
            row = rows.setdefault((each.layers or "-", each.op, each.phase), [0, 0.0, 0])
            row[0] += 1
            row[1] += each.seconds
            row[2] += each.bytes
        head = ("layer", "op", "phase", "calls", "us", "%", "kB")
        table = [
            (
                *names,
                f"{calls:.0f}",
                f"{seconds * 1e6:.1f}",
                f"{100 * seconds / (self.seconds or 1):.1f}",
                f"{size / 1000:.1f}",
            )
            for names, (calls, seconds, size) in sorted(rows.items(), key=lambda item: -item[1][1])
        ]
        total = sum(each.bytes for each in self.instructions)
        table.append(
            (
                "sum",
                "",
                "",
                str(len(self.instructions)),
                f"{self.seconds * 1e6:.1f}",
                "100.0",
                f"{total / 1000:.1f}",
            )
        )
        widths = [max(len(row[i]) for row in (head, *table)) for i in range(len(head))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i < 3 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (head, *table)
        )

    __repr__ = __str__


@dataclass(frozen=True)
class NonFinite:
    """The first value of a training step that is NaN or infinite. `print` shows it as a sentence.

    Attributes:
        op: The op that computed it; "input" or "weight" if it was there before the step.
        layers: The layers that the op computes for, or the layer of the weight; empty if none, as
            for the loss.
        weight: The name of the weight in its layer: "kernel". Empty unless op is "weight".
        backward: Whether it is part of a gradient.
        value: The value and its place: "inf at (3, 0) of float32 (32, 10)"; of an input, "x of
            sample 17 holds nan", or "x['ids'] of sample 17 holds nan" if there are several.
        inputs: The operands of the op: "float32 (32, 10) from -3 to 88.7".
        first_sample: The first sample of the batch; -1 if the value was there before the step.
        sentence: All of this as text.
    """

    op: str
    layers: str
    weight: str
    backward: bool
    value: str
    inputs: tuple[str, ...]
    first_sample: int
    sentence: str

    def __str__(self) -> str:
        return self.sentence
