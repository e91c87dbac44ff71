-- Knowledge bases, documents, and the text in them.

CREATE TABLE knowledge_bases (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    -- the languages (text search configurations) of its ready documents; a question is read in each of them
    languages text[] NOT NULL DEFAULT '{}',
    -- passages of ready documents: the N of inverse document frequencies
    passages bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO knowledge_bases (name) VALUES ('default');

-- One row for each version of a document that is held or on its way; a version that becomes ready
-- removes the older ones of its name.
CREATE TABLE documents (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    knowledge_base_id bigint NOT NULL REFERENCES knowledge_bases ON DELETE CASCADE,
    name text NOT NULL,
    version integer NOT NULL,
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size_bytes bigint NOT NULL,
    language text,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN (
        'queued', 'parsing', 'indexing', 'ready', 'password_needed', 'image_only', 'damaged', 'empty',
        'too_large', 'unsupported', 'too_slow', 'failed')),
    message text,
    pages integer NOT NULL DEFAULT 0,
    parsed boolean NOT NULL DEFAULT false,
    chunks_done integer NOT NULL DEFAULT 0,
    chunks_total integer,
    job_id bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT documents_same_file UNIQUE (knowledge_base_id, name, sha256)
);
CREATE INDEX documents_by_sha256 ON documents (sha256);
CREATE INDEX documents_by_state ON documents (knowledge_base_id, state, created_at);

CREATE TABLE pages (
    document_id uuid NOT NULL REFERENCES documents ON DELETE CASCADE,
    number integer NOT NULL,
    kind text NOT NULL,
    title text,
    text text NOT NULL,
    PRIMARY KEY (document_id, number)
);

-- A passage: text is substr(pages.text, start_at + 1, end_at - start_at), which a test holds it to.
CREATE TABLE chunks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_id uuid NOT NULL REFERENCES documents ON DELETE CASCADE,
    ordinal integer NOT NULL,
    page integer NOT NULL,
    start_at integer NOT NULL,
    end_at integer NOT NULL CHECK (end_at > start_at),
    headings text NOT NULL DEFAULT '',
    tokens integer NOT NULL,
    text text NOT NULL,
    UNIQUE (document_id, ordinal)
);

-- float32, little endian, so that an index can be made again without the model
CREATE TABLE chunk_vectors (
    chunk_id bigint PRIMARY KEY REFERENCES chunks ON DELETE CASCADE,
    model text NOT NULL,
    vector bytea NOT NULL
);
ALTER TABLE chunk_vectors ALTER COLUMN vector SET STORAGE EXTERNAL;
