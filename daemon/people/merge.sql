-- Statements about merges; what decides is in conf/sql/030-merge.sql.

-- name: contact_merge
SELECT state, json, contact_events($1::int, $7::uuid, $8::bigint, state, NULL, json, NULL)
FROM contact_merge_make($1::int, $2::text, $3::text, $4::uuid, $5::uuid, $6::bool,
	'{"rule": "by_hand"}')

-- name: contact_unmerge
SELECT state, json, contact_events($1::int, $6::uuid, $7::bigint, state, 'contact.unmerged',
	json, '{"released":"' || $5::uuid || '"}')
FROM contact_merge_undo($1::int, $2::text, $3::text, $4::uuid, $5::uuid)

-- name: contact_link
SELECT state, json, contact_events($1::int, $10::uuid, $11::bigint, state, NULL, json, NULL)
FROM contact_link($1::int, $2::text, $3::text, $4::uuid, $5::text, $6::text, $7::bool,
	$8::int, $9::jsonb)

-- name: suggestion_list
-- Open ones are shown while both are nobody's part.
SELECT s.id, suggestion_json(s)
FROM (SELECT s.id FROM merge_suggestion s
	WHERE s.tenant_id = $1::int AND s.state = $2::text
		AND ($3::uuid IS NULL OR $3::uuid IN (s.a, s.b))
		AND ($4::uuid IS NULL OR s.id < $4::uuid)
		AND (s.state <> 'open' OR NOT EXISTS (SELECT FROM contact c
			WHERE c.tenant_id = $1::int AND c.id IN (s.a, s.b)
				AND c.merged_into IS NOT NULL))
	ORDER BY s.id DESC LIMIT $5::int) p
JOIN merge_suggestion s ON s.tenant_id = $1::int AND s.id = p.id
ORDER BY s.id DESC

-- name: suggestion_accept
SELECT state, json, contact_events($1::int, $7::uuid, $8::bigint, state, NULL, json, NULL)
FROM suggestion_accept($1::int, $2::text, $3::text, $4::uuid, $5::uuid, $6::bool)

-- name: suggestion_reject
SELECT state, json FROM suggestion_reject($1::int, $2::text, $3::text, $4::uuid)
