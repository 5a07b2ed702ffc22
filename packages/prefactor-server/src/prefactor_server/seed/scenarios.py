"""The steps of each example agent in a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from prefactor_server.seed import steps
from prefactor_server.seed.recording import Recording
from prefactor_server.seed.words import (
    ANSWERS,
    PRODUCTS,
    QUESTIONS,
    SUPPLIERS,
    TICKETS,
    TOPICS,
    person,
    sensitive,
)

_HANDBOOK: Final = ("Returns", "Delivery times", "Warranty", "Invoices", "Payments", "Complaints")


def support(recording: Recording, model: str, failing: float) -> None:
    """Answer a customer's ticket."""
    random = recording.random
    product = random.choice(PRODUCTS)
    ticket = random.choice(TICKETS).format(product=product)
    answer = random.choice(ANSWERS)
    name, address = person(random)
    order = f"ORD-{random.randrange(10_000, 99_999)}"
    customer = {"name": sensitive(name, "pii"), "email": sensitive(address, "pii", "contact")}
    with steps.agent(recording, "Support assistant", ticket, answer):
        steps.guard(recording, blocking=failing / 4)
        steps.llm(recording, model, ticket, f"This is about {product}. Look up the order first.")
        steps.retrieval(recording, ticket, random.sample(_HANDBOOK, 3))
        steps.tool(
            recording,
            "look_up_order",
            order,
            {"order": order, "customer": customer},
            {"order": order, "state": random.choice(("shipped", "packed", "delivered"))},
            failing=failing,
            sensitive=True,
        )
        for turn in range(random.randrange(1, 4)):
            steps.llm(recording, model, f"{ticket} ({order})", answer, context=600 * (turn + 1))
        if random.random() < 0.3:
            _change_order(recording, order, customer["email"], failing)
        steps.guard(recording)


def research(recording: Recording, model: str, failing: float) -> None:
    """Answer a question about a market with the help of several searchers."""
    random = recording.random
    topic = random.choice(TOPICS)
    question = random.choice(QUESTIONS).format(topic=topic)
    answer = f"Three findings on {topic}, each with two sources."
    with steps.agent(recording, "Market researcher", question, answer):
        parts = random.sample(("size", "suppliers", "rules", "prices", "regions"), 3)
        steps.llm(recording, model, question, f"Plan: look at {', '.join(parts)}.", context=300)
        for part in parts[: random.randrange(1, 4)]:
            searcher(recording, model, f"{topic}: {part}", failing / 3)
        steps.llm(recording, model, f"Write the report on {topic}.", answer * 6, context=9_000)
        with steps.agent(recording, "Reviewer", "Check every claim against its source"):
            for number in range(random.randrange(1, 4)):
                steps.llm(recording, model, f"Claim {number + 1}", "Supported.", context=1_500)
        steps.guard(recording, blocking=failing / 4)


def searcher(recording: Recording, model: str, task: str, failing: float) -> None:
    """Record a sub-agent that searches, reads pages and writes a note."""
    random = recording.random
    with steps.agent(recording, "Searcher", task, f"Note on {task}."):
        steps.llm(recording, "gpt-4o-mini", f"Queries for {task}", f"“{task}”, “{task} 2026”")
        titles = [f"{task}, part {number}" for number in range(1, random.randrange(3, 6))]
        steps.retrieval(recording, task, titles)
        for title in titles:
            page = title.lower().replace(" ", "-").replace(",", "").replace(":", "")
            if steps.fetch(recording, f"https://reports.example/{page}"):
                steps.llm(
                    recording, model, f"Summarise {title}", f"{title}: in short.", context=4_000
                )
        steps.tool(recording, "save_note", task, {"topic": task}, {"saved": True}, failing=failing)


def billing(recording: Recording, model: str, failing: float) -> None:
    """Match an invoice with an order and pay it once a person agrees."""
    random = recording.random
    supplier = random.choice(SUPPLIERS)
    invoice = f"INV-{random.randrange(1_000, 9_999)}"
    amount = round(random.lognormvariate(6, 1.1), 2)
    name, _ = person(random)
    task = f"{invoice} of {supplier}: {amount:.2f} EUR"
    with steps.agent(recording, "Invoice clerk", task, f"{invoice} is settled."):
        steps.llm(
            recording, model, f"Read {invoice}", f"{supplier}, {amount:.2f} EUR", context=1_800
        )
        steps.tool(
            recording,
            "match_order",
            invoice,
            {"invoice": invoice, "supplier": supplier},
            {"matched": True, "difference": 0},
            failing=failing,
        )
        steps.guard(recording, blocking=failing / 4)
        if amount > 500 and not steps.approval(
            recording, f"Pay {amount:.2f} EUR to {supplier}?", sensitive(name, "pii")
        ):
            steps.llm(recording, model, f"Tell {supplier} why {invoice} waits", "We will write.")
            return
        account = f"DE{random.randrange(10**19, 10**20)}"
        steps.tool(
            recording,
            "pay_invoice",
            f"{amount:.2f} EUR to {supplier}",
            {"amount": amount, "iban": sensitive(account, "financial")},
            {"booked": True},
            failing=failing,
            sensitive=True,
        )


def _change_order(recording: Recording, order: str, address: object, failing: float) -> None:
    action = recording.random.choice(("change_address", "start_return", "cancel_order"))
    arguments = {"order": order, "notify": address}
    steps.tool(recording, action, order, arguments, {"done": True}, failing=failing, sensitive=True)


SCENARIOS: Final[Mapping[str, Callable[[Recording, str, float], None]]] = {
    "support": support,
    "research": research,
    "billing": billing,
}
"""The scenario of each agent, by its key."""
