-- Statements of imports; what a row does is decided in conf/sql/023-lookup.sql.

-- name: import_audit
-- Once per import: a batch that is stored again after a lost answer has it already.
SELECT audit_add($1::int, $2::text, $3::text, 'contacts.imported', 'import', $4::text,
	$5::text[])
WHERE NOT EXISTS (SELECT FROM audit
	WHERE tenant_id = $1::int AND object_kind = 'import' AND object_id = $4::text)

-- name: contact_import
WITH row AS MATERIALIZED (
	SELECT n, state, detail, object
	FROM contact_import($1::int, $2::text, $3::text, $4::jsonb, $5::bool, $6::bool)),
kept AS MATERIALIZED (
	SELECT contacts_events($1::int, $7::uuid, $8::bigint, array_agg(n), array_agg(state),
		array_agg(object)) AS events
	FROM row WHERE object IS NOT NULL)
SELECT n, state, detail, object, (SELECT events FROM kept) FROM row ORDER BY n
