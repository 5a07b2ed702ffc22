-- The words of spans, which can be derived again at any time. The index is on an expression, so that
-- the words are stored once.
CREATE TABLE search_document (
    account_id        text COLLATE "C" NOT NULL,
    agent_instance_id text COLLATE "C" NOT NULL,
    span_id           text COLLATE "C" NOT NULL,
    is_cut            boolean NOT NULL,
    words             text COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, agent_instance_id, span_id)
);

CREATE INDEX search_document_words ON search_document
    USING gin (array_to_tsvector(string_to_array(words, ' ')));
