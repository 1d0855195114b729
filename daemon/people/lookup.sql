-- name: contact_lookup
SELECT state, contact, json
FROM contact_lookup($1::int, $2::text, $3::text, $4::uuid, $5::jsonb, $6::text, $7::text)
