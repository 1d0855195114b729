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
-- How many addresses of a kind one contact has at most, and the names of attributes: of
-- contacts and attributes that the caller sees.
WITH held AS (
	SELECT coalesce(c.merged_into, c.id) AS root, i.kind, count(DISTINCT i.value) AS n
	FROM identity i JOIN contact c ON c.tenant_id = i.tenant_id AND c.id = i.contact_id
	WHERE i.tenant_id = $1::int AND i.kind IN ('external', 'phone', 'email')
		AND i.trust > 0 AND ($3::text[] IS NULL OR EXISTS (SELECT FROM contact r
			WHERE r.tenant_id = $1::int AND r.id = coalesce(c.merged_into, c.id)
				AND r.roles && $3::text[]))
	GROUP BY 1, 2)
SELECT max(n) FILTER (WHERE kind = 'external'), max(n) FILTER (WHERE kind = 'phone'),
	max(n) FILTER (WHERE kind = 'email'),
	(SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM (
		SELECT DISTINCT a.name FROM contact c, jsonb_object_keys(c.attributes) a(name)
		WHERE c.tenant_id = $1::int AND c.merged_into IS NULL
			AND ($3::text[] IS NULL OR c.roles && $3::text[])
			AND ($4::text[] IS NULL OR a.name = ANY ($4::text[]))
		LIMIT $2::int) x)
FROM held

-- The parts of all that is held on a contact (export_contact.c): tenant, root, after,
-- limit, some also the roles and attributes in sight; rows (cursor, object).

-- name: export_contact
SELECT '', o FROM contact_seen($1::int, contact_json($1::int, $2::uuid, $2::uuid),
	$5::text[], $6::text[]) o
WHERE $3::text IS NULL AND $4::int > 0 AND o IS NOT NULL

-- name: export_members
-- Itself and those merged into it, each as it was recorded.
SELECT c.id, json_build_object('id', c.id, 'name', c.name, 'type', c.type,
	'roles', CASE WHEN $5::text[] IS NULL THEN c.roles
		ELSE array(SELECT r FROM unnest(c.roles) r WHERE r = ANY ($5::text[])) END,
	'language', c.language, 'timezone', c.timezone, 'vip', c.vip,
	'attributes', CASE WHEN $6::text[] IS NULL THEN c.attributes
		ELSE attributes_in_sight(c.attributes, $6::text[]) END,
	'organisation', CASE WHEN contact_in_sight($1::int, c.organisation, $5::text[])
		THEN c.organisation END,
	'created_at', time_text(c.created_at), 'updated_at', time_text(c.updated_at))
FROM contact_members($1::int, $2::uuid) m(id)
JOIN contact c ON c.tenant_id = $1::int AND c.id = m.id
WHERE $3::text IS NULL OR c.id > $3::uuid
ORDER BY c.id LIMIT $4::int

-- name: export_merges
-- Undone ones too, where both are in sight by now.
SELECT m.id, json_build_object('survivor', m.survivor, 'absorbed', m.absorbed,
	'evidence', m.evidence, 'actor', m.actor, 'at', time_text(m.at),
	'undone_at', time_text(m.undone_at), 'undone_by', m.undone_by)
FROM contact_merge m
WHERE m.tenant_id = $1::int AND ($3::text IS NULL OR m.id > $3::bigint)
	AND (m.survivor IN (SELECT contact_members($1::int, $2::uuid))
		OR m.absorbed IN (SELECT contact_members($1::int, $2::uuid)))
	AND contact_in_sight($1::int, m.survivor, $5::text[])
	AND contact_in_sight($1::int, m.absorbed, $5::text[])
ORDER BY m.id LIMIT $4::int

-- name: export_suggestions
-- That they may be one with somebody, of whom no more than the id is told.
SELECT s.id, json_build_object('id', s.id, 'state', s.state, 'reason', s.reason,
	'evidence', (SELECT json_agg(json_build_object('kind', e->'kind', 'value', e->'value'))
		FROM jsonb_array_elements(s.evidence) e),
	'contacts', json_build_array(s.a, s.b), 'made_at', time_text(s.made_at),
	'decided_at', time_text(s.decided_at), 'decided_by', s.decided_by)
FROM (SELECT s.* FROM contact_members($1::int, $2::uuid) m(id)
		JOIN merge_suggestion s ON s.tenant_id = $1::int AND s.a = m.id
	UNION
	SELECT s.* FROM contact_members($1::int, $2::uuid) m(id)
		JOIN merge_suggestion s ON s.tenant_id = $1::int AND s.b = m.id) s
WHERE ($3::text IS NULL OR s.id > $3::uuid)
	AND contact_in_sight($1::int, s.a, $5::text[])
	AND contact_in_sight($1::int, s.b, $5::text[])
ORDER BY s.id LIMIT $4::int

-- name: export_preferences
SELECT '', preferences_json($1::int, $2::uuid, $2::uuid)
WHERE $3::text IS NULL AND $4::int > 0

-- name: export_consents
-- The ledger, the oldest first, each entry with the member that it is recorded for.
SELECT d.seq, json_with(consent_json($1::int, d.seq)::text, 'member', to_json(d.contact_id))
FROM contact_members($1::int, $2::uuid) m(id)
JOIN consent_detail d ON d.tenant_id = $1::int AND d.contact_id = m.id
WHERE $3::text IS NULL OR d.seq > $3::bigint
ORDER BY d.seq LIMIT $4::int

-- name: export_suppressions
-- What stands against any of their addresses.
SELECT k.cursor, suppression_json(s.kind, s.value, s.reason, nullif(s.list, ''), s.source,
	s.at)
FROM (SELECT DISTINCT i.kind, i.value FROM contact_members($1::int, $2::uuid) m(id)
	JOIN identity i ON i.tenant_id = $1::int AND i.contact_id = m.id) i
CROSS JOIN LATERAL suppression_of($1::int, i.kind, i.value) s
CROSS JOIN LATERAL (SELECT i.kind || ' ' || i.value || ' ' || s.reason || ' ' || s.list
	AS cursor) k
WHERE $3::text IS NULL OR k.cursor COLLATE "C" > $3::text
ORDER BY k.cursor COLLATE "C" LIMIT $4::int

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
