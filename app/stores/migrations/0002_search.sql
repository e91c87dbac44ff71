-- Lexical search: one row of words a passage, and how common each word is.

-- Words stand with their knowledge base's number before them ('7:word'), so that the index is read for
-- one knowledge base only; GIN alone cannot have a second, scalar column.
CREATE TABLE chunk_terms (
    chunk_id bigint PRIMARY KEY REFERENCES chunks ON DELETE CASCADE,
    document_id uuid NOT NULL,
    terms tsvector NOT NULL
    -- rows stay in one piece: ranking reads thousands of them for one question
) WITH (toast_tuple_target = 8160);
CREATE INDEX chunk_terms_words ON chunk_terms USING gin (terms);

CREATE TABLE term_counts (
    term text PRIMARY KEY,
    chunks bigint NOT NULL
) WITH (fillfactor = 80);

-- The tsquery that means just this word; like format's %L, but for tsquery's own rules.
CREATE FUNCTION quoted_term(term text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ('''' || replace(replace(term, '\', '\\'), '''', '''''') || '''')::tsquery;

CREATE FUNCTION knowledge_base_terms(knowledge_base_id bigint, words tsvector) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(words::text, '(^| )''', '\1''' || knowledge_base_id || ':', 'g')::tsvector;
