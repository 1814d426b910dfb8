"""What may be asked in one request? The fields of its JSON and their limits, by Pydantic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator
from pydantic_core import from_json

#: Most hits of one answer, so that its size and time are bounded.
MOST_HITS = 1_000
#: Most items whose features are compared for one answer: some ten milliseconds for texts.
_MOST_RERANKED = 10_000
#: Longest code in bits: far longer than any that is learned.
_LONGEST_CODE = 1 << 16

Part = Literal["preview", "snippet", "text", "code", "plan"]

K = Annotated[int, Field(ge=1, le=MOST_HITS, description="Number of hits.")]
Radius = Annotated[
    int, Field(ge=0, le=_LONGEST_CODE, description="All within so many bits, inclusive.")
]
Rerank = Annotated[
    int,
    Field(
        ge=0,
        le=_MOST_RERANKED,
        description="Order so many of the nearest by their features; 0: by codes alone.",
    ),
]
Where = Annotated[str, Field(description="Search only items whose metadata match.")]
Group = Annotated[str, Field(description="Only the best hit for each value of this field.")]
CodeHex = Annotated[
    str,
    Field(
        pattern=r"^([0-9a-fA-F]{2})+$",
        max_length=_LONGEST_CODE // 4,
        description="A code in hexadecimal, as hits have it.",
    ),
]
Name = Annotated[str, Field(description="The collection; needed where several are served.")]
Parts = Annotated[
    list[Part],
    Field(
        max_length=8,
        description="What else to tell: of hits `preview`, `text`, and `snippet`, a part of the "
        "text where the query's words stand; of the query its `code`, and the `plan` by which the "
        "answer was found.",
    ),
]


class Options(BaseModel):
    """How a question is asked, whatever it is about; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid")

    collection: Name | None = None
    k: K | None = None
    radius: Radius | None = None
    rerank: Rerank | None = None
    where: Where | None = None
    group: Group | None = None
    include: Parts = Field(default_factory=list)


class Subject(BaseModel):
    """What is asked about: a text, a vector, a sequence, a stored item or a code, one of them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Annotated[str, Field(description="A text.")] | None = None
    vector: Annotated[list[FiniteFloat], Field(description="A vector's numbers.")] | None = None
    sequence: (
        Annotated[
            str | list[str] | list[FiniteFloat] | list[list[FiniteFloat]],
            Field(
                description="A sequence's steps: tokens, numbers or lists of numbers; or a string, "
                "which is cut into tokens as the items were."
            ),
        ]
        | None
    ) = None
    id: Annotated[str, Field(description="The id of a stored item, which is a hit too.")] | None = (
        None
    )
    code: CodeHex | None = None

    codes_only: Annotated[
        bool, Field(description="Find texts by codes alone, not by words and codes.")
    ] = False

    @model_validator(mode="after")
    def _of_one_thing(self) -> Self:
        given = [name for name in _SUBJECTS if getattr(self, name) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none"
            raise ValueError(f"expected exactly one of {', '.join(_SUBJECTS)}, got {got}")
        return self

    @property
    def subject(self) -> tuple[str, Any]:
        """The name of what is asked about, and its value."""
        return next(
            (name, value) for name in _SUBJECTS if (value := getattr(self, name)) is not None
        )


_SUBJECTS = ("text", "vector", "sequence", "id", "code")


class Query(Subject, Options):
    """A question about one thing."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Pair(Subject):
    """One thing, and a stored item that is or is not near to it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    collection: Name | None = None
    item: Annotated[str, Field(description="The id of the stored item.")]


class StrictJson(Request):
    """A request whose JSON is read with bounded depth, and without NaN or half characters."""

    async def json(self) -> Any:
        """The body's value. Raises a 422 that says what is wrong with it."""
        try:
            return from_json(await self.body(), allow_inf_nan=False)
        except (ValueError, RecursionError) as error:
            raise HTTPException(422, f"body: expected JSON, got what is none: {error}") from None


def what_is_wrong(errors: Iterable[Any]) -> str:
    """One sentence for each error of Pydantic: where it is and what was expected.

    The value itself is not repeated: it may be large, or not printable.
    """
    said = []
    for error in errors:
        where = ".".join(
            str(part) for part in error["loc"] if part not in ("body", "query", "path")
        )
        message = str(error["msg"]).removeprefix("Value error, ")
        said.append(f"{where}: {message}" if where else message)
    return "; ".join(said[:10])
