"""Passages by their words: BM25 over PostgreSQL's full text index.

PostgreSQL's own ``ts_rank`` does not know how common a word is, which BM25 does, and it reads every match,
which for common words is most of a large collection. So each word is ranked by itself (its ``ts_rank`` rises
with the number of occurrences and levels off, as BM25's term frequency part does) and weighted by its inverse
document frequency (Robertson, Zaragoza: The Probabilistic Relevance Framework, 2009, eq. 3.15), and only
passages with at least one of the question's rarer words are read at all.
"""

from __future__ import annotations

from app.retrieval.words import words
from app.stores.database import Database

BUDGET = 1_000  # passages read for one question, about
LONGEST_QUESTION = 2_000  # characters that are looked at
MOST_TERMS = 32

# One statement, so that PostgreSQL is done with it while the question is still being embedded.
SEARCH = """
    WITH word AS (
        -- the question's words that occur, read in each language of the documents, rarest first
        SELECT t.term, t.chunks, ln(1 + (k.passages - t.chunks + 0.5) / (t.chunks + 0.5)) AS weight
        FROM knowledge_bases k
        CROSS JOIN LATERAL unnest(k.languages) AS language
        CROSS JOIN LATERAL unnest(tsvector_to_array(
            knowledge_base_terms(k.id, to_tsvector(language::regconfig, %(question)s)))) AS found
        JOIN term_counts t ON t.term = found
        WHERE k.id = %(kb)s AND t.chunks > 0
        GROUP BY t.term, t.chunks, k.passages ORDER BY t.chunks, t.term LIMIT %(most_terms)s
    ), asked AS MATERIALIZED (
        SELECT quoted_term(term) AS term, greatest(weight, 0.01) AS weight, chunks,
               row_number() OVER rarest AS place, sum(chunks) OVER rarest AS together
        FROM word WINDOW rarest AS (ORDER BY chunks, term)
    ), choice AS MATERIALIZED (
        -- from the rarest word on while the passages with any of them stay within the budget;
        -- if even the rarest is too common, the two rarest must meet
        SELECT CASE WHEN min(chunks) <= %(budget)s
            THEN string_agg(term::text, ' | ') FILTER (WHERE place = 1 OR together <= %(budget)s)
            ELSE string_agg(term::text, ' & ') FILTER (WHERE place <= 2) END::tsquery AS query
        FROM asked
    ), candidate AS MATERIALIZED (
        SELECT chunk_id, document_id, terms FROM chunk_terms
        WHERE terms @@ (SELECT query FROM choice) LIMIT 4 * %(budget)s
    ), likely AS MATERIALIZED (
        -- whether a word occurs is quickly found out, how often takes six times as long
        SELECT c.*, (SELECT sum(weight) FROM asked WHERE c.terms @@ term) AS bound
        FROM candidate c ORDER BY bound DESC, chunk_id LIMIT 2 * %(limit)s
    )
    SELECT array_agg(chunk_id) AS ids, array_agg(score) AS scores FROM (
        SELECT l.chunk_id, (SELECT sum(weight * ts_rank(l.terms, term)) FROM asked)::float8 AS score
        FROM likely l JOIN documents d ON d.id = l.document_id
        WHERE d.state = 'ready' ORDER BY score DESC, l.chunk_id LIMIT %(limit)s
    ) best
"""


class LexicalSearch:
    """Ranks the passages of a knowledge base by the words they share with a question."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(
        self, knowledge_base_id: int, question: str, limit: int, *, budget: int = BUDGET
    ) -> list[tuple[int, float]]:
        """Ids of passages and their scores, best first; none if no word of the question occurs.

        ``budget`` is about how many passages are looked at for the question's rarer words.
        """
        best = await self._database.row(
            SEARCH,
            question=words(question[:LONGEST_QUESTION]),
            kb=knowledge_base_id,
            most_terms=MOST_TERMS,
            budget=budget,
            limit=limit,
        )
        return list(zip(best["ids"], best["scores"], strict=True)) if best and best["ids"] else []
