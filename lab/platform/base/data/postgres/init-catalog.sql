-- The catalog schema. Everything belongs to a role that cannot log in; applications use the
-- role `aikernel`, which may build in its schemas and may only append to the audit log.
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE SCHEMA catalog AUTHORIZATION aikernel_owner;
CREATE SCHEMA identity AUTHORIZATION aikernel_owner;
CREATE SCHEMA secrets AUTHORIZATION aikernel_owner;
CREATE SCHEMA audit AUTHORIZATION aikernel_owner;
GRANT USAGE, CREATE ON SCHEMA catalog, identity, secrets TO aikernel;
GRANT USAGE ON SCHEMA audit TO aikernel;

-- Where a conformance suite may put its canary tables.
CREATE SCHEMA aik_conformance AUTHORIZATION aikernel_owner;
GRANT USAGE, CREATE ON SCHEMA aik_conformance TO aikernel;

SET ROLE aikernel_owner;

CREATE TABLE audit.event_log (
    id            bigserial PRIMARY KEY,
    event_id      uuid NOT NULL DEFAULT public.uuid_generate_v4(),
    "timestamp"   timestamptz NOT NULL DEFAULT now(),
    event_type    varchar(100) NOT NULL,
    actor_id      varchar(255),
    resource_type varchar(100),
    resource_id   varchar(255),
    action        varchar(50) NOT NULL,
    status        varchar(20) NOT NULL,
    metadata      jsonb,
    client_ip     inet,
    user_agent    text,
    trace_id      varchar(255),
    span_id       varchar(255)
);
COMMENT ON TABLE audit.event_log IS 'Audit trail of the platform; immutable: rows are only ever added';

CREATE INDEX idx_audit_timestamp ON audit.event_log ("timestamp" DESC);
CREATE INDEX idx_audit_actor ON audit.event_log (actor_id);
CREATE INDEX idx_audit_resource ON audit.event_log (resource_type, resource_id);
CREATE INDEX idx_audit_trace ON audit.event_log (trace_id);
CREATE INDEX idx_audit_metadata ON audit.event_log USING gin (metadata);

GRANT SELECT, INSERT ON audit.event_log TO aikernel;
GRANT USAGE ON SEQUENCE audit.event_log_id_seq TO aikernel;

-- The second lock, for every role that grants do not stop. Per statement, so that it also stops
-- TRUNCATE and statements that would touch no row; always, so that a session in the replica
-- role does not pass it.
CREATE FUNCTION audit.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog
    AS $$
BEGIN
    RAISE EXCEPTION 'audit.event_log is append-only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.event_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.event_log ENABLE ALWAYS TRIGGER append_only;

RESET ROLE;
