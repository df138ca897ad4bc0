"""In which order checkpoints were saved, from the numbers in their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)([kK](?![A-Za-z0-9]))?")
_LABEL = re.compile(r"([A-Za-z]+)[^A-Za-z0-9]*$")
_STEP = ("step", "steps")
_COUNT = ("epoch", "epochs", "ep", "iter", "iters", "iteration", "iterations", "it", "checkpoint", "ckpt", "update")
_NO_COUNT = re.compile(
    r"(acc|accuracy|loss|error|rate|decay|auc|ppl|perplexity|bleu|rouge|score|iou|psnr|ssim|mse|nll|precision|recall"
    r"|momentum|dropout|seed|fold|rank|shard|version|run|^err|^lr|^wd|^map|^mae|^fid|^wer|^cer|^top|^temp|^bs|^v)s?$",
    re.IGNORECASE,
)
_LARGEST = 2**63 - 1
ASK = "Say which files with `pattern=`, or pass a list of files in order, with `steps=`."


@dataclass(frozen=True)
class Named:
    """A name taken apart at its numbers.

    Examples
    --------
    >>> Named.of("epoch=3-val_acc=0.75").labels, Named.of("sgd-lr1e-3-step2k").values
    (('epoch', 'acc'), ('1e-3', 2000))
    """

    skeleton: str
    values: tuple[int | str, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, name: str) -> Named:
        """Decimals and exponents are one number, and no whole one; `2k` is 2000."""
        values: list[int | str] = []
        labels, skeleton, last = [], "", 0
        for found in _NUMBER.finditer(name):
            before = name[last : found.start()]
            skeleton += before + ("#k" if found[2] else "#")
            word = _LABEL.search(before)
            labels.append(word[1].lower() if word else "")
            values.append(int(found[1]) * (1000 if found[2] else 1) if found[1].isdigit() else found[1])
            last = found.end()
        return cls(skeleton + name[last:], tuple(values), tuple(labels))


def need_one_sequence(names: Sequence[str]) -> None:
    """Refuse names that differ in more than their numbers: `best`, `last`, another run.

    Raises
    ------
    ValueError
        Naming the odd ones.
    """
    taken = [Named.of(name).skeleton for name in names]
    (most, number), *others = Counter(taken).most_common()
    if not others:
        return
    odd = [name for name, skeleton in zip(names, taken, strict=True) if skeleton != most or number == 1]
    first = names[taken.index(most)]
    beside = f" beside those like `{first}`" if number > 1 else ""
    shown = ", ".join(f"`{name}`" for name in odd[:4]) + (f" and {len(odd) - 4} more" if len(odd) > 4 else "")
    raise ValueError(f"{shown}{beside}: the names do not tell one sequence. {ASK}")


def numbers(names: Sequence[str]) -> list[int] | None:
    """Which number of updates each name tells: the one after `step`; else after `epoch`, `iter`, `checkpoint`; else
    the only one. None for a single name that tells none.

    Metrics, learning rates, seeds and versions count nothing, nor does a number that is the same in all names.

    Raises
    ------
    ValueError
        If the names tell none, or several.

    Examples
    --------
    >>> numbers(["epoch=0-step=10", "epoch=1-step=20"]), numbers(["sgd-lr0.1-ep1", "sgd-lr0.01-ep2"])
    ([10, 20], [1, 2])
    """
    taken = [Named.of(name) for name in names]
    columns = list(zip(*(one.values for one in taken), strict=True))
    whole = {
        k: [int(value) for value in column]
        for k, column in enumerate(columns)
        if all(isinstance(value, int) for value in column)
        and (len(names) == 1 or len(set(column)) > 1)
        and not _NO_COUNT.search(taken[0].labels[k])
    }
    tiers = [{k: column for k, column in whole.items() if taken[0].labels[k] in words} for words in (_STEP, _COUNT)]
    chosen = next((tier for tier in (*tiers, whole) if tier), {})
    if len(names) == 1 and len(chosen) != 1:
        return None
    if len(chosen) != 1:
        what = "No number tells" if not chosen else "Several numbers differ, and might tell"
        raise ValueError(f"{what} the order of `{names[0]}` ... `{names[-1]}`. {ASK}")
    (found,) = chosen.values()
    order = sorted(range(len(names)), key=found.__getitem__)
    for column in tiers[1].values():
        if any(column[a] > column[b] for a, b in pairwise(order)):
            raise ValueError(f"The numbers in `{names[0]}` ... `{names[-1]}` tell different orders. {ASK}")
    if max(found) > _LARGEST:
        raise ValueError(f"{max(found)} is too large for a number of updates. {ASK}")
    return found
