-- Statements about contacts. What decides something is a function of conf/sql/002-people.sql:
-- a decision and its effect are one round trip.

-- name: audit_add
SELECT audit_add($1::int, $2::text, $3::text, $4::text, $5::text, $6::text, '{}')

-- Of those that take a caller's sight, the parameters of roles and attributes come last;
-- see conf/sql/032-access.sql. The last column is the whole object if the caller is limited.

-- name: contact_create
SELECT state, status, CASE WHEN state IN ('created', 'replayed')
		THEN contact_seen($1::int, json, $16::text[], $17::text[])
	WHEN state <> 'conflict' THEN json
	WHEN contact_in_sight($1::int, json::uuid, $16::text[]) THEN json END,
	contact_events($1::int, $14::uuid, $15::bigint, state, 'contact.created', json, '{}'),
	CASE WHEN $16::text[] IS NOT NULL OR $17::text[] IS NOT NULL THEN json END
FROM contact_create_seen($1::int, $2::text, $3::text, $4::uuid, $5::jsonb, $6::jsonb,
	$7::bool, $8::text[], $9::text, $10::text, $11::text, $12::text,
	decode($13::text, 'hex'), $16::text[], $17::text[])

-- name: contact_patch
SELECT state, CASE WHEN state = 'ok'
		THEN contact_seen($1::int, json, $13::text[], $14::text[])
	WHEN state <> 'conflict' THEN json
	WHEN contact_in_sight($1::int, json::uuid, $13::text[]) THEN json END,
	contact_events($1::int, $10::uuid, $11::bigint, state, 'contact.updated', json,
		$12::text),
	CASE WHEN $13::text[] IS NOT NULL OR $14::text[] IS NOT NULL THEN json END
FROM contact_patch_seen($1::int, $2::text, $3::text, $4::uuid, $5::jsonb, $6::jsonb,
	$7::jsonb, $8::bool, $9::text[], $13::text[], $14::text[])

-- name: contact_get
SELECT s.seen
FROM contact_root($1::int, $2::uuid) r(root)
CROSS JOIN LATERAL contact_seen($1::int, contact_json($1::int, r.root, $2::uuid),
	$3::text[], $4::text[]) s(seen)
WHERE r.root IS NOT NULL AND s.seen IS NOT NULL

-- name: contact_in_sight
SELECT contact_in_sight($1::int, $2::uuid, $3::text[])

-- name: contact_find
SELECT h.root, contact_seen($1::int, contact_json($1::int, h.root, h.root), $4::text[],
	$5::text[])
FROM (SELECT coalesce(c.merged_into, c.id) AS root, max(identity_trust(i.kind, i.trust,
			i.source, i.last_seen, now(), (SELECT identity_age($1::int)))) AS trust,
		min(i.first_seen) AS first_seen
	FROM identity i JOIN contact c ON c.tenant_id = i.tenant_id AND c.id = i.contact_id
	WHERE i.tenant_id = $1::int AND i.kind = $2::text AND i.value = $3::text
	GROUP BY 1) h
WHERE $4::text[] IS NULL OR contact_in_sight($1::int, h.root, $4::text[])
ORDER BY h.trust DESC, h.first_seen, h.root LIMIT 100

-- name: contact_search
-- By the names of the merged too; what is found is always the survivor.
SELECT f.id, contact_seen($1::int, contact_json($1::int, f.id, f.id), $5::text[],
	$6::text[])
FROM ((SELECT id FROM contact
	WHERE tenant_id = $1::int AND name IS NOT NULL AND merged_into IS NULL
		AND search @@ name_query($1::int, $2::text)
		AND ($3::uuid IS NULL OR id < $3::uuid)
		AND ($5::text[] IS NULL OR roles && $5::text[])
	ORDER BY id DESC LIMIT $4::int)
	UNION
	(SELECT m.merged_into FROM contact m
	WHERE m.tenant_id = $1::int AND m.name IS NOT NULL AND m.merged_into IS NOT NULL
		AND m.search @@ name_query($1::int, $2::text)
		AND ($3::uuid IS NULL OR m.merged_into < $3::uuid)
		AND ($5::text[] IS NULL OR EXISTS (SELECT FROM contact r
			WHERE r.tenant_id = $1::int AND r.id = m.merged_into
				AND r.roles && $5::text[]))
	GROUP BY m.merged_into ORDER BY m.merged_into DESC LIMIT $4::int)
	ORDER BY id DESC LIMIT $4::int) f
ORDER BY f.id DESC

-- name: contact_list
SELECT f.id, contact_seen($1::int, contact_json($1::int, f.id, f.id), $4::text[],
	$5::text[])
FROM (SELECT id FROM contact
	WHERE tenant_id = $1::int AND merged_into IS NULL
		AND ($2::uuid IS NULL OR id < $2::uuid)
		AND ($4::text[] IS NULL OR roles && $4::text[])
	ORDER BY id DESC LIMIT $3::int) f
ORDER BY f.id DESC

-- name: contact_people
-- Who belongs to an organisation, or to what was merged into it.
SELECT f.id, contact_seen($1::int, contact_json($1::int, f.id, f.id), $5::text[],
	$6::text[])
FROM (SELECT p.id FROM contact_root($1::int, $2::uuid) r(root)
	CROSS JOIN LATERAL contact_members($1::int, r.root) m(id)
	CROSS JOIN LATERAL (SELECT id FROM contact
		WHERE tenant_id = $1::int AND organisation = m.id AND merged_into IS NULL
			AND id <> r.root AND ($3::uuid IS NULL OR id < $3::uuid)
			AND ($5::text[] IS NULL OR roles && $5::text[])
		ORDER BY id DESC LIMIT $4::int) p
	ORDER BY p.id DESC LIMIT $4::int) f
ORDER BY f.id DESC
