"""How many articles, or audited articles, a change of share needs. Closed forms; nothing is read.

Two periods of n articles each, a two-sided test at level `alpha`.
- Articles (Fleiss, Levin & Paik 2003, eq. 4.14, without continuity correction): with m the mean of both shares,
  n = (z_a sqrt(2 m (1 - m)) + z_b sqrt(p(1 - p) + q(1 - q)))^2 / (p - q)^2, times the design effect.
- Under a classifier the counted shares are q = fpr + (tpr - fpr) p; its rates are common to both periods, so a change
  of p shows exactly when one of q does and the same formula holds for the counted shares.
- Audits (PPI++ with the best tuning; the audited articles are part of the N counted):
  Var = p(1 - p) [(1 - r2)/a + r2/N], r2 the squared correlation of verdict and truth,
  r2 = p(1 - p)(tpr - fpr)^2 / (q(1 - q)). Without a classifier r2 = 0, and a is that of hand counting.
- Design effect of clusters: 1 + (m - 1) rho, m copies a story, rho how alike they are (Kish 1965).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from bondlore.errors import InputError

__all__ = ["Plan", "articles_needed", "audit_variance", "audits_needed", "change_power", "design_effect", "plan"]

_LARGEST = 1e9


@dataclass(frozen=True, slots=True)
class Plan:
    """What one change needs, per period. None where no number of audits among `articles_counted` is enough."""

    before: float
    after: float
    power: float
    alpha: float
    design_effect: float
    tpr: float
    fpr: float
    articles: int
    articles_perfect: int
    articles_counted: int
    audits: int | None
    audits_by_hand: int | None
    power_of_counted: float


def design_effect(copies: float, alike: float = 1.0) -> float:
    """1 + (copies - 1) * alike. Raises InputError for fewer than 1 copy or a likeness outside [0, 1]."""
    if copies < 1 or not 0 <= alike <= 1:
        raise InputError(f"{copies:g} copies a story, alike {alike:g}", remedy="use 1 or more, and 0 to 1")
    return 1 + (copies - 1) * alike


def articles_needed(
    before: float,
    after: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    tpr: float = 1.0,
    fpr: float = 0.0,
    effect: float = 1.0,
) -> int:
    """Articles a period so that the change shows with the chance `power`. Raises InputError for impossible figures."""
    _check(before, after, power, alpha, tpr, fpr, effect)
    p, q = (_counted(x, tpr, fpr) for x in (before, after))
    za, zb = _quantiles(alpha, power)
    mean = (p + q) / 2
    n = (za * math.sqrt(2 * mean * (1 - mean)) + zb * math.sqrt(p * (1 - p) + q * (1 - q))) ** 2 / (p - q) ** 2
    n *= effect
    if n > _LARGEST:
        raise InputError("the change is too small to be seen in any archive", remedy="ask for a larger one")
    return math.ceil(n - 1e-9)


def change_power(
    before: float, after: float, n: float, *, alpha: float = 0.05, tpr: float = 1.0, fpr: float = 0.0, effect: float = 1
) -> float:
    """Chance that the change shows with n articles a period: the inverse of `articles_needed`."""
    _check(before, after, 0.5, alpha, tpr, fpr, effect)
    p, q = (_counted(x, tpr, fpr) for x in (before, after))
    za, _ = _quantiles(alpha, 0.5)
    mean, size = (p + q) / 2, n / effect
    spread = math.sqrt(p * (1 - p) + q * (1 - q))
    if size <= 0 or spread == 0:
        return 0.0 if size <= 0 else 1.0
    return NormalDist().cdf((abs(p - q) * math.sqrt(size) - za * math.sqrt(2 * mean * (1 - mean))) / spread)


def audit_variance(share: float, audits: float, n: float, *, tpr: float, fpr: float) -> float:
    """Variance of the PPI++ share with `audits` of `n` articles audited at random."""
    return share * (1 - share) * ((1 - (r2 := _explained(share, tpr, fpr))) / audits + r2 / n)


def audits_needed(
    before: float,
    after: float,
    n: int,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    tpr: float = 1.0,
    fpr: float = 0.0,
    effect: float = 1.0,
) -> int | None:
    """Audited articles a period, of n, so that a PPI++ change shows; None when even auditing all n is too few."""
    _check(before, after, power, alpha, tpr, fpr, effect)
    za, zb = _quantiles(alpha, power)
    allowed = ((before - after) / (za + zb)) ** 2 / effect
    fixed = label = 0.0
    for share in (before, after):
        r2, spread = _explained(share, tpr, fpr), share * (1 - share)
        fixed += spread * r2 / n
        label += spread * (1 - r2)
    if allowed <= fixed:
        return None
    needed = max(math.ceil(label / (allowed - fixed) - 1e-9), 1)
    return needed if needed <= n else None


def plan(
    before: float,
    after: float,
    *,
    articles: int | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
    tpr: float = 1.0,
    fpr: float = 0.0,
    effect: float = 1.0,
) -> Plan:
    """Everything about one change; audits are of `articles` a period, by default ten times the articles needed."""
    if articles is not None and articles < 1:
        raise InputError(f"{articles} articles a period", remedy="use 1 or more")
    needed = articles_needed(before, after, power=power, alpha=alpha, tpr=tpr, fpr=fpr, effect=effect)
    perfect = articles_needed(before, after, power=power, alpha=alpha, effect=effect)
    counted = articles or 10 * needed

    def audits(tpr: float, fpr: float) -> int | None:
        return audits_needed(before, after, counted, power=power, alpha=alpha, tpr=tpr, fpr=fpr, effect=effect)

    return Plan(
        before,
        after,
        power,
        alpha,
        effect,
        tpr,
        fpr,
        needed,
        perfect,
        counted,
        audits(tpr, fpr),
        audits(0.0, 0.0),  # a verdict that tells nothing: hand counting alone
        change_power(before, after, counted, alpha=alpha, tpr=tpr, fpr=fpr, effect=effect),
    )


def _counted(share: float, tpr: float, fpr: float) -> float:
    return fpr + (tpr - fpr) * share


def _explained(share: float, tpr: float, fpr: float) -> float:
    """Squared correlation of verdict and truth."""
    counted = _counted(share, tpr, fpr)
    below = counted * (1 - counted)
    return share * (1 - share) * (tpr - fpr) ** 2 / below if below > 0 else 0.0


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    return NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)


def _check(before: float, after: float, power: float, alpha: float, tpr: float, fpr: float, effect: float) -> None:
    for name, value in (("share", before), ("share", after), ("power", power), ("alpha", alpha)):
        if not 0 < value < 1:
            raise InputError(f"a {name} of {value:g}", remedy="use a figure between 0 and 1")
    if before == after:
        raise InputError("both shares are the same", remedy="name the change to be seen")
    if not 0 <= fpr <= 1 or not 0 <= tpr <= 1 or (tpr <= fpr and (tpr, fpr) != (0.0, 0.0)):
        raise InputError(
            f"a true positive rate of {tpr:g} beside a false one of {fpr:g}",
            remedy="use rates from 0 to 1, the true one larger",
        )
    if effect < 1:
        raise InputError(f"a design effect of {effect:g}", remedy="use 1 or more")
