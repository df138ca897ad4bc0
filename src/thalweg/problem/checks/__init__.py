"""What is refused before anything is computed: problems whose loss is not one function of the weights.

Each check runs the network on (a part of) the first batch only, and its error says what to switch.

- `form`: can a batch be evaluated at all, and are the weights finite?
- `means`: is every criterion a mean over examples, and may batches be cut anew?
- `function`: do the same weights always give the same loss, and other weights another one?
"""

from thalweg.problem.checks.examine import Findings, examine
from thalweg.problem.checks.form import finite_weights

__all__ = ["Findings", "examine", "finite_weights"]
