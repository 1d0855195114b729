-- Statements about contacts. What decides something is a function of conf/sql/002-people.sql:
-- a decision and its effect are one round trip.

-- name: audit_add
SELECT audit_add($1::int, $2::text, $3::text, $4::text, $5::text, $6::text, '{}')

-- name: contact_create
SELECT state, status, json, contact_events($1::int, $14::uuid, $15::bigint, state,
	'contact.created', json, '{}')
FROM contact_create($1::int, $2::text, $3::text, $4::uuid, $5::jsonb, $6::jsonb, $7::bool,
	$8::text[], $9::text, $10::text, $11::text, $12::text, decode($13::text, 'hex'))

-- name: contact_patch
SELECT state, json, contact_events($1::int, $10::uuid, $11::bigint, state,
	'contact.updated', json, $12::text)
FROM contact_patch($1::int, $2::text, $3::text, $4::uuid, $5::jsonb, $6::jsonb, $7::jsonb,
	$8::bool, $9::text[])

-- name: contact_get
SELECT contact_json($1::int, r.root, $2::uuid)
FROM contact_root($1::int, $2::uuid) r(root) WHERE r.root IS NOT NULL

-- name: contact_find
SELECT h.root, contact_json($1::int, h.root, h.root)
FROM (SELECT coalesce(c.merged_into, c.id) AS root, max(identity_trust(i.kind, i.trust,
			i.source, i.last_seen, now(), (SELECT identity_age($1::int)))) AS trust,
		min(i.first_seen) AS first_seen
	FROM identity i JOIN contact c ON c.tenant_id = i.tenant_id AND c.id = i.contact_id
	WHERE i.tenant_id = $1::int AND i.kind = $2::text AND i.value = $3::text
	GROUP BY 1) h
ORDER BY h.trust DESC, h.first_seen, h.root LIMIT 100

-- name: contact_search
-- By the names of the merged too; what is found is always the survivor.
SELECT f.id, contact_json($1::int, f.id, f.id)
FROM ((SELECT id FROM contact
	WHERE tenant_id = $1::int AND name IS NOT NULL AND merged_into IS NULL
		AND search @@ name_query($1::int, $2::text)
		AND ($3::uuid IS NULL OR id < $3::uuid)
	ORDER BY id DESC LIMIT $4::int)
	UNION
	(SELECT merged_into FROM contact
	WHERE tenant_id = $1::int AND name IS NOT NULL AND merged_into IS NOT NULL
		AND search @@ name_query($1::int, $2::text)
		AND ($3::uuid IS NULL OR merged_into < $3::uuid)
	GROUP BY merged_into ORDER BY merged_into DESC LIMIT $4::int)
	ORDER BY id DESC LIMIT $4::int) f
ORDER BY f.id DESC

-- name: contact_list
SELECT f.id, contact_json($1::int, f.id, f.id)
FROM (SELECT id FROM contact
	WHERE tenant_id = $1::int AND merged_into IS NULL
		AND ($2::uuid IS NULL OR id < $2::uuid)
	ORDER BY id DESC LIMIT $3::int) f
ORDER BY f.id DESC
