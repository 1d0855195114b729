-- Statements of imports; what a row does is decided in conf/sql/033-segments.sql.

-- name: import_audit
-- Once per import: a batch that is stored again after a lost answer has it already.
SELECT audit_add($1::int, $2::text, $3::text, 'contacts.imported', 'import', $4::text,
	$5::text[])
WHERE NOT EXISTS (SELECT FROM audit
	WHERE tenant_id = $1::int AND object_kind = 'import' AND object_id = $4::text
		AND at > now() - interval '10 minutes')

-- name: import_run_begin
SELECT import_run_begin($1::int, $2::uuid, $3::text, $4::text, $5::bigint)

-- name: import_run_reject
SELECT import_run_reject($1::int, $2::uuid, $3::bigint, $4::bigint[], $5::int[], $6::text[])

-- name: import_run_end
UPDATE import_run SET state = $3::text, detail = $4::text, updated_at = now()
WHERE tenant_id = $1::int AND id = $2::uuid

-- name: import_run_get
SELECT import_run_json(r, $3::bool) FROM import_run r
WHERE tenant_id = $1::int AND id = $2::uuid

-- name: import_run_rejected
SELECT line, json_build_object('line', line, 'lines', lines, 'reason', reason)
FROM import_rejected
WHERE tenant_id = $1::int AND import_id = $2::uuid AND line > $3::bigint
ORDER BY line LIMIT $4::int

-- name: contact_import
-- With it goes how far it is ($10, of import $9; null: nothing is noted) and which rows,
-- at the lines $11 of lengths $12, were rejected. What was noted before is not counted
-- again.
WITH row AS MATERIALIZED (
	SELECT n, state, detail, object
	FROM contact_import($1::int, $2::text, $3::text, $4::jsonb, $5::bool, $6::bool)),
kept AS MATERIALIZED (
	SELECT contacts_events($1::int, $7::uuid, $8::bigint, array_agg(n), array_agg(state),
		array_agg(object)) AS events
	FROM row WHERE object IS NOT NULL),
told AS (
	INSERT INTO import_rejected (tenant_id, import_id, line, lines, reason)
	SELECT $1::int, $9::uuid, ($11::bigint[])[n], ($12::int[])[n], detail
	FROM row WHERE state = 'rejected' AND $9::uuid IS NOT NULL
	ON CONFLICT DO NOTHING),
noted AS (
	UPDATE import_run i SET line = $10::bigint, created = i.created + x.created,
		updated = i.updated + x.updated, unchanged = i.unchanged + x.unchanged,
		rejected = i.rejected + x.rejected, updated_at = now()
	FROM (SELECT count(*) FILTER (WHERE state = 'created') AS created,
			count(*) FILTER (WHERE state = 'updated') AS updated,
			count(*) FILTER (WHERE state = 'unchanged') AS unchanged,
			count(*) FILTER (WHERE state = 'rejected') AS rejected FROM row) x
	WHERE i.tenant_id = $1::int AND i.id = $9::uuid AND i.line < $10::bigint)
SELECT n, state, detail, object, (SELECT events FROM kept) FROM row ORDER BY n
