-- Statements about segments and exports; filters are compiled (segment_filter.c).

-- name: report_guard
-- For the rest of its unit: what takes longer is stopped by the server itself, even if the
-- daemon dies, and nothing is changed.
SELECT set_config('statement_timeout', $1::text, true), set_config('jit', 'off', true),
	set_config('transaction_read_only', 'on', true)

-- name: walk_bound
SELECT id FROM contact
WHERE tenant_id = $1::int AND merged_into IS NULL AND id > $2::uuid
ORDER BY id OFFSET $3::bigint LIMIT 1

-- name: segment_create
SELECT state, status, response
FROM segment_create($1::int, $2::text, $3::text, $4::uuid, $5::text, $6::text, $7::jsonb,
	$8::text[], $9::text, $10::text, $11::text, $12::text, decode($13::text, 'hex'))

-- name: segment_patch
SELECT state, json
FROM segment_patch($1::int, $2::text, $3::text, $4::uuid, $5::jsonb, $6::text[])

-- name: segment_delete
SELECT segment_delete($1::int, $2::text, $3::text, $4::uuid)

-- name: segment_get
SELECT segment_json(s) FROM segment s WHERE tenant_id = $1::int AND id = $2::uuid

-- name: segment_list
SELECT s.name, segment_json(s) FROM segment s
WHERE tenant_id = $1::int AND ($2::text IS NULL OR name > $2::text)
ORDER BY name LIMIT $3::int

-- name: segment_filter
SELECT filter::text FROM segment WHERE tenant_id = $1::int AND id = $2::uuid
