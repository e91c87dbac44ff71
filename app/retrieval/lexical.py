"""Passages by their words: BM25 over PostgreSQL's full text index.

PostgreSQL's own ``ts_rank`` does not know how common a word is, which BM25 does, and it reads every match,
which for common words is most of a large collection. So each word is ranked by itself (its ``ts_rank`` rises
with the number of occurrences and levels off, as BM25's term frequency part does) and weighted by its inverse
document frequency (Robertson, Zaragoza: The Probabilistic Relevance Framework, 2009, eq. 3.15), and only
passages with at least one of the question's rarer words are read at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.retrieval.words import words
from app.stores.database import Database

BUDGET = 1_500  # passages read for one question
LONGEST_QUESTION = 2_000  # characters that are looked at
MOST_TERMS = 32


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the question as the index has it, and how many passages hold it."""

    text: str
    chunks: int

    def weight(self, total: int) -> float:
        """Inverse document frequency among ``total`` passages."""
        return math.log(1 + (total - self.chunks + 0.5) / (self.chunks + 0.5))


class LexicalSearch:
    """Ranks the passages of a knowledge base by the words they share with a question."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, knowledge_base_id: int, question: str, limit: int) -> list[tuple[int, float]]:
        """Ids of passages and their scores, best first; none if no word of the question occurs."""
        total, terms = await self._terms(knowledge_base_id, question)
        if not terms:
            return []
        rows = await self._database.rows(
            """
            WITH asked AS MATERIALIZED (
                SELECT * FROM unnest(%(terms)s::tsquery[], %(weights)s::float8[]) AS q (term, weight)
            ), candidates AS MATERIALIZED (
                SELECT chunk_id, document_id, terms FROM chunk_terms
                WHERE terms @@ %(filter)s::tsquery LIMIT %(most)s
            ), likely AS MATERIALIZED (
                -- whether a word occurs is quickly found out, how often takes six times as long
                SELECT c.*, (SELECT sum(weight) FROM asked WHERE c.terms @@ term) AS bound
                FROM candidates c ORDER BY bound DESC, chunk_id LIMIT %(some)s
            )
            SELECT l.chunk_id, (SELECT sum(weight * ts_rank(l.terms, term)) FROM asked) AS score
            FROM likely l JOIN documents d ON d.id = l.document_id
            WHERE d.state = 'ready' ORDER BY score DESC, l.chunk_id LIMIT %(limit)s
            """,
            filter=selection(terms),
            most=4 * BUDGET,
            terms=[quoted(term.text) for term in terms],
            weights=[term.weight(total) for term in terms],
            some=2 * limit,
            limit=limit,
        )
        return [(row["chunk_id"], row["score"]) for row in rows]

    async def _terms(self, knowledge_base_id: int, question: str) -> tuple[int, list[Term]]:
        """Passages there are, and the question's words that occur in them, rarest first.

        The question is read in each language of the knowledge base's documents, since each of them is
        indexed in its own.
        """
        rows = await self._database.rows(
            """
            SELECT k.passages, t.term, t.chunks FROM knowledge_bases k
            CROSS JOIN LATERAL unnest(k.languages) AS language
            CROSS JOIN LATERAL unnest(tsvector_to_array(
                knowledge_base_terms(k.id, to_tsvector(language::regconfig, %(question)s)))) AS word
            JOIN term_counts t ON t.term = word
            WHERE k.id = %(kb)s AND t.chunks > 0
            GROUP BY 1, 2, 3 ORDER BY t.chunks, t.term LIMIT %(most)s
            """,
            question=words(question[:LONGEST_QUESTION]),
            kb=knowledge_base_id,
            most=MOST_TERMS,
        )
        return (rows[0]["passages"] if rows else 0), [Term(row["term"], row["chunks"]) for row in rows]


def selection(terms: Sequence[Term]) -> str:
    """The query that picks the passages worth ranking; ``terms`` come rarest first.

    Words are taken from the rarest on while the passages with any of them stay within :data:`BUDGET`. If
    even the rarest is too common, the two rarest must meet.
    """
    taken: list[Term] = []
    sum_of_chunks = 0
    for term in terms:
        sum_of_chunks += term.chunks
        if taken and sum_of_chunks > BUDGET:
            break
        taken.append(term)
    if len(taken) == 1 and taken[0].chunks > BUDGET and len(terms) > 1:
        return f"{quoted(terms[0].text)} & {quoted(terms[1].text)}"
    return " | ".join(quoted(term.text) for term in taken)


def quoted(term: str) -> str:
    """A term as a tsquery that means just it."""
    escaped = term.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
