"""The vocabulary of the example agents."""

from __future__ import annotations

from random import Random
from typing import Final

from prefactor_server.seed.span_types import Json

FIRST_NAMES: Final = (
    "Amara", "Ben", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hana", "Ivan", "Jonas", "Keiko",
    "Lucia", "Mateo", "Nadia", "Olu", "Priya", "Quentin", "Rosa", "Sven", "Tara",
)  # fmt: skip
LAST_NAMES: Final = (
    "Abebe", "Becker", "Costa", "Dahl", "Evans", "Fischer", "Garcia", "Haddad", "Ito", "Jansen",
    "Kaya", "Lindqvist", "Moreau", "Novak", "Okafor", "Patel", "Rossi", "Silva", "Tanaka", "Weber",
)  # fmt: skip
PRODUCTS: Final = (
    "standing desk", "espresso machine", "trail shoes", "e-reader", "wool jacket", "bike light",
    "noise-cancelling headphones", "water filter", "office chair", "backpack",
)  # fmt: skip
TICKETS: Final = (
    "Where is my order of the {product}?",
    "The {product} arrived with a scratch. Can I return it?",
    "Can I change the delivery address for the {product}?",
    "I was charged twice for the {product}.",
    "Does the {product} come with a longer warranty?",
    "How do I cancel the {product}? I ordered the wrong size.",
    "The {product} stopped working after two days.",
    "I need an invoice for the {product} with my company's name.",
)
ANSWERS: Final = (
    "Your order left our warehouse yesterday and should arrive on Thursday.",
    "I have started a return. You will get a label by e-mail within the hour.",
    "The address is changed. The parcel will go to the new one.",
    "One of the two charges was a reservation. It expires within three days.",
    "The warranty is two years, and can be extended to five within thirty days.",
    "The order is cancelled, and the amount is on its way back to your card.",
)
TOPICS: Final = (
    "heat pumps in Northern Europe", "demand for oat milk", "used electric cars",
    "home batteries and their resale", "rail freight across the Alps", "vertical farming in cities",
    "prices of lithium carbonate", "telehealth for rural areas", "open banking in Brazil",
    "recycling of wind turbine blades",
)  # fmt: skip
QUESTIONS: Final = (
    "How large is the market for {topic}, and how fast does it grow?",
    "Who are the five largest suppliers of {topic}?",
    "What changed for {topic} in the last twelve months?",
    "Which rules will affect {topic} next year?",
)
SUPPLIERS: Final = (
    "Nordlicht Logistik", "Blue Harbor Foods", "Atlas Office Supply", "Kestrel Cloud", "Moss & Co",
    "Tern Energy", "Quill Printing", "Basalt Construction", "Fern Catering", "Juniper Travel",
)  # fmt: skip
REASONS: Final = (
    "Answers the question and gives the next step.",
    "Correct, but longer than it had to be.",
    "Missed that the customer had asked before.",
    "Polite and exact.",
    "The source does not say what the answer claims.",
)
RULES: Final = ("no-legal-advice", "no-payment-data", "stay-on-topic", "no-competitor-prices")


def person(random: Random) -> tuple[str, str]:
    """Return a name, and an address that belongs to nobody."""
    first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
    return f"{first} {last}", f"{first}.{last}@customers.example".lower()


def sensitive(value: str, *labels: str) -> Json:
    """Return a value in the wrapper that marks it as sensitive."""
    return {"$sensitive": "string", "value": value, "labels": list(labels)}
