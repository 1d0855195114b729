-- Statements about segments and exports; filters are compiled (segment_filter.c).

-- name: report_guard
-- For the rest of its unit: what takes longer is stopped by the server itself, even if the
-- daemon dies, and nothing is changed.
SELECT set_config('statement_timeout', $1::text, true), set_config('jit', 'off', true),
	set_config('work_mem', '64MB', true),
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

-- name: export_columns
-- How many addresses of a kind one contact has at most, and the names of attributes.
WITH held AS (
	SELECT coalesce(c.merged_into, c.id) AS root, i.kind, count(DISTINCT i.value) AS n
	FROM identity i JOIN contact c ON c.tenant_id = i.tenant_id AND c.id = i.contact_id
	WHERE i.tenant_id = $1::int AND i.kind IN ('external', 'phone', 'email')
		AND i.trust > 0
	GROUP BY 1, 2)
SELECT max(n) FILTER (WHERE kind = 'external'), max(n) FILTER (WHERE kind = 'phone'),
	max(n) FILTER (WHERE kind = 'email'),
	(SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM (
		SELECT DISTINCT a.name FROM contact c, jsonb_object_keys(c.attributes) a(name)
		WHERE c.tenant_id = $1::int AND c.merged_into IS NULL
		LIMIT $2::int) x)
FROM held

-- The parts of all that is held on a contact (export_contact.c): tenant, root, after,
-- limit; rows (cursor, object).

-- name: export_contact
SELECT '', contact_json($1::int, $2::uuid, $2::uuid)
WHERE $3::text IS NULL AND $4::int > 0

-- name: export_members
-- Itself and those merged into it, each as it was recorded.
SELECT c.id, json_build_object('id', c.id, 'name', c.name, 'roles', c.roles,
	'language', c.language, 'timezone', c.timezone, 'vip', c.vip,
	'attributes', c.attributes, 'organisation', c.organisation,
	'created_at', time_text(c.created_at), 'updated_at', time_text(c.updated_at))
FROM contact_members($1::int, $2::uuid) m(id)
JOIN contact c ON c.tenant_id = $1::int AND c.id = m.id
WHERE $3::text IS NULL OR c.id > $3::uuid
ORDER BY c.id LIMIT $4::int

-- name: export_merges
-- Undone ones too.
SELECT m.id, json_build_object('survivor', m.survivor, 'absorbed', m.absorbed,
	'evidence', m.evidence, 'actor', m.actor, 'at', time_text(m.at),
	'undone_at', time_text(m.undone_at), 'undone_by', m.undone_by)
FROM contact_merge m
WHERE m.tenant_id = $1::int AND ($3::text IS NULL OR m.id > $3::bigint)
	AND (m.survivor IN (SELECT contact_members($1::int, $2::uuid))
		OR m.absorbed IN (SELECT contact_members($1::int, $2::uuid)))
ORDER BY m.id LIMIT $4::int

-- name: export_identities
SELECT k.cursor, json_build_object('kind', i.kind, 'value', i.value,
	'trust', trust_text(i.trust), 'contact', i.contact_id, 'source', i.source,
	'first_seen', time_text(i.first_seen), 'last_seen', time_text(i.last_seen))
FROM contact_members($1::int, $2::uuid) m(id)
JOIN identity i ON i.tenant_id = $1::int AND i.contact_id = m.id
CROSS JOIN LATERAL (SELECT i.contact_id || ' ' || i.kind || ' ' || i.value AS cursor) k
WHERE $3::text IS NULL OR k.cursor COLLATE "C" > $3::text
ORDER BY k.cursor COLLATE "C" LIMIT $4::int

-- name: export_interactions
-- Oldest first, with legs, body and history.
SELECT p.id, interaction_full_json(i)
FROM (SELECT t.id FROM contact_members($1::int, $2::uuid) m(id)
	CROSS JOIN LATERAL (
		SELECT id FROM timeline
		WHERE tenant_id = $1::int AND contact_id = m.id
			AND id > coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
		ORDER BY id LIMIT $4::int) t
	ORDER BY t.id LIMIT $4::int) p
CROSS JOIN LATERAL (
	SELECT * FROM interaction WHERE tenant_id = $1::int AND id = p.id) i
ORDER BY p.id

-- name: export_audit
-- Who did what to the contact; fields are names, not values.
SELECT a.id, json_build_object('at', time_text(a.at), 'actor', a.actor, 'role', a.role,
	'action', a.action, 'contact', a.object_id, 'fields', a.fields)
FROM contact_members($1::int, $2::uuid) m(id)
JOIN audit a ON a.tenant_id = $1::int AND a.object_kind = 'contact'
	AND a.object_id = m.id::text
WHERE $3::text IS NULL OR a.id > $3::bigint
ORDER BY a.id LIMIT $4::int

-- name: export_audit_add
SELECT audit_add($1::int, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text[])
