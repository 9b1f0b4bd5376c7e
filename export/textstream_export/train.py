"""Trains a network by a recipe: rows drawn by the weight of their source, batches of like length, averaged weights.

A run leaves in its folder `log.jsonl` and TensorBoard scalars as it goes, `checkpoint.pt` every few minutes, from which an
interrupted run goes on to the same weights, and at its end `weights.pt` and `run.json`.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from textstream.errors import Fatal, Misconfigured
from textstream_export.encode import Encoded
from textstream_export.loss import Batch, DeviceRows, losses
from textstream_export.network import Network
from textstream_export.recipe import Recipe, Schedule
from textstream_export.twins import Twins, distance

CHECKPOINT, WEIGHTS, RUN, LOG = "checkpoint.pt", "weights.pt", "run.json", "log.jsonl"
CHECKPOINT_S = 300.0
"""Between two checkpoints: what an interruption costs at most."""
LOG_STEPS = 50
"""Between two looks at the loss: each makes a GPU wait for the CPU."""
WARM_UP = 0.03
"""Share of the steps in which the learning rate rises."""
MAX_NORM = 1.0
"""Longer gradients of the dense weights are shortened to this."""
POOL_ROWS = 20_000
"""Rows are sorted by length within pools of this many: little padding, and the order stays random across pools."""


@dataclass(slots=True)
class State:
    """All that changes while a run goes: what a checkpoint holds."""

    network: Network
    optimisers: list[torch.optim.Optimizer]
    average: dict[str, Tensor]
    digest: str = ""
    """What tells the rows that it is trained on, and its recipe, from others."""
    step: int = 0
    minutes: float = 0.0

    def save(self, path: Path) -> None:
        """Written beside and renamed into place."""
        _saved(
            path,
            {
                "network": self.network.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "average": self.average,
                "digest": self.digest,
                "step": self.step,
                "minutes": self.minutes,
                "random": torch.get_rng_state(),
                "random_cuda": torch.cuda.get_rng_state_all(),
            },
        )

    def load(self, path: Path) -> None:
        """Go on from a checkpoint. Raises Misconfigured where it is of another recipe or of other rows, or damaged."""
        try:
            saved = read_saved(path)
            if saved["digest"] != self.digest:
                raise ValueError("the rows, or the recipe, are not those it was made with")
            self.network.load_state_dict(saved["network"])
            for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
                optimiser.load_state_dict(state)
            for name, weights in self.average.items():
                weights.copy_(saved["average"][name])  # to where this run computes, which may be another device
            self.step, self.minutes = saved["step"], saved["minutes"]
            torch.set_rng_state(saved["random"])
            torch.cuda.set_rng_state_all(saved["random_cuda"])
        except UNFIT as error:
            raise Misconfigured(
                f"{path} is no checkpoint of this recipe ({first_line(error)}): remove it or name another --out"
            ) from None


def fit(
    network: Network, data: Encoded, recipe: Recipe, out: Path, twins: Twins | None = None, device: str = "cpu"
) -> dict[str, float]:
    """Train `network` in place on `device`, to averaged weights; returns what the run took. Goes on from a checkpoint in `out`.

    A run that was finished there is none from now on: whoever ends this one midway must not export the last one's weights
    for its own. Raises Fatal when the loss is no longer a number; the last checkpoint stays.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    plan = [rows for _ in range(recipe.epochs) for rows in batches(data, recipe, rng)]
    network.to(device)
    held = DeviceRows(data, torch.device(device))
    state = State(network, optimisers(network, recipe), _dense(network), _digest(data, recipe))
    if (out / CHECKPOINT).exists():
        state.load(out / CHECKPOINT)
    elif (out / LOG).exists():
        (out / LOG).unlink()
    (out / RUN).unlink(missing_ok=True)
    network.train()
    with ExitStack() as closing:
        log = closing.enter_context((out / LOG).open("a", encoding="utf-8"))
        board = SummaryWriter(str(out / "tensorboard"))
        closing.callback(board.close)
        bar = closing.enter_context(tqdm(total=len(plan), initial=state.step, desc="train", unit="batch", mininterval=10))
        started = saved = time.monotonic()
        before, running = state.minutes, math.nan
        since = list[dict[str, Tensor]]()  # the parts of the loss since the last look at it
        for rows in plan[state.step :]:
            alike = None if twins is None else twins.ids(recipe.seed + state.step, recipe.twins).to(device)
            since.append(one_step(state, held.batch(rows), recipe, state.step / len(plan), alike))
            state.step += 1
            bar.update()
            if state.step % LOG_STEPS and state.step < len(plan):
                continue
            state.minutes = before + (time.monotonic() - started) / 60
            parts, running = _told(since, running, state.step, recipe)
            since.clear()
            bar.set_postfix(loss=f"{running:.3f}", refresh=False)
            line = {"step": state.step, "loss": round(running, 4), "minutes": round(state.minutes, 2)}
            log.write(json.dumps(line | {name: round(value, 4) for name, value in parts.items()}) + "\n")
            log.flush()
            for name, value in {"loss": running, **parts}.items():
                board.add_scalar(name, value, state.step)
            if time.monotonic() - saved > CHECKPOINT_S:
                state.save(out / CHECKPOINT)
                saved = time.monotonic()
    with torch.no_grad():
        for name, weights in state.average.items():
            network.get_parameter(name).copy_(weights)
    network.to("cpu").eval()
    units = sum(int((data.bounds[rows + 1] - data.bounds[rows]).sum()) for rows in plan)
    return {"rows": len(data), "steps": len(plan), "units": units, "minutes": round(state.minutes, 2), "loss": running}


def _told(since: Sequence[Mapping[str, Tensor]], running: float, step: int, recipe: Recipe) -> tuple[dict[str, float], float]:
    """The parts of the last loss, and the running loss moved on over all of `since`. Raises Fatal where one is no number."""
    losses = torch.stack([torch.stack(list(parts.values())).sum() for parts in since]).tolist()
    parts = {name: part.item() for name, part in since[-1].items()}
    for loss in losses:
        running = loss if math.isnan(running) else 0.98 * running + 0.02 * loss
        if not math.isfinite(loss):
            rate = f"lower learning_rate ({recipe.learning_rate:g}) in the recipe"
            raise Fatal(f"the loss is no number any more, of late {parts}, by step {step}: {rate}")
    return parts, running


def _digest(data: Encoded, recipe: Recipe) -> str:
    """What tells these rows, their labels, a teacher's word on them and the recipe from others."""
    found = blake2b(json.dumps(asdict(recipe)).encode(), digest_size=16)
    for part in (data.bounds, data.features, data.label, data.tags, data.towards, data.soft_sentiment, data.soft_units):
        found.update(part.ravel().data)
    return found.hexdigest()


def one_step(state: State, batch: Batch, recipe: Recipe, progress: float, twins: Tensor | None = None) -> dict[str, Tensor]:
    """Forward, backward, one update of the weights and of their average; returns the parts of the loss, where they are."""
    with torch.autocast(batch.ids.device.type, torch.bfloat16, enabled=recipe.bf16):
        parts = losses(state.network, batch, recipe)
        if twins is not None:
            parts["twins"] = recipe.twin_weight * distance(state.network(twins)[0])
    for optimiser in state.optimisers:
        optimiser.zero_grad(set_to_none=True)
    torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
    averaged: list[Tensor] = [state.network.get_parameter(name) for name in state.average]
    nn.utils.clip_grad_norm_(averaged, MAX_NORM)
    factor = SCHEDULES[recipe.schedule](progress)
    for optimiser in state.optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        optimiser.step()
    with torch.no_grad():
        torch._foreach_lerp_(list(state.average.values()), averaged, newest_share(state.step, recipe))
    return {name: part.detach() for name, part in parts.items()}


def newest_share(step: int, recipe: Recipe) -> float:
    """What the newest weights count in their average after `step` steps: more at first, so that it forgets how it began."""
    return 1 - min(recipe.average_decay, (step + 1) / (step + 11))


def optimisers(network: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """One for the dense weights, and one for an embedding table whose gradients are sparse.

    What was pretrained moves at `pretrained_rate`, what is new at `learning_rate`.
    """
    sparse = _sparse(network)
    old, new = list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and name not in sparse:
            (old if recipe.is_pretrained and name.startswith("encoder.") else new).append(parameter)
    groups = [{"params": new, "lr": recipe.learning_rate}, {"params": old, "lr": recipe.pretrained_rate}]
    found = [_dense_optimiser([group for group in groups if group["params"]], recipe)]
    if sparse:
        table = [network.get_parameter(name) for name in sorted(sparse)]
        sgd = recipe.optimiser == "sgd"
        found.append((torch.optim.SGD if sgd else torch.optim.SparseAdam)(table, lr=recipe.learning_rate))
    for optimiser in found:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return found


def _dense_optimiser(groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=recipe.weight_decay)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, weight_decay=recipe.weight_decay if recipe.optimiser == "adamw" else 0.0)


SCHEDULES: Mapping[Schedule, Callable[[float], float]] = {
    "constant": lambda progress: min(1.0, (progress + 1e-3) / WARM_UP),
    "linear": lambda progress: min((progress + 1e-3) / WARM_UP, (1 - progress) / (1 - WARM_UP)),
    "cosine": lambda progress: min((progress + 1e-3) / WARM_UP, (1 + math.cos(math.pi * progress)) / 2),
}
"""Factor of the learning rate at a share of the steps: a short rise, then a fall to nothing, where the weights settle."""


def _dense(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the trained weights whose gradients are dense: those that are averaged."""
    sparse, named = _sparse(network), network.named_parameters()
    return {name: p.detach().clone() for name, p in named if p.requires_grad and name not in sparse}


def _sparse(network: nn.Module) -> set[str]:
    """The names of embedding tables whose gradients are sparse."""
    tables = nn.Embedding | nn.EmbeddingBag
    return {f"{name}.weight" for name, part in network.named_modules() if isinstance(part, tables) and part.sparse}


def batches(data: Encoded, recipe: Recipe, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """One epoch: each row drawn as often as its source's weight says, sorted into batches of like length, shuffled."""
    copies = np.floor(data.weight + rng.random(len(data))).astype(np.int64)
    drawn = rng.permutation(np.repeat(np.arange(len(data)), copies))
    lengths = np.diff(data.bounds)
    out: list[NDArray[np.int64]] = []
    for pool in np.array_split(drawn, max(1, len(drawn) // POOL_ROWS)):
        ordered = pool[np.argsort(lengths[pool], kind="stable")]
        out += _split(ordered, lengths[ordered], recipe)
    return [out[i] for i in rng.permutation(len(out))]


def _split(rows: NDArray[np.int64], lengths: NDArray[np.int64], recipe: Recipe) -> Iterator[NDArray[np.int64]]:
    """Cut rows in order of length into batches within `batch_rows` and, padded, `batch_tokens`."""
    start = 0
    while start < len(rows):
        stop = start + 1  # rows are sorted: the last is the longest, and sets the padding of all
        most = min(len(rows), start + recipe.batch_rows)
        while stop < most and (stop + 1 - start) * lengths[stop] <= recipe.batch_tokens:
            stop += 1
        yield rows[start:stop]
        start = stop


def save(
    out: Path,
    network: nn.Module,
    vocabulary: Mapping[str, Any],
    recipe: Recipe,
    log: Mapping[str, float],
    before: Sequence[Recipe] = (),
) -> None:
    """Weights with the vocabulary they read, then recipes and log as JSON: a run that has `run.json` is finished."""
    _saved(out / WEIGHTS, {"weights": network.state_dict(), "vocabulary": dict(vocabulary)})
    told = {"recipe": asdict(recipe), "before": [asdict(each) for each in before], "log": dict(log)}
    part = out / (RUN + ".part")
    part.write_text(json.dumps(told, indent=1), encoding="utf-8")
    part.rename(out / RUN)
    (out / CHECKPOINT).unlink(missing_ok=True)


def read_curve(out: Path) -> tuple[tuple[int, float], ...]:
    """(step, running loss) as a run in `out` logged it; nothing where its log is gone.

    A run that was interrupted may have cut a line short, and has told the steps after its last checkpoint twice: the second
    time counts.
    """
    curve: dict[int, float] = {}
    for line in (out / LOG).read_text(encoding="utf-8").splitlines() if (out / LOG).is_file() else ():
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(line)
            curve[told["step"]] = told["loss"]
    return tuple(sorted(curve.items()))


UNFIT = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)
"""What comes of putting saved weights where they do not belong, or of reading what was never saved."""


def read_saved(path: Path) -> Any:
    """What a run wrote there. Raises ValueError for a file that is cut short or another's."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:  # a pickle is a program: there is no list of what its bytes, cut short, may raise
        raise ValueError(f"{path.name} is damaged, or no file of textstream-export's") from None


def first_line(error: Exception) -> str:
    """An error in one line; torch's own have many."""
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(": ")


def _saved(path: Path, what: Mapping[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    try:
        torch.save(dict(what), part)
        part.rename(path)
    except (OSError, RuntimeError) as error:  # torch has its own error for a disk that is full
        part.unlink(missing_ok=True)
        why = str(error).splitlines()[0]
        raise Misconfigured(f"cannot write {path} ({why}): make room, or name another folder with --out") from None
