-- name: contact_lookup
SELECT state, contact, json, CASE WHEN json IS NOT NULL THEN contacts_events($1::int,
	$8::uuid, $9::bigint, ARRAY[1], ARRAY[state], ARRAY[json]) END
FROM contact_lookup($1::int, $2::text, $3::text, $4::uuid, $5::jsonb, $6::text, $7::text)
