-- The customer's own page; what decides something is in conf/sql/036-page.sql.

-- name: customer_page_create
SELECT state, status, json
FROM customer_page_create($1::int, $2::text, $3::text, $4::uuid, $5::uuid, $6::text,
	$7::text, decode($8::text, 'hex'), $9::bigint, $10::text, $11::text, $12::text,
	$13::text, decode($14::text, 'hex'))

-- name: customer_page_revoke
SELECT customer_page_revoke($1::int, $2::text, $3::text, $4::uuid)

-- name: customer_page_open
SELECT tenant, json FROM customer_page_open(decode($1::text, 'hex'))

-- name: customer_page_erasure
SELECT json, events
FROM customer_page_erasure($1::int, $2::text, $3::text, $4::uuid, $5::uuid, $6::bigint,
	$7::jsonb, $8::uuid, $9::bigint)

-- name: erasure_requests
-- The oldest first, each as the contact that it is part of now.
SELECT coalesce(json_agg(json_build_object('contact', contact_root($1::int, e.contact_id),
	'at', time_text(e.at), 'interaction', e.interaction_id) ORDER BY e.at, e.contact_id),
	'[]')::text
FROM (SELECT * FROM erasure_request WHERE tenant_id = $1::int
	ORDER BY at, contact_id LIMIT 1000) e
