"""What Runa would charge for a gift that a balance of another currency pays for, where a policy must know it."""

from runa_cli.app.estimate import estimate_of
from runa_cli.app.session import Session
from runa_cli.core.errors import RunaError
from runa_cli.input.plan import Plan
from runa_cli.ledger.spending import converted_price


def price_conversion(session: Session, plan: Plan) -> None:
    """Ask Runa for the price of a converted gift, and note it in the plan. What cannot be asked stays unknown."""
    if not plan.has_unknown_costs:
        return
    policies = session.policy_guard().policies()
    if not any(policy.rules.limit for policy in policies) or session.environment == "playground":  # has no estimates
        return
    (order,) = plan.orders()  # Runa converts a single item only
    try:
        estimate = estimate_of(session, order)
    except RunaError as error:
        session.console.say(f"The price of the conversion could not be estimated: {error.message}")
        return
    price = converted_price(estimate, order.head.payment_method.currency)
    if price is not None:
        plan.set_cost(price)
