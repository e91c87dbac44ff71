-- A generation is one Chroma collection of a knowledge base. A broken or outdated one is never mended:
-- the next is built beside it from chunk_vectors, and then takes its place.
CREATE TABLE generations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    knowledge_base_id bigint NOT NULL REFERENCES knowledge_bases ON DELETE CASCADE,
    model text NOT NULL,
    dimension integer NOT NULL,
    -- unlike any other, since several installations may share one server
    collection text NOT NULL UNIQUE DEFAULT 'ka-' || replace(gen_random_uuid()::text, '-', ''),
    state text NOT NULL CHECK (state IN ('building', 'serving', 'broken')),
    reason text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX generations_one_serves ON generations (knowledge_base_id) WHERE state = 'serving';
