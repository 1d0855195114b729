-- Statements about what is kept of whom; see conf/sql/034-privacy.sql.

-- name: privacy_report
SELECT privacy_report($1::int, $2::uuid)

-- name: contact_erase
-- The event has the id only; whoever is told has it to know what to forget.
WITH e AS MATERIALIZED (
	SELECT json, root, members, kinds, "values"
	FROM contact_erase($1::int, $2::text, $3::text, $4::uuid, $5::bool))
SELECT json, root, to_json(members), to_json(kinds), to_json("values"),
	CASE WHEN root IS NOT NULL AND $6::uuid IS NOT NULL THEN
		events_keep(ARRAY[$1::int], ARRAY[$6::uuid], ARRAY['contact.erased'],
			ARRAY[$7::bigint], ARRAY['{"id":"' || root || '"}'], ARRAY['{}']) END
FROM e

-- name: erasure_done
SELECT erasure_done($1::int, $2::uuid, $3::jsonb, $4::bool)

-- name: erasure_pending
-- tenant: whoever waits, one at a time; a tenant that is not configured any more waits
SELECT e.tenant_id, e.root, (SELECT json_agg(m.contact_id) FROM erasure m
		WHERE m.tenant_id = e.tenant_id AND m.root = e.root),
	e.pending->'kinds', e.pending->'values', time_to_us(e.at)
FROM erasure e WHERE e.pending IS NOT NULL
ORDER BY random() LIMIT 1

-- name: audit_reads
SELECT audit_reads($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
	$7::text[], $8::bigint[])

-- name: retention_step
SELECT deleted, more FROM retention_step($1::int, $2::text, $3::bigint, $4::int)

-- name: retention_drop
SELECT retention_drop($1::int[], $2::text[], $3::bigint[])

-- name: retention_due
SELECT retention_due($1::int, $2::text[], $3::bigint[])

-- name: erased_there
SELECT c.id FROM contact c
WHERE c.tenant_id = $1::int AND c.id = ANY ($2::uuid[])
