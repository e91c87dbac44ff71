-- What is to be removed outside of PostgreSQL: written in the transaction that removes the rows,
-- read by a job that can be tried again.
CREATE TABLE removed_objects (sha256 text NOT NULL);
CREATE TABLE removed_vectors (knowledge_base_id bigint NOT NULL, chunk_id bigint NOT NULL);
CREATE INDEX removed_vectors_by_knowledge_base ON removed_vectors (knowledge_base_id);
CREATE TABLE removed_collections (name text NOT NULL);
