-- Calls that agents have placed for them (conf/sql/025-dial.sql).

-- name: call_dial
SELECT state, status, response
FROM call_dial($1::int, $2::text, $3::text, $4::uuid, $5::text[], $6::text,
  $7::boolean, $8::text, $9::text, $10::text, $11::text, decode($12::text, 'hex'))

-- name: call_dial_undo
SELECT call_dial_undo($1::int, $2::text, $3::text, $4::uuid, $5::text, $6::text,
  $7::text, $8::text)
